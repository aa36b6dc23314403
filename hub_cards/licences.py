# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Which licences the parts of a checkpoint come under, as far as its configuration tells.

Notable:
- ImageBind has two: its README and its model card name different ones. Both are said.
- LLaMA-1 may be had from Meta alone: whole weights that descend from it are not for everybody's eyes.
"""

from dataclasses import dataclass
from typing import Any

from modeling_pandagpt.configuration_pandagpt import (
    ORIGINAL_MODALITY_SCALES,
    ImageBindConfig,
    PandaGPTConfig,
)


LICENCE_NOTE = "LICENSES.md"


@dataclass(frozen=True)
class Licence:
    """
    The licence of one part.

    Args:
        part (`str`):
            What it covers.
        name (`str`):
            What it is called.
        identifier (`str`):
            The Hub's name of it; `"other"` where the Hub has none.
        link (`str`, *optional*):
            Where it can be read.
    """

    part: str
    name: str
    identifier: str
    link: str | None = None


CODE = Licence("Code", "Apache License 2.0", "apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")
IMAGEBIND_BY_README = Licence(
    "ImageBind's weights, by its README",
    "CC BY-NC 4.0",
    "cc-by-nc-4.0",
    "https://github.com/facebookresearch/ImageBind",
)
IMAGEBIND_BY_MODEL_CARD = Licence(
    "ImageBind's weights, by its model card",
    "CC BY-NC-SA 4.0",
    "cc-by-nc-sa-4.0",
    "https://github.com/facebookresearch/ImageBind/blob/main/model_card.md",
)
LLAMA_1 = Licence(
    "Language model, a descendant of LLaMA",
    "LLaMA's non-commercial research licence",
    "other",
    "https://github.com/facebookresearch/llama/blob/llama_v1/MODEL_CARD.md",
)
PANDAGPT = Licence(
    "PandaGPT's released projector and LoRA",
    "CC BY-NC 4.0",
    "cc-by-nc-4.0",
    "https://github.com/yxuansu/PandaGPT",
)
LLAMA_1_REASON = "it holds weights that descend from LLaMA-1, whose licence lets Meta alone hand them out"


def descends_from_llama_1(config: Any) -> bool:
    """
    Whether the language model has the shape that LLaMA-1 and Vicuna up to v1.3 have, and later LLaMAs have not: 2048
    positions, epsilon 1e-6 and 32000 pieces, or 32001 with Vicuna's padding. A model trained anew in that shape is
    taken for one of them too.

    Args:
        config ([`PandaGPTConfig`] or [`ImageBindConfig`]):
            Of the checkpoint.
    """
    text = getattr(config, "text_config", None)
    return (
        text is not None
        and text.model_type == "llama"
        and text.vocab_size in (32000, 32001)
        and text.max_position_embeddings == 2048
        and text.rms_norm_eps == 1e-6
    )


def holds_imagebind(config: ImageBindConfig) -> bool:
    """Whether an encoder has the released size; a miniature's weights are nobody's but its trainer's."""
    released = ImageBindConfig()
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads")
    return any(
        all(getattr(getattr(config, encoder), size) == getattr(getattr(released, encoder), size) for size in sizes)
        for encoder in (f"{modality}_config" for modality in config.modalities or ())
    )


def licences_of(config: PandaGPTConfig | ImageBindConfig | None) -> list[Licence]:
    """
    The licences of a checkpoint's parts, the code's first.

    Args:
        config ([`PandaGPTConfig`] or [`ImageBindConfig`], *optional*):
            Of the model, or of an adapter's base; the code's licence alone when `None`.
    """
    licences = [CODE]
    if config is None:
        return licences
    encoders: Any = getattr(config, "imagebind_config", config)
    if holds_imagebind(encoders):
        licences += [IMAGEBIND_BY_README, IMAGEBIND_BY_MODEL_CARD]
        if getattr(config, "modality_scales", None) == ORIGINAL_MODALITY_SCALES:  # only converted checkpoints have it
            licences.append(PANDAGPT)
    if descends_from_llama_1(config):
        licences.append(LLAMA_1)
    return licences


def licence_note(config: PandaGPTConfig | ImageBindConfig | None) -> str:
    """The text of the file that lists the licences, as markdown. The argument is that of [`licences_of`]."""
    rows = [
        f"| {licence.part} | {f'[{licence.name}]({licence.link})' if licence.link else licence.name} |"
        for licence in licences_of(config)
    ]
    table = "\n".join(["| Part | Licence |", "|---|---|", *rows])
    return f"# Licences\n\n{table}\n\nA part that is not listed comes under its own publisher's licence.\n"
