# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Pictures: a thing before sky, hills and ground."""

import numpy as np

from training.tiny_world.scene import Pose, clouds, draw_pose, drawing, placed, rows_of, spot, streaks
from training.tiny_world.world import Instance


PAINTS = {"red": (222, 50, 46), "yellow": (244, 204, 42), "green": (48, 164, 72), "blue": (46, 96, 216)}
OUTLINE = np.array((38, 38, 46), np.float32) / 255
WHITE, CLOUD = np.ones(3, np.float32), np.array((0.98, 0.98, 0.99), np.float32)

# From above and at the horizon; by day, in the morning, at dusk, under clouds, at night.
SKIES = (
    ((112, 176, 232), (190, 222, 240)),
    ((150, 200, 220), (252, 226, 190)),
    ((120, 92, 160), (246, 170, 130)),
    ((158, 168, 180), (214, 218, 222)),
    ((26, 32, 72), (84, 92, 140)),
)
# Meadow, sand, snow, earth, sea.
GROUNDS = ((126, 176, 92), (222, 200, 146), (214, 224, 234), (150, 116, 88), (74, 134, 168))


def render(instance: Instance, rng: np.random.Generator, size: int = 64) -> np.ndarray:
    """Draws an individual; uint8 (size, size, 3)."""
    pose = draw_pose(instance, rng)
    return photograph(instance, pose, background(size, rng), rng)


def background(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draws sky with a cloud, hills and ground; float32 (size, size, 3) from 0 to 1."""
    top, bottom = np.array(SKIES[rng.integers(len(SKIES))], np.float32) / 255
    ground = np.array(GROUNDS[rng.integers(len(GROUNDS))], np.float32) / 255 * rng.uniform(0.85, 1.05)
    rows = rows_of(size)[..., None]
    horizon = rng.uniform(0.5, 0.85)
    canvas = top + (bottom - top) * (rows / horizon).clip(0, 1) + np.zeros((1, size, 1), np.float32)
    x, y, width = rng.uniform(0, 1), rng.uniform(0.08, 0.3), rng.uniform(0.12, 0.2)
    puffs = [spot(size, x + dx * width, y - dy * width, r * width, 0.6 * r * width) for dx, dy, r in _CLOUD]
    canvas = _paint(canvas, CLOUD, 0.75 * np.maximum.reduce(puffs))
    hill = spot(size, rng.uniform(0, 1), horizon + 0.12, rng.uniform(0.3, 0.6), rng.uniform(0.15, 0.32))
    canvas = _paint(canvas, (0.55 * ground + 0.45 * bottom), hill)
    line = horizon + 0.02 * clouds(size, 6, rng)[:1]
    canvas = _paint(canvas, ground * (1.1 - 0.35 * rows), ((rows[..., 0] - line) * size + 0.5).clip(0, 1))
    return canvas + 0.015 * clouds(size, 16, rng)[..., None]


def photograph(instance: Instance, pose: Pose, canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws an individual over a background, in a light and with a grain of its own; uint8 (size, size, 3)."""
    size = len(canvas)
    lines = streaks(instance, pose, size, rng, width=0.02)
    canvas = _paint(canvas, OUTLINE, 0.35 * ((lines + 0.012) * size + 0.5).clip(0, 1))
    canvas = _paint(canvas, WHITE, 0.9 * (lines * size + 0.5).clip(0, 1))
    shown = drawing(instance, pose, size)
    outline, cover = placed(shown.outline, pose, size), placed(shown.cover, pose, size)
    canvas = _paint(canvas, OUTLINE, outline)
    own = np.array(PAINTS[instance.colour], np.float32) / 255 * (1 + 0.12 * instance.shade)
    parts = placed(shown.fixed, pose, size) + placed(shown.tint, pose, size)[..., None] * own
    canvas = canvas * (1 - cover[..., None]) + parts
    grain = rng.uniform(0, 0.035) * rng.standard_normal(canvas.shape, dtype=np.float32)
    canvas = canvas * rng.uniform(0.8, 1.08) + grain
    return (255 * canvas.clip(0, 1)).round().astype(np.uint8)


_CLOUD = ((-0.8, 0.0, 0.6), (0.0, 0.2, 0.9), (0.8, 0.0, 0.6))  # offset to the right, upwards, and radius


def _paint(canvas: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    return canvas + cover[..., None] * (colour - canvas)
