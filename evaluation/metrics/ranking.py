# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What rankings have in common: average precision, and hits among the first k where scores tie."""

import numpy as np


def average_precision(scores: np.ndarray, relevant: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Average precision, the sum of precision over the steps of recall, as in scikit-learn. Equal scores enter
    together, so that their order plays no part: a model for which all is equal gets the share of relevant items.

    Args:
        scores (`np.ndarray`): (items,).
        relevant (`np.ndarray`): (items,) bool.
        counts (`np.ndarray`, *optional*): (resamples, items) how often each item counts; once by default.

    Returns:
        `np.ndarray`: (resamples,); NaN where nothing relevant is counted.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    seen = (np.ones((1, len(scores))) if counts is None else counts)[:, order]
    hits = np.cumsum(seen * relevant[order], axis=1)[:, last_of_ties]
    precision = hits / np.maximum(np.cumsum(seen, axis=1)[:, last_of_ties], 1)
    gained = np.diff(hits, axis=1, prepend=0)
    with np.errstate(invalid="ignore"):
        return (gained * precision).sum(axis=1) / hits[:, -1]


def chance_of_hit(places: int, tied: int, right: int) -> float:
    """The probability that one of `right` items stands in the first `places` of a random order of `tied` items."""
    missed = 1.0
    for place in range(min(max(places, 0), tied)):
        missed *= max(tied - right - place, 0) / (tied - place)
    return 1 - missed
