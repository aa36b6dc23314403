# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Classification, retrieval and embeddings against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, top_k_accuracy_score

from evaluation.metrics import MeanAveragePrecision, ModalityGap, Retrieval, TopKAccuracy
from evaluation.metrics.ranking import chance_of_hit
from evaluation.metrics.retrieval import reverse


def scores_of(shape: tuple[int, int], values: int | None = None) -> np.ndarray:
    """Random scores, of so many different values: few of them tie."""
    generator = np.random.default_rng(7)
    return generator.normal(size=shape) if values is None else generator.integers(values, size=shape) / values


def test_top_k_equals_scikit_learn():
    scores = scores_of((60, 9))
    labels = np.arange(60) % 8  # the last class has no sample
    result = TopKAccuracy().compute(predictions=scores, references=labels)
    for k in (1, 5):
        expected = top_k_accuracy_score(labels, scores, k=k, labels=range(9))
        assert result[f"top_{k}"] == pytest.approx(expected, rel=1e-12)


def test_top_k_ties_by_expectation():
    # The label ties with one of two better-or-equal classes: half of the time it is first.
    metric = TopKAccuracy()
    assert metric.compute(predictions=[[1, 1, 0]], references=[0]) == {"top_1": 0.5, "top_5": 1.0}
    assert metric.compute(predictions=[[0.0] * 10], references=[3]) == pytest.approx({"top_1": 0.1, "top_5": 0.5})
    assert metric.compute(predictions=[[2, 1, 1, 1]], references=[3], k=(2,)) == pytest.approx({"top_2": 1 / 3})


@pytest.mark.parametrize("values", [None, 4], ids=["distinct", "ties"])
def test_mean_average_precision_equals_scikit_learn(values):
    scores = scores_of((40, 6), values)
    relevant = np.random.default_rng(3).random((40, 6)) < 0.3
    relevant[:, 5] = False  # a class that no sample has
    relevant[0] = False  # and a sample without any
    labels = [np.flatnonzero(row).tolist() for row in relevant]
    result = MeanAveragePrecision().compute(predictions=scores, references=labels)
    expected = average_precision_score(relevant[:, :5], scores[:, :5], average="macro")
    assert result["mean_average_precision"] == pytest.approx(expected, rel=1e-12)


def test_no_label_at_all():
    with pytest.raises(ValueError, match="No sample has a label"):
        MeanAveragePrecision().compute(predictions=[[1.0, 2.0]], references=[[]])


@pytest.mark.parametrize("values", [None, 5], ids=["distinct", "ties"])
def test_retrieval_average_precision_equals_scikit_learn(values):
    similarity = scores_of((20, 30), values)
    positives = [sorted({query, query + 7, (query * 3) % 30}) for query in range(20)]
    relevant = np.zeros((20, 30), dtype=bool)
    for query, items in enumerate(positives):
        relevant[query, items] = True
    result = Retrieval().compute(predictions=similarity, references=positives)
    expected = np.mean([average_precision_score(*pair) for pair in zip(relevant, similarity, strict=True)])
    assert result["mean_average_precision"] == pytest.approx(expected, rel=1e-12)


def test_recall_by_hand_in_both_directions():
    similarity = np.array([[0.9, 0.1, 0.5, 0.0], [0.8, 0.7, 0.6, 0.0], [0.1, 0.2, 0.3, 0.9]])
    positives = [[0, 1], [2], [1]]  # best right items at ranks 1, 3 and 3
    forward = Retrieval().compute(predictions=similarity, references=positives, k=(1, 2, 3))
    assert [forward[f"recall_at_{k}"] for k in (1, 2, 3)] == pytest.approx([1 / 3, 1 / 3, 1])
    turned, queries = reverse(similarity, positives)
    assert turned.shape == (3, 3)  # the last item is right for nobody
    assert queries == [[0], [0, 2], [1]]
    backward = Retrieval().compute(predictions=turned, references=queries, k=(1, 2))
    assert backward["recall_at_1"] == pytest.approx(2 / 3)  # item 1 asks for 0 or 2 and gets 1 first
    assert backward["recall_at_2"] == 1


def test_recall_ties_by_expectation_equal_random_orders():
    generator = np.random.default_rng(0)
    similarity, positives = scores_of((12, 14), values=3), [[n, (n + 5) % 14] for n in range(12)]
    result = Retrieval().compute(predictions=similarity, references=positives, k=(1, 5))
    shuffled = [similarity + generator.uniform(0, 1e-3, similarity.shape) for _ in range(300)]
    for k in (1, 5):
        first = [np.argsort(-noisy, axis=1)[:, :k] for noisy in shuffled]
        hits = [[np.isin(row, items).any() for row, items in zip(f, positives, strict=True)] for f in first]
        assert result[f"recall_at_{k}"] == pytest.approx(np.mean(hits), abs=0.03)


def test_equal_similarities_score_chance():
    result = Retrieval().compute(predictions=np.zeros((3, 20)), references=[[0], [1], [2]])
    assert [result[f"recall_at_{k}"] for k in (1, 5, 10)] == pytest.approx([0.05, 0.25, 0.5])
    assert result["mean_average_precision"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    "places, tied, right, chance", [(0, 3, 1, 0), (-2, 3, 1, 0), (1, 4, 1, 0.25), (2, 4, 2, 5 / 6), (9, 4, 1, 1)]
)
def test_chance_of_hit(places, tied, right, chance):
    assert chance_of_hit(places, tied, right) == pytest.approx(chance)


@pytest.mark.parametrize(
    "metric, predictions, references, message",
    [
        (TopKAccuracy, [[1, 2], [1, np.nan]], [0, 1], "Sample 1: its scores hold NaN"),
        (TopKAccuracy, [[1, 2], [1]], [0, 1], r"lengths \[1, 2\]"),
        (TopKAccuracy, [[1, 2], [1, 2]], [0, 2], "Sample 1: expected as label a number from 0 to 1, got 2"),
        (MeanAveragePrecision, [[1, 2]], [[-1]], "Sample 0: expected as label a number from 0 to 1, got -1"),
        (Retrieval, [[1, 2], [1, 2]], [[0], []], "Sample 1 has no reference"),
        (Retrieval, [[1, 2], [1, 2]], [[0], [5]], "Sample 1: expected as right item a number from 0 to 1, got 5"),
        (ModalityGap, [[1, 0], [0, 0]], [[1, 0], [0, 1]], "Sample 1: its predicted embedding is all zeros"),
        (ModalityGap, [[1, 0]], [[1, 0, 0]], "of one size, got 2 and 3"),
    ],
)
def test_bad_input_names_the_sample(metric, predictions, references, message):
    for score in (metric().compute, metric().intervals):
        with pytest.raises(ValueError, match=message):
            score(predictions=predictions, references=references)


def test_modality_gap_by_hand():
    # After scaling the means are (1/2, 1/2) and (-1/2, 1/2), 1 apart; the cosines of the pairs are -1 and 1.
    result = ModalityGap().compute(predictions=[[2, 0], [0, 3]], references=[[-1, 0], [0, 5]])
    assert result == pytest.approx({"modality_gap": 1.0, "mean_cosine": 0.0})
    rows = scores_of((10, 4))
    assert ModalityGap().compute(predictions=rows, references=3 * rows) == pytest.approx(
        {"modality_gap": 0.0, "mean_cosine": 1.0}
    )
    assert ModalityGap().compute(predictions=rows[:1], references=-rows[:1])["modality_gap"] == pytest.approx(2)
