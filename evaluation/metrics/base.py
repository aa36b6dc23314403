# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What all metrics share: an `evaluate.Metric` in memory, with bootstrap intervals and checked inputs."""

from collections.abc import Mapping
from typing import Any, ClassVar

import datasets
import evaluate
import numpy as np

from ..bootstrap import Estimator, bootstrap


TEXT = datasets.Value("string")
TEXTS = datasets.Sequence(TEXT)
NUMBER = datasets.Value("float64")
NUMBERS = datasets.Sequence(NUMBER)
INDEX = datasets.Value("int64")
INDICES = datasets.Sequence(INDEX)


class Metric(evaluate.Metric):
    """A metric whose score is an `Estimator`.

    A subclass gives `inputs`, the features that `compute` takes (or a list of alternatives), `source`, the paper or
    page that defines it, and `estimator`.

    Args:
        keep_in_memory (`bool`, *optional*): Whether predictions stay out of the cache folder, where processes could
            meet; by default wherever `evaluate` allows it, which is `num_process=1`.
        kwargs: Those of `evaluate.Metric`.
    """

    inputs: ClassVar[Any]
    source: ClassVar[str]

    def __init__(self, config_name: str | None = None, keep_in_memory: bool | None = None, **kwargs: Any):
        if keep_in_memory is None:
            keep_in_memory = kwargs.get("num_process", 1) == 1
        super().__init__(config_name, keep_in_memory, **kwargs)

    def estimator(self, predictions: Any, references: Any, *args: Any, **kwargs: Any) -> Estimator:
        """The score of these predictions, ready to be computed and resampled."""
        raise NotImplementedError

    def intervals(
        self,
        *,
        predictions: Any,
        references: Any,
        resamples: int = 1000,
        confidence: float = 0.95,
        seed: int = 0,
        **kwargs: Any,
    ) -> dict[str, dict[str, float]]:
        """The scores of `compute`, with their bootstrap intervals.

        Args:
            predictions, references, kwargs: Those of `compute`; arrays are taken as they are.
            resamples (`int`, *optional*, defaults to 1000): How many are drawn.
            confidence (`float`, *optional*, defaults to 0.95): Of the intervals.
            seed (`int`, *optional*, defaults to 0): Of the draws.

        Returns:
            `dict[str, dict[str, float]]`: By name of a score its `value`, `low` and `high`.

        Raises:
            ValueError: If an input is missing, empty, of another length than the predictions, or malformed.
        """
        columns = {"predictions": predictions, "references": references, **kwargs}
        self._check_columns(columns)
        estimator = self.estimator(predictions, references, **kwargs)
        return bootstrap(*estimator, resamples=resamples, confidence=confidence, seed=seed)

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Add a batch of predictions and references, all of one length."""
        self._check_columns({"predictions": predictions, "references": references, **kwargs})
        super().add_batch(predictions=predictions, references=references, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        alternatives = self.inputs if isinstance(self.inputs, list) else [self.inputs]
        features = [datasets.Features(alternative) for alternative in alternatives]
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation=self.source,
            inputs_description=self.__doc__ or "",
            features=features if len(features) > 1 else features[0],
        )

    def _compute(self, predictions: Any, references: Any, **kwargs: Any) -> dict[str, float]:
        return self.estimator(predictions, references, **kwargs).values()

    def _check_columns(self, columns: Mapping[str, Any]) -> None:
        names = self._feature_names()
        missing = [name for name in names if columns.get(name) is None]
        if missing:
            raise ValueError(f"{self.name} lacks the input {missing[0]}; it takes {', '.join(names)}.")
        lengths = {name: len(columns[name]) for name in names}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{self.name} needs as many of each input, got {lengths}.")
        if not lengths["predictions"]:
            raise ValueError(f"{self.name} has nothing to score: the predictions are empty.")
        for name in names:
            absent = [index for index, item in enumerate(columns[name]) if item is None]
            if absent:
                raise ValueError(f"Sample {absent[0]} lacks its item of {name}.")


def check_text(text: Any, sample: int, what: str) -> str:
    """The text (an empty one is one), or a ValueError that names the sample."""
    if not isinstance(text, str):
        raise ValueError(f"Sample {sample}: expected a text as {what}, got {text!r}.")
    return text


def check_reference(texts: Any, sample: int) -> list[str]:
    """The reference texts of a sample (one text stands for a list of one), or a ValueError that names the sample."""
    texts = [texts] if isinstance(texts, str) else list(texts)
    if any(not isinstance(text, str) for text in texts):
        raise ValueError(f"Sample {sample}: expected texts as references, got {texts!r}.")
    if not any(text.strip() for text in texts):
        raise ValueError(f"Sample {sample} has no reference: expected at least one text that is not empty.")
    return texts


def check_matrix(rows: Any, what: str) -> np.ndarray:
    """The (samples, columns) numbers, or a ValueError that names the first row with another length, or with NaN."""
    lengths = {len(row) for row in rows}
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(f"Expected {what} of one and the same length a sample, got lengths {sorted(lengths)}.")
    matrix = np.asarray(rows, dtype=float)
    broken = np.flatnonzero(np.isnan(matrix).any(axis=1))
    if len(broken):
        raise ValueError(f"Sample {broken[0]}: its {what} hold NaN.")
    return matrix


def check_index(index: Any, size: int, sample: int, what: str) -> int:
    """The index of one of `size` things, or a ValueError that names the sample."""
    if not isinstance(index, (int, np.integer)) or not 0 <= index < size:
        raise ValueError(f"Sample {sample}: expected as {what} a number from 0 to {size - 1}, got {index!r}.")
    return int(index)
