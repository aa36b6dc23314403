# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Bootstrap confidence intervals (Efron, 1979: percentile method), over samples, seeded and vectorised.

A score is a function of how often each sample counts. For most metrics, corpus ones like BLEU and F1 included, it is a
function of sums of per-sample statistics, so that a resample costs one matrix product (`from_totals`, `from_means`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np


Score = Callable[[np.ndarray], dict[str, np.ndarray]]

_DRAWN_AT_ONCE = 2**22  # numbers: 32 MB of counts, whatever the number of samples


class Estimator(NamedTuple):
    """A score ready to be computed on the samples and on resamples of them.

    Args:
        samples (`int`): How many there are.
        score (`Callable`): From counts (resamples, samples) to the scores by name, each (resamples,).
        strata (`np.ndarray`, *optional*): (samples,) groups whose sizes every resample keeps.
    """

    samples: int
    score: Score
    strata: np.ndarray | None = None

    def values(self) -> dict[str, float]:
        """The scores of the samples as they are."""
        return {name: float(value[0]) for name, value in self.score(np.ones((1, self.samples))).items()}


def from_totals(rows: np.ndarray, score: Score, strata: np.ndarray | None = None) -> Estimator:
    """An estimator from sufficient statistics.

    Args:
        rows (`np.ndarray`): (samples, statistics).
        score (`Callable`): From sums over samples (resamples, statistics) to the scores by name.
        strata (`np.ndarray`, *optional*): As in `Estimator`.
    """
    return Estimator(len(rows), lambda counts: score(counts @ rows), strata)


def from_means(columns: Mapping[str, np.ndarray]) -> Estimator:
    """An estimator of the means of per-sample scores, each (samples,), by name."""
    names, rows = list(columns), np.stack([np.asarray(column, dtype=float) for column in columns.values()], axis=1)
    return Estimator(
        len(rows), lambda counts: dict(zip(names, (counts @ rows / counts.sum(1, keepdims=True)).T, strict=True))
    )


def bootstrap(
    samples: int,
    score: Score,
    strata: np.ndarray | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Scores with their percentile intervals.

    Args:
        samples (`int`): The number of samples.
        score (`Callable`): From counts (resamples, samples) to the scores by name, each (resamples,).
        strata (`np.ndarray`, *optional*): (samples,) groups whose sizes every resample keeps.
        resamples (`int`, *optional*, defaults to 1000): How many are drawn.
        confidence (`float`, *optional*, defaults to 0.95): The share of resampled scores inside the interval.
        seed (`int`, *optional*, defaults to 0): The same seed gives the same interval.

    Returns:
        `dict[str, dict[str, float]]`: By name `value`, `low` and `high`. Where every sample scores the same the
        interval has no width: the bootstrap knows nothing of what was not observed.

    Raises:
        ValueError: If there is no sample or no resample, or if the confidence does not lie between 0 and 1.
    """
    if samples < 1 or resamples < 1:
        raise ValueError(f"Expected at least one sample and one resample, got {samples} and {resamples}.")
    if not 0 < confidence < 1:
        raise ValueError(f"Expected a confidence between 0 and 1, got {confidence}.")
    values = Estimator(samples, score).values()
    parts = [score(counts) for counts in _draw(samples, strata, resamples, np.random.default_rng(seed))]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    intervals = {}
    for name, value in values.items():
        low, high = np.quantile(np.concatenate([part[name] for part in parts]), tails)
        intervals[name] = {"value": value, "low": float(low), "high": float(high)}
    return intervals


def _draw(
    samples: int, strata: np.ndarray | None, resamples: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """How often each sample is drawn (resamples, samples), a block of resamples at a time."""
    groups = np.unique(np.zeros(samples) if strata is None else strata, return_inverse=True)[1]
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    block = max(1, _DRAWN_AT_ONCE // samples)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        counts = np.empty((size, samples))
        for group in members:
            drawn = generator.integers(len(group), size=(size, len(group)))
            drawn += np.arange(size)[:, None] * len(group)
            counts[:, group] = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(size, len(group))
        yield counts
