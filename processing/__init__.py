# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""From media and text to the model's tensors. A class is imported when it is first asked for."""

import importlib
from typing import Any


_MODULES = {
    "ImageBindProcessor": "processing_imagebind",
    "PandaGPTDepthImageProcessor": "image_processing_pandagpt",
    "PandaGPTDepthImageProcessorPil": "image_processing_pandagpt",
    "PandaGPTFeatureExtractor": "feature_extraction_pandagpt",
    "PandaGPTImageProcessor": "image_processing_pandagpt",
    "PandaGPTImageProcessorPil": "image_processing_pandagpt",
    "PandaGPTImuFeatureExtractor": "feature_extraction_pandagpt",
    "PandaGPTProcessor": "processing_pandagpt",
    "PandaGPTThermalImageProcessor": "image_processing_pandagpt",
    "PandaGPTThermalImageProcessorPil": "image_processing_pandagpt",
    "PandaGPTVideoProcessor": "video_processing_pandagpt",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
