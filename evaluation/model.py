# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The model that is evaluated, loaded by our own installed classes, and what a report says of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.configuration_utils import PreTrainedConfig
from transformers.utils import CONFIG_NAME, cached_file
from transformers.utils.hub import extract_commit_hash

import pandagpt
from processing.processing_imagebind import MediaProcessorMixin


@dataclass
class Loaded:
    """
    A model that is evaluated.

    Args:
        name (`str`):
            Hub id or folder.
        commit (`str`, *optional*):
            On the Hub; a folder has none.
        processor (`PandaGPTProcessor` or `ImageBindProcessor`):
            Its processor.
        encoder ([`ImageBindModel`]):
            What encodes media: the model itself, or a PandaGPT's part.
        model ([`PandaGPTForConditionalGeneration`], *optional*):
            What answers; an ImageBind does not.
        base (`str`, *optional*):
            An adapter's base.
    """

    name: str
    commit: str | None
    processor: MediaProcessorMixin
    encoder: Any
    model: Any = None
    base: str | None = None

    def require_answers(self) -> Any:
        """The model that answers; a `ValueError` for an ImageBind."""
        if self.model is None:
            raise ValueError(f"{self.name} is an ImageBind, which answers no questions: give a PandaGPT")
        return self.model


def load(
    name: str, revision: str | None = None, dtype: str = "auto", device: str | torch.device | None = None
) -> Loaded:
    """
    Load what is evaluated.

    Args:
        name (`str`):
            Hub id or folder of a PandaGPT, of an adapter, whose base is loaded too, or of an ImageBind.
        revision (`str`, *optional*):
            Branch, tag or commit on the Hub of what `name` names.
        dtype (`str`, *optional*, defaults to `"auto"`):
            Type of the weights; `"auto"` takes the checkpoint's, for a PandaGPT as [`pandagpt.load`] does.
        device (`str` or `torch.device`, *optional*):
            Where it runs; `"auto"` spreads it over what there is.

    Returns:
        [`Loaded`]

    Raises:
        OSError: when there is no such model.
        ValueError: when it is of another kind.
    """
    base, base_revision, adapter = pandagpt.find_base(name, revision)
    kind = PreTrainedConfig.get_config_dict(base, revision=base_revision)[0].get("model_type")
    if kind not in ("pandagpt", "imagebind"):
        raise ValueError(f"{base} holds a model of type {kind!r}, expected 'pandagpt' or 'imagebind'")
    commit = _commit_of(name, revision, adapter)
    if kind == "imagebind":
        encoder = pandagpt.ImageBindModel.from_pretrained(
            base, revision=base_revision, dtype=dtype, device_map=device, trust_remote_code=False
        )
        processor = pandagpt.ImageBindProcessor.from_pretrained(name, revision=revision, trust_remote_code=False)
        return Loaded(name, commit, processor, encoder.eval())
    model, processor = pandagpt.load(name, revision, dtype, device)
    return Loaded(name, commit, processor, model.model.imagebind, model, base if adapter else None)


def load_text_encoder(loaded: Loaded, name: str | None, dtype: str, device: Any) -> tuple[Any, Any]:
    """
    What encodes text: the evaluated ImageBind, or the text encoder alone of another repository.

    Returns:
        `tuple[ImageBindModel, ImageBindProcessor]`

    Raises:
        ValueError: when there is none.
    """
    if name is not None:
        encoder = pandagpt.ImageBindModel.from_pretrained(
            name, modalities=["text"], dtype=dtype, device_map=device, trust_remote_code=False
        )
        processor = pandagpt.ImageBindProcessor.from_pretrained(name, trust_remote_code=False)
        if encoder.config.projection_dim != loaded.encoder.config.projection_dim:
            raise ValueError(
                f"the text of {name} lies in a space of {encoder.config.projection_dim} dimensions, the media of "
                f"{loaded.name} in one of {loaded.encoder.config.projection_dim}"
            )
        return encoder.eval(), processor
    if "text" not in loaded.encoder.config.modalities:
        raise ValueError(
            f"{loaded.name} has no text encoder: give --text_encoder the ImageBind that its encoders come from"
        )
    return loaded.encoder, loaded.processor


@torch.inference_mode()
def embed_texts(encoder: Any, processor: Any, texts: Sequence[str], batch_size: int) -> torch.Tensor:
    """
    ImageBind's embeddings of texts.

    Args:
        encoder ([`ImageBindModel`]), processor ([`ImageBindProcessor`]):
            As [`load_text_encoder`] gives them.
        texts (`Sequence[str]`):
            The texts.
        batch_size (`int`):
            How many are encoded together.

    Returns:
        `torch.FloatTensor` of shape `(texts, projection_dim)`, of norm 1.
    """
    found = []
    for start in range(0, len(texts), batch_size):
        ids = processor(text=list(texts[start : start + batch_size]), return_tensors="pt")["input_ids"]
        found.append(encoder.encode("text", ids.to(encoder.device)).pooler_output.float().cpu())
    return torch.cat(found)


def fingerprint(name: str | os.PathLike, commit: str | None) -> Any:
    """What tells one state of a model from another: its commit, or the names, sizes and times of a folder's files, but
    for those of its card."""
    if commit is not None or not os.path.isdir(name):
        return commit
    files = sorted(path for path in Path(name).iterdir() if path.is_file() and path.suffix not in (".md", ".png"))
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]


def _commit_of(name: str, revision: str | None, adapter: str | None) -> str | None:
    if os.path.isdir(name):
        return None
    return extract_commit_hash(adapter or cached_file(name, CONFIG_NAME, revision=revision), None)
