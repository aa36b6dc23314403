# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The metrics, each an `evaluate.Metric` that needs no network and is built without arguments:

    ExactMatch().compute(predictions=["A dog."], references=[["dog", "puppy"]])  # {"exact_match": 1.0}
    ExactMatch().intervals(predictions=..., references=...)  # {"exact_match": {"value": ..., "low": ..., "high": ...}}

Scores are fractions of 1 (tables print them times 100), except `cider` (pycocoevalcap's scale), MME's points and the
modality gap. A class is imported when it is first asked for.
"""

import importlib
from typing import Any


_MODULES = {
    "Bleu": "captions",
    "Cider": "captions",
    "ExactMatch": "answers",
    "MeanAveragePrecision": "classification",
    "Mme": "yes_no",
    "ModalityGap": "embeddings",
    "MultipleChoice": "multiple_choice",
    "MultipleChoiceLikelihood": "multiple_choice",
    "Retrieval": "retrieval",
    "RougeL": "captions",
    "SacreBleu": "captions",
    "TopKAccuracy": "classification",
    "VqaAccuracy": "answers",
    "YesNo": "yes_no",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
