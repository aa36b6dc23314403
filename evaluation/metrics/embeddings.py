# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Embeddings of two modalities: how far apart they lie."""

from typing import Any

import numpy as np

from ..bootstrap import Estimator, from_totals
from .base import NUMBERS, Metric, check_matrix


class ModalityGap(Metric):
    """The modality gap, the Euclidean distance between the means of two modalities' embeddings on the unit sphere, and
    the mean cosine of pairs. The gap of embeddings that lie alike is 0, that of opposite points 2.

    Args:
        predictions (`np.ndarray`): (samples, dimensions) embeddings of one modality, scaled to norm 1 here.
        references (`np.ndarray`): (samples, dimensions) embeddings of the other one, pair by pair.

    Returns `modality_gap` and `mean_cosine`.
    """

    inputs = {"predictions": NUMBERS, "references": NUMBERS}
    source = "Liang et al., Mind the Gap, NeurIPS 2022, arXiv:2203.02053"

    def estimator(self, predictions: Any, references: Any) -> Estimator:
        ours, theirs = (_unit(rows, what) for rows, what in ((predictions, "predicted"), (references, "reference")))
        if ours.shape != theirs.shape:
            raise ValueError(f"Expected pairs of embeddings of one size, got {ours.shape[1]} and {theirs.shape[1]}.")
        cosine = (ours * theirs).sum(axis=1, keepdims=True)
        rows = np.concatenate([ours - theirs, cosine, np.ones_like(cosine)], axis=1)

        def score(totals: np.ndarray) -> dict[str, np.ndarray]:
            means = totals[:, :-1] / totals[:, -1:]
            return {"modality_gap": np.linalg.norm(means[:, :-1], axis=1), "mean_cosine": means[:, -1]}

        return from_totals(rows, score)


def _unit(rows: Any, what: str) -> np.ndarray:
    embeddings = check_matrix(rows, f"{what} embeddings")
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    empty = np.flatnonzero(norms == 0)
    if len(empty):
        raise ValueError(f"Sample {empty[0]}: its {what} embedding is all zeros, which has no direction.")
    return embeddings / norms
