# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The model: everything of it that a Hub repository executes, and the converter of the original checkpoints."""

from .configuration_pandagpt import ImageBindConfig, PandaGPTConfig
from .modeling_imagebind import ImageBindModel, ImageBindPreTrainedModel
from .modeling_pandagpt import PandaGPTForConditionalGeneration, PandaGPTModel, PandaGPTPreTrainedModel


__all__ = [
    "ImageBindConfig",
    "ImageBindModel",
    "ImageBindPreTrainedModel",
    "PandaGPTConfig",
    "PandaGPTForConditionalGeneration",
    "PandaGPTModel",
    "PandaGPTPreTrainedModel",
]
