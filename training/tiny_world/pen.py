# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A pen that draws a thing on several layers at once: its colours, its heat and its relief.

A drawing lives in a square from -1 to 1 (x to the right, y down).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


RESOLUTION = 256
_SUPERSAMPLING = 2
_OUTLINE = 0.035

Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Sprite:
    """
    A drawing at one resolution, in layers, all of them 0 where nothing is drawn.

    Args:
        outline (`Image`): L, where it hides what is behind it in a picture: all its parts, and a dark line around.
        fixed (`Image`): RGB, the parts that have the same colour whatever the individual's.
        tint (`Image`): L, how bright the individual's own colour is.
        cover (`Image`): L, where it hides what is behind it for heat and depth: its parts alone.
        heat (`Image`): L, temperature from coldest to hottest.
        relief (`Image`): L, how far a part stands out towards the viewer.
    """

    outline: Image.Image
    fixed: Image.Image
    tint: Image.Image
    cover: Image.Image
    heat: Image.Image
    relief: Image.Image


class Pen:
    """Draws parts over one another on all layers at once.

    A part has a `colour`: fixed (red, green, blue), or the brightness of the individual's own colour from 0 to 1;
    `heat` and `relief` from 0 to 1.
    """

    def __init__(self) -> None:
        self.side = RESOLUTION * _SUPERSAMPLING
        modes = {"fixed": "RGB", "tint": "L", "cover": "L", "heat": "L", "relief": "L"}
        self.layers = {name: Image.new(mode, (self.side, self.side)) for name, mode in modes.items()}
        self.draws = {name: ImageDraw.Draw(layer) for name, layer in self.layers.items()}

    def polygon(
        self, points: Sequence[Point], colour: float | Colour = 0.95, heat: float = 0.5, relief: float = 0.5
    ) -> None:
        corners = [((x + 1) * self.side / 2, (y + 1) * self.side / 2) for x, y in points]
        fixed, tint = (colour, 0.0) if isinstance(colour, tuple) else ((0, 0, 0), colour)
        self.draws["fixed"].polygon(corners, fill=fixed)
        for layer, level in (("tint", tint), ("cover", 1.0), ("heat", heat), ("relief", relief)):
            self.draws[layer].polygon(corners, fill=round(255 * level))

    def box(self, left: float, top: float, right: float, bottom: float, *looks: Any) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], *looks)

    def ellipse(self, centre: Point, radii: Point, *looks: Any, degrees: float = 0.0) -> None:
        angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
        turned = radii[0] * np.exp(1j * np.deg2rad(degrees)) * np.cos(angles)
        turned = turned + 1j * radii[1] * np.exp(1j * np.deg2rad(degrees)) * np.sin(angles)
        self.polygon([(centre[0] + float(z.real), centre[1] + float(z.imag)) for z in turned], *looks)

    def line(self, start: Point, end: Point, width: float, *looks: Any) -> None:
        """A line with round ends."""
        along = complex(end[0] - start[0], end[1] - start[1])
        side = 0.5j * width * along / max(abs(along), 1e-6)
        across = (side.real, side.imag)
        corners = [
            (x + way * across[0], y + way * across[1])
            for (x, y), way in ((start, 1), (end, 1), (end, -1), (start, -1))
        ]
        self.polygon(corners, *looks)
        for point in (start, end):
            self.ellipse(point, (width / 2, width / 2), *looks)

    def sprite(self) -> Sprite:
        outline = self.layers["cover"]
        for _ in range(round(_OUTLINE * self.side / 2)):
            outline = outline.filter(ImageFilter.MaxFilter(3))  # many small steps: the cost of a filter is its area
        layers = [outline, *self.layers.values()]
        return Sprite(*(layer.resize((RESOLUTION, RESOLUTION), Image.Resampling.BOX) for layer in layers))
