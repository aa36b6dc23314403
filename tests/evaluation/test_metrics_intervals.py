# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Bootstrap intervals, and what all metrics share."""

from pathlib import Path

import evaluate
import numpy as np
import pytest
import sacrebleu
from pycocoevalcap.bleu.bleu import Bleu as CocoBleu
from sklearn.metrics import average_precision_score, f1_score

import evaluation.metrics
from evaluation.bootstrap import bootstrap, from_means
from evaluation.metrics import Bleu, ExactMatch, MeanAveragePrecision, SacreBleu, YesNo
from evaluation.metrics.captions import ptb


COUNTS = np.array([[1, 1, 1, 1], [3, 0, 1, 0], [0, 2, 0, 2], [1, 2, 1, 0]])  # how often each resample has each sample
PREDICTIONS = ["a dog runs on the grass", "a man on a horse", "two cats", "a red bus is in the street"]
REFERENCES = [
    ["a dog runs on green grass", "the dog runs on the grass"],
    ["a man rides a horse", "a man on a horse in a field"],
    ["two black cats sleep", "cats"],
    ["a red bus drives down the street", "bus"],
]


def repeat(items, counts) -> list:
    return [item for item, count in zip(items, counts, strict=True) for _ in range(count)]


def test_resampled_corpus_scores_equal_scores_of_the_repeated_samples():
    bleu = Bleu().estimator(PREDICTIONS, REFERENCES).score(COUNTS)
    sacre = SacreBleu().estimator(PREDICTIONS, REFERENCES).score(COUNTS)
    for row, counts in enumerate(COUNTS):
        predictions, references = repeat(PREDICTIONS, counts), repeat(REFERENCES, counts)
        coco, _ = CocoBleu(4).compute_score(
            {index: [ptb(text) for text in texts] for index, texts in enumerate(references)},
            {index: [ptb(text)] for index, text in enumerate(predictions)},
            verbose=0,
        )
        assert bleu["bleu_4"][row] == pytest.approx(coco[3], rel=1e-12)
        expected = sacrebleu.BLEU().corpus_score(predictions, list(zip(*references, strict=True))).score
        assert sacre["sacrebleu"][row] == pytest.approx(expected / 100, rel=1e-12)


def test_resampled_f1_and_precision_equal_scikit_learn():
    truth, said = np.array([1, 0, 1, 1]), np.array([1, 1, 0, 1])
    words = np.array(["no", "yes"])
    f1 = YesNo().estimator(words[said], words[truth]).score(COUNTS)["f1"]
    scores = np.array([[0.1, 0.4], [0.3, 0.2], [0.3, 0.9], [0.7, 0.2]])
    labels = [[0], [0, 1], [1], [0, 1]]
    relevant = np.array([[1, 0], [1, 1], [0, 1], [1, 1]])
    precision = MeanAveragePrecision().estimator(scores, labels).score(COUNTS)["mean_average_precision"]
    for row, counts in enumerate(COUNTS):
        assert f1[row] == pytest.approx(f1_score(truth, said, sample_weight=counts), rel=1e-12)
        expected = average_precision_score(repeat(relevant, counts), repeat(scores, counts), average="macro")
        assert precision[row] == pytest.approx(expected, rel=1e-12)


def test_a_class_that_a_resample_lacks_stays_out_of_its_mean():
    estimator = MeanAveragePrecision().estimator([[0.9, 0.1], [0.2, 0.8]], [[0], [1]])
    np.testing.assert_allclose(estimator.score(np.array([[2, 0], [0, 2]]))["mean_average_precision"], 1)


def test_interval_of_a_share_is_that_of_the_binomial():
    hits = np.arange(400) < 120
    interval = bootstrap(*from_means({"accuracy": hits}), resamples=4000)["accuracy"]
    error = np.sqrt(0.3 * 0.7 / 400)
    assert interval["value"] == pytest.approx(0.3)
    assert interval["low"] == pytest.approx(0.3 - 1.96 * error, abs=0.1 * error)
    assert interval["high"] == pytest.approx(0.3 + 1.96 * error, abs=0.1 * error)


def test_the_seed_decides():
    estimator = from_means({"score": np.arange(50) % 7})
    assert bootstrap(*estimator, seed=1) == bootstrap(*estimator, seed=1)
    assert bootstrap(*estimator, seed=1) != bootstrap(*estimator, seed=2)


def test_blocks_of_resamples_do_not_change_the_interval(monkeypatch):
    estimator = from_means({"score": np.arange(50) % 7})
    whole = bootstrap(*estimator, resamples=200)
    monkeypatch.setattr("evaluation.bootstrap._DRAWN_AT_ONCE", 50 * 7)
    assert bootstrap(*estimator, resamples=200) == whole


def test_strata_keep_their_sizes():
    seen = []

    def score(counts):
        seen.append(counts)
        return {"score": counts[:, 0]}

    bootstrap(5, score, strata=np.array(["a", "b", "a", "b", "b"]), resamples=20)
    counts = np.concatenate(seen)
    np.testing.assert_array_equal(counts[:, [0, 2]].sum(axis=1), 2)
    np.testing.assert_array_equal(counts[:, [1, 3, 4]].sum(axis=1), 3)
    assert counts.std() > 0


def test_one_sample_has_no_spread():
    assert ExactMatch().intervals(predictions=["a dog"], references=["dog"]) == {
        "exact_match": {"value": 1.0, "low": 1.0, "high": 1.0}
    }


@pytest.mark.parametrize("settings", [{"resamples": 0}, {"confidence": 1.0}])
def test_bad_settings(settings):
    with pytest.raises(ValueError, match="Expected"):
        ExactMatch().intervals(predictions=["a"], references=["a"], **settings)


@pytest.mark.parametrize("name", evaluation.metrics.__all__)
def test_every_metric_is_an_evaluate_metric(name):
    metric = getattr(evaluation.metrics, name)()
    assert isinstance(metric, evaluate.Metric)
    assert metric.citation and metric.description.strip()
    assert "Returns `" in metric.inputs_description


def test_unknown_metric():
    with pytest.raises(AttributeError, match="Meteor"):
        evaluation.metrics.Meteor  # noqa: B018


def test_metrics_write_no_file_and_do_not_meet():
    first, second = ExactMatch(), ExactMatch()
    first.add_batch(predictions=["a dog"], references=["dog"])
    second.add_batch(predictions=["a cat"], references=["dog"])
    first.add_batch(predictions=["cat"], references=["cat"])
    assert first.compute() == {"exact_match": 1.0}
    assert second.compute() == {"exact_match": 0.0}
    assert not [path for path in Path(evaluate.config.HF_METRICS_CACHE).rglob("*") if path.is_file()]


def test_a_metric_goes_on_after_an_error():
    metric = ExactMatch()
    with pytest.raises(ValueError, match="as many of each input"):
        metric.compute(predictions=["a"], references=["a", "b"])
    with pytest.raises(ValueError, match="nothing to score"):
        metric.compute(predictions=[], references=[])
    with pytest.raises(ValueError, match="lacks the input references"):
        metric.compute(predictions=["a"])
    with pytest.raises(ValueError, match="no reference"):
        metric.compute(predictions=["a", "b"], references=["a", ""])
    assert metric.compute(predictions=["a"], references=["a"]) == {"exact_match": 1.0}
