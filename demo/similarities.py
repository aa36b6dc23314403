# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What the shared space holds: cosine similarities of media and texts, as a heat map in HTML."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import torch

from modeling_pandagpt import ImageBindModel
from processing import ImageBindProcessor


COLD, HOT = (59, 76, 192), (180, 4, 38)  # of similarities -1 and 1; 0 is the paper


@dataclass(frozen=True)
class Item:
    """
    What a row and a column of the heat map stand for.

    Args:
        name (`str`):
            A file's name, or a text.
        kind (`str`):
            `"text"`, or the kind of medium.
        picture (`Path`, *optional*):
            A PNG of it.
    """

    name: str
    kind: str
    picture: Path | None = None


class TextEncoder:
    """
    The text side of an ImageBind, which a PandaGPT's own encoder lacks.

    Args:
        name (`str`):
            Hub id or folder of an ImageBind with its text encoder.
        projection_dim (`int`):
            Width of the space that the texts are to be compared in.

    Raises:
        OSError: when there is no such model.
        ValueError: when it has no text encoder, or another space.
    """

    def __init__(self, name: str, projection_dim: int):
        model, loading = ImageBindModel.from_pretrained(name, modalities=["text"], output_loading_info=True)
        if model.config.projection_dim != projection_dim:
            raise ValueError(
                f"--imagebind {name} has a space of {model.config.projection_dim} dimensions, the model's ImageBind "
                f"one of {projection_dim}: they cannot be the same."
            )
        self.model = model.eval()
        self.processor = ImageBindProcessor.from_pretrained(name)

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Returns the embeddings of texts, (texts, projection_dim)."""
        return self.model(**self.processor(text=list(texts), return_tensors="pt")).text_embeds


def cosine_similarities(embeds: torch.Tensor) -> torch.Tensor:
    """Of embeddings (n, width) each with each, (n, n)."""
    # An average of several clips' embeddings has a norm below 1.
    embeds = torch.nn.functional.normalize(embeds.float().cpu(), dim=-1)
    return embeds @ embeds.T


def heat_map(items: Sequence[Item], similarities: torch.Tensor) -> str:
    """
    A table in HTML.

    Args:
        items (`Sequence[Item]`):
            What the rows and columns stand for.
        similarities (`torch.Tensor`):
            Of each with each, (items, items), from -1 to 1.
    """
    heads = "".join(f'<th scope="col">{_label(item)}</th>' for item in items)
    rows = "".join(
        f'<tr><th scope="row">{_label(item)}</th>{"".join(map(_cell, row))}</tr>'
        for item, row in zip(items, similarities.tolist(), strict=True)
    )
    return f'<div class="heat"><table><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _label(item: Item) -> str:
    picture = ""
    if item.picture:
        data = base64.b64encode(item.picture.read_bytes()).decode()
        picture = f'<img alt="" src="data:image/png;base64,{data}">'
    name = f"“{item.name}”" if item.kind == "text" else item.name
    return f'<span class="heat-label">{picture}<span title="{escape(name)}">{escape(name)}</span></span>'


def _cell(similarity: float) -> str:
    colour, strength = (HOT if similarity > 0 else COLD), min(abs(similarity), 1.0)
    red, green, blue = (round(255 + (channel - 255) * strength) for channel in colour)
    ink = "#fff" if strength > 0.65 else "#1e293b"
    return f'<td style="background: rgb({red}, {green}, {blue}); color: {ink}">{round(similarity, 2) + 0.0:.2f}</td>'
