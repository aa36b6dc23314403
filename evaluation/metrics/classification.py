# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Classification by scores: top-k accuracy, and mean average precision where a sample may have several labels."""

from typing import Any

import numpy as np

from ..bootstrap import Estimator, from_means
from .base import INDEX, INDICES, NUMBERS, Metric, check_index, check_matrix
from .ranking import average_precision


class TopKAccuracy(Metric):
    """The share of samples whose label is among the k best scored classes.

    Where the label ties with other classes it counts by expectation over a random order of these, so that a model to
    which all is equal scores chance. Without ties this is scikit-learn's `top_k_accuracy_score`.

    Args:
        predictions (`np.ndarray`): (samples, classes) scores, the higher the better.
        references (`list[int]`): The label of each sample.
        k (`tuple[int, ...]`, *optional*, defaults to `(1, 5)`): With fewer classes than k all of them count.

    Returns `top_1`, `top_5`.
    """

    inputs = {"predictions": NUMBERS, "references": INDEX}
    source = "Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, arXiv:1409.0575"

    def estimator(self, predictions: Any, references: Any, k: tuple[int, ...] = (1, 5)) -> Estimator:
        scores = check_matrix(predictions, "scores")
        samples, classes = scores.shape
        labels = [check_index(label, classes, index, "label") for index, label in enumerate(references)]
        own = scores[np.arange(samples), labels][:, None]
        better, tied = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
        return from_means({f"top_{places}": np.clip((places - better) / tied, 0, 1) for places in k})


class MeanAveragePrecision(Metric):
    """The mean over classes of average precision, for samples with several labels, as AudioSet is scored.

    A class without any positive sample has no average precision and stays out of the mean. Average precision is
    scikit-learn's `average_precision_score`, ties included. An interval draws samples anew for every class: with many
    of both it takes minutes.

    Args:
        predictions (`np.ndarray`): (samples, classes) scores, the higher the better.
        references (`list[list[int]]`): The labels of each sample; it may have none.

    Returns `mean_average_precision`.
    """

    inputs = {"predictions": NUMBERS, "references": INDICES}
    source = "Gemmeke et al., Audio Set: An ontology and human-labeled dataset for audio events, ICASSP 2017"

    def estimator(self, predictions: Any, references: Any) -> Estimator:
        scores = check_matrix(predictions, "scores")
        relevant = np.zeros(scores.shape, dtype=bool)
        for index, labels in enumerate(references):
            for label in labels:
                relevant[index, check_index(label, scores.shape[1], index, "label")] = True
        present = np.flatnonzero(relevant.any(axis=0))
        if not len(present):
            raise ValueError("No sample has a label: there is no average precision.")

        def score(counts: np.ndarray) -> dict[str, np.ndarray]:
            by_class = [average_precision(scores[:, label], relevant[:, label], counts) for label in present]
            drawn = [~np.isnan(precision) for precision in by_class]
            total = np.sum(
                [np.where(there, precision, 0) for there, precision in zip(drawn, by_class, strict=True)], 0
            )
            return {"mean_average_precision": total / np.maximum(np.sum(drawn, axis=0), 1)}

        return Estimator(len(scores), score)
