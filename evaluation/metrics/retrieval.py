# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Retrieval across modalities from a similarity matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..bootstrap import Estimator, from_means
from .base import INDICES, NUMBERS, Metric, check_index, check_matrix
from .ranking import average_precision, chance_of_hit


class Retrieval(Metric):
    """Recall at k, the share of queries with at least one right item among the k most similar ones, and mean average
    precision over queries. `reverse` turns the same data round for the other direction.

    Where the best right item ties with wrong ones, recall counts by expectation over a random order of these, so that
    a model to which all is equal scores chance; in average precision equal items enter together, as in scikit-learn.

    Args:
        predictions (`np.ndarray`): (queries, items) similarities.
        references (`list[list[int]]`): For each query the numbers of its right items, at least one.
        k (`tuple[int, ...]`, *optional*, defaults to `(1, 5, 10)`): With fewer items than k all of them count.

    Returns `recall_at_1`, `recall_at_5`, `recall_at_10` and `mean_average_precision`.
    """

    inputs = {"predictions": NUMBERS, "references": INDICES}
    source = "Hodosh et al., Framing Image Description as a Ranking Task, JAIR 47 (2013)"

    def estimator(self, predictions: Any, references: Any, k: tuple[int, ...] = (1, 5, 10)) -> Estimator:
        similarity = check_matrix(predictions, "similarities")
        recalls = np.empty((len(similarity), len(k)))
        precisions = np.empty(len(similarity))
        for query, (row, positives) in enumerate(zip(similarity, references, strict=True)):
            relevant = _relevant(positives, len(row), query)
            best = row[relevant].max()
            better, tied = int((row > best).sum()), row == best
            recalls[query] = [chance_of_hit(n - better, int(tied.sum()), int((tied & relevant).sum())) for n in k]
            precisions[query] = average_precision(row, relevant)[0]
        columns = {f"recall_at_{places}": recall for places, recall in zip(k, recalls.T, strict=True)}
        return from_means({**columns, "mean_average_precision": precisions})


def reverse(similarity: np.ndarray, references: Sequence[Sequence[int]]) -> tuple[np.ndarray, list[list[int]]]:
    """Predictions and references of the other direction: each item that is right for some query now asks for it. Items
    that are right for none would have no right answer, and are left out.

    Args:
        similarity (`np.ndarray`): (queries, items).
        references (`list[list[int]]`): For each query the numbers of its right items.
    """
    similarity = np.asarray(similarity)
    asking: dict[int, list[int]] = {}
    for query, positives in enumerate(references):
        for item in positives:
            asking.setdefault(check_index(item, similarity.shape[1], query, "right item"), []).append(query)
    items = sorted(asking)
    return similarity.T[items], [asking[item] for item in items]


def _relevant(positives: Any, items: int, query: int) -> np.ndarray:
    if not len(positives):
        raise ValueError(f"Sample {query} has no reference: expected the number of at least one right item.")
    relevant = np.zeros(items, dtype=bool)
    relevant[[check_index(item, items, query, "right item") for item in positives]] = True
    return relevant
