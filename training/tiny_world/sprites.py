# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The eight kinds, each drawn once, part by part, with its colours, its heat and its relief.

A thing looks to the right (a rocket: up). Pictures, heat and depth are cut out of the same drawing, so they agree on
the outline and on nothing else.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import cache

import numpy as np
from PIL import Image

from training.tiny_world.pen import RESOLUTION, Pen, Sprite


PHASES = 8  # of a movement that repeats: wings, legs, a rotor, the hands of a clock

DARK, LIGHT, GREY = (38, 38, 46), (246, 244, 236), (150, 152, 160)
BROWN, GLASS, ORANGE, FLAME = (120, 84, 56), (186, 222, 238), (244, 150, 40), (255, 232, 130)


def bell(pen: Pen, phase: float) -> None:
    swing = 0.2 * np.sin(2 * np.pi * phase)
    pen.line((-0.72, -0.86), (0.72, -0.86), 0.16, BROWN, 0.05, 0.2)
    pen.line((0, -0.84), (0, -0.6), 0.14, DARK, 0.2, 0.3)
    pen.ellipse((swing, 0.76), (0.17, 0.17), DARK, 1.0, 0.7)
    heights = np.linspace(0, 1, 16)
    # Narrow shoulders, a straight waist, a lip that flares out.
    half = 0.46 * np.sqrt(1 - (1 - np.minimum(heights / 0.3, 1)) ** 2) + 0.38 * heights**4
    profile = [(float(x), float(y)) for x, y in zip(half, 1.32 * heights - 0.68, strict=True)]
    pen.polygon(profile + [(-x, y) for x, y in reversed(profile)], 0.95, 0.6, 0.7)
    pen.polygon(
        [(-0.06, -0.56), (-0.2, -0.5), (-0.3, -0.25), (-0.34, 0.2), (-0.2, 0.2), (-0.16, -0.25)], LIGHT, 0.6, 1.0
    )
    pen.line((-0.76, 0.6), (0.76, 0.6), 0.14, 0.6, 0.85, 0.9)


def bird(pen: Pen, phase: float) -> None:
    lift = np.cos(2 * np.pi * phase)
    tip, spread = -0.66 - 0.28 * lift, 0.42 - 0.12 * lift
    pen.polygon([(0.34, 0.0), (-0.06, -0.02), (0.3 - spread, tip), (0.46 - spread, tip - 0.04)], 0.55, 0.45, 0.2)
    pen.polygon([(-0.44, 0.06), (-0.98, -0.16), (-0.86, 0.12), (-0.98, 0.4)], 0.7, 0.5, 0.3)
    pen.ellipse((-0.05, 0.18), (0.58, 0.34), 0.95, 0.85, 0.7)
    pen.ellipse((0.02, 0.32), (0.4, 0.18), LIGHT, 0.95, 0.8)
    pen.polygon([(0.72, -0.16), (0.99, -0.02), (0.7, 0.1)], ORANGE, 0.3, 0.6)
    pen.ellipse((0.52, -0.06), (0.28, 0.27), 0.95, 0.95, 0.8)
    pen.ellipse((0.6, -0.12), (0.1, 0.1), LIGHT, 0.95, 0.8)
    pen.ellipse((0.63, -0.12), (0.055, 0.06), DARK, 0.95, 0.8)
    pen.polygon([(0.22, 0.1), (-0.36, 0.16), (-0.18 - spread, tip), (0.02 - spread, tip - 0.04)], 0.7, 0.6, 1.0)


def clock(pen: Pen, phase: float) -> None:
    for x in (-0.5, 0.5):
        pen.line((x, 0.6), (1.3 * x, 0.92), 0.16, 0.6, 0.5, 0.4)
        pen.ellipse((1.04 * x, -0.72), (0.27, 0.2), 0.6, 0.6, 0.6, degrees=70 * x)
    pen.ellipse((0, 0.06), (0.84, 0.84), 0.95, 0.55, 0.7)
    pen.ellipse((0, 0.06), (0.66, 0.66), LIGHT, 0.12, 0.25)
    for hour in range(12):
        angle = np.pi * hour / 6
        pen.ellipse((0.55 * np.cos(angle), 0.06 + 0.55 * np.sin(angle)), (0.055, 0.055), DARK, 0.12, 0.35)
    for length, turns, width in ((0.34, 0.62, 0.13), (0.5, 0.62 + 0.25 + phase, 0.09)):
        angle = 2 * np.pi * turns
        pen.line((0, 0.06), (length * np.cos(angle), 0.06 + length * np.sin(angle)), width, DARK, 0.95, 0.9)
    pen.ellipse((0, 0.06), (0.13, 0.13), DARK, 1.0, 1.0)


def dog(pen: Pen, phase: float) -> None:
    step = 0.07 + 0.17 * np.sin(2 * np.pi * phase)
    for x, way in ((-0.5, 1), (0.3, -1)):
        pen.line((x + 0.06, 0.2), (x + 0.06 + way * step, 0.84), 0.16, 0.5, 0.5, 0.3)
    pen.line((-0.58, 0.0), (-0.84, -0.32), 0.14, 0.8, 0.4, 0.4)
    pen.line((-0.84, -0.32), (-0.8, -0.58), 0.14, 0.8, 0.35, 0.4)
    for x, way in ((-0.5, -1), (0.3, 1)):
        pen.line((x - 0.06, 0.2), (x - 0.06 + way * step, 0.86), 0.18, 0.85, 0.6, 0.6)
    pen.ellipse((-0.1, 0.12), (0.58, 0.3), 0.95, 0.85, 0.8)
    pen.line((0.28, 0.05), (0.48, -0.32), 0.34, 0.95, 0.9, 0.8)
    pen.ellipse((0.5, -0.4), (0.32, 0.28), 0.95, 0.95, 0.9)
    pen.ellipse((0.76, -0.3), (0.22, 0.15), LIGHT, 0.85, 1.0)
    pen.ellipse((0.93, -0.36), (0.08, 0.07), DARK, 0.1, 1.0)
    pen.line((0.7, -0.2), (0.86, -0.22), 0.04, DARK, 0.7, 0.9)
    pen.ellipse((0.32, -0.36), (0.14, 0.32), 0.5, 0.6, 1.0, degrees=14)
    pen.ellipse((0.58, -0.48), (0.065, 0.07), DARK, 0.95, 0.9)


def frog(pen: Pen, phase: float) -> None:
    push = 0.1 * np.sin(2 * np.pi * phase)
    for side in (-1, 1):
        pen.ellipse((side * 0.66, 0.42), (0.3, 0.36), 0.75, 0.1, 0.4)
        pen.line((side * 0.56, 0.74), (side * (0.9 - push), 0.82), 0.18, 0.75, 0.0, 0.3)
    pen.ellipse((0, 0.3), (0.62, 0.5), 0.95, 0.08, 0.7)
    pen.ellipse((0, 0.46), (0.4, 0.3), LIGHT, 0.12, 0.9)
    for side in (-1, 1):
        pen.line((side * 0.3, 0.4), (side * (0.3 + push), 0.84), 0.18, 0.85, 0.0, 0.9)
        pen.ellipse((side * 0.4, -0.46), (0.28, 0.28), 0.95, 0.08, 0.8)
    pen.ellipse((0, -0.1), (0.68, 0.4), 0.95, 0.08, 1.0)
    for side in (-1, 1):
        pen.ellipse((side * 0.4, -0.48), (0.19, 0.2), LIGHT, 0.3, 0.8)
        pen.ellipse((side * 0.4, -0.46), (0.1, 0.13), DARK, 0.35, 0.8)
        pen.line((side * 0.44, -0.02), (0, 0.1), 0.07, DARK, 0.08, 0.9)


def helicopter(pen: Pen, phase: float) -> None:
    reach = 0.5 + 0.45 * abs(np.cos(2 * np.pi * phase))
    pen.polygon([(-0.2, -0.1), (-0.92, -0.12), (-0.92, 0.0), (-0.2, 0.3)], 0.75, 0.1, 0.3)
    pen.polygon([(-0.98, -0.42), (-0.82, -0.42), (-0.76, 0.02), (-0.92, 0.02)], 0.6, 0.05, 0.3)
    pen.line((0.14, -0.2), (0.14, -0.62), 0.12, DARK, 0.9, 0.5)
    for x in (-0.08, 0.42):
        pen.line((x, 0.45), (x - 0.04, 0.76), 0.08, DARK, 0.05, 0.5)
    pen.line((-0.44, 0.8), (0.76, 0.8), 0.11, DARK, 0.05, 0.6)
    pen.ellipse((0.2, 0.18), (0.58, 0.42), 0.95, 0.6, 0.8)
    pen.polygon([(0.34, -0.2), (0.58, -0.1), (0.76, 0.14), (0.34, 0.18)], GLASS, 0.25, 0.9)
    pen.ellipse((-0.06, -0.1), (0.26, 0.17), 0.6, 1.0, 0.7)
    pen.line((0.14 - reach, -0.66), (0.14 + 0.85 * reach, -0.66), 0.11, DARK, 0.75, 1.0)
    pen.ellipse((0.14, -0.66), (0.12, 0.1), GREY, 0.9, 1.0)


def rocket(pen: Pen, phase: float) -> None:
    flicker = 0.1 * np.cos(2 * np.pi * phase)
    pen.polygon([(-0.27, 0.5), (0.27, 0.5), (0.12, 0.72), (0, 0.96 - abs(flicker)), (-0.12, 0.72)], ORANGE, 1.0, 0.2)
    pen.polygon([(-0.14, 0.5), (0.14, 0.5), (0, 0.76 + flicker)], FLAME, 1.0, 0.2)
    for side in (-1, 1):
        pen.polygon([(side * 0.2, -0.05), (side * 0.62, 0.36), (side * 0.62, 0.68), (side * 0.2, 0.5)], 0.65, 0.4, 0.3)
    pen.ellipse((0, -0.22), (0.36, 0.78), LIGHT, 0.2, 0.8)
    pen.polygon([(-0.36, -0.1), (0.36, -0.1), (0.34, 0.2), (0.27, 0.54), (-0.27, 0.54), (-0.34, 0.2)], 0.95, 0.6, 0.9)
    pen.polygon([(-0.27, -0.66), (-0.14, -0.88), (0, -0.99), (0.14, -0.88), (0.27, -0.66)], 0.8, 0.7, 0.6)
    pen.ellipse((0, -0.36), (0.2, 0.2), DARK, 0.2, 1.0)
    pen.ellipse((0, -0.36), (0.14, 0.14), GLASS, 0.2, 0.9)


def train(pen: Pen, phase: float) -> None:
    pen.box(-0.94, -0.5, -0.32, 0.35, 0.95, 0.5, 0.6)
    pen.box(-0.84, -0.38, -0.44, -0.04, GLASS, 0.1, 0.5)
    pen.box(-1.0, -0.66, -0.26, -0.5, DARK, 0.05, 0.7)
    pen.box(-0.32, -0.16, 0.8, 0.36, 0.8, 0.9, 0.9)
    pen.box(0.02, -0.16, 0.09, 0.36, DARK, 0.85, 0.9)
    pen.ellipse((0.1, -0.18), (0.13, 0.14), 0.6, 0.8, 0.7)
    pen.polygon([(0.5, -0.16), (0.42, -0.72), (0.8, -0.72), (0.72, -0.16)], DARK, 1.0, 0.8)
    pen.polygon([(0.74, 0.3), (0.8, 0.3), (1.0, 0.74), (0.7, 0.74)], 0.6, 0.3, 1.0)
    pen.box(-0.95, 0.33, 0.82, 0.46, DARK, 0.5, 0.8)
    for x, radius in ((-0.62, 0.3), (0.02, 0.23), (0.5, 0.23)):
        y = 0.84 - radius
        pen.ellipse((x, y), (radius, radius), DARK, 0.55, 1.0)
        pen.ellipse((x, y), (0.62 * radius, 0.62 * radius), GREY, 0.55, 1.0)
        angle = 2 * np.pi * phase
        pen.line((x, y), (x + 0.5 * radius * np.cos(angle), y + 0.5 * radius * np.sin(angle)), 0.07, DARK, 0.55, 1.0)


_DRAWINGS: dict[str, Callable[[Pen, float], None]] = {
    drawing.__name__: drawing for drawing in (bell, bird, clock, dog, frog, helicopter, rocket, train)
}


@cache
def _drawn(kind: str, phase: int) -> Sprite:
    pen = Pen()
    _DRAWINGS[kind](pen, phase / PHASES)
    return pen.sprite()


@cache
def sprite(kind: str, phase: int, resolution: int = RESOLUTION) -> Sprite:
    """Returns a kind in one of its `PHASES`, its smaller resolutions antialiased."""
    drawn = _drawn(kind, phase)
    layers = (getattr(drawn, layer.name) for layer in fields(drawn))
    return Sprite(*(layer.resize((resolution, resolution), Image.Resampling.BOX) for layer in layers))
