# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Depth maps: the relief of a thing in a room full of boxes, and the puffs of dust that it stirs up behind it."""

import numpy as np

from training.tiny_world.scene import Pose, clouds, draw_pose, drawing, placed, rows_of, spot, trail_length
from training.tiny_world.world import Instance


RELIEF = 1.5  # metres from the flattest part of a thing to the one that stands out most
BOXES = 8
DUST_SPACING = 0.12  # pictures between two puffs


def render(instance: Instance, rng: np.random.Generator, size: int = 64) -> np.ndarray:
    """Draws an individual's distance; float32 (size, size), metres."""
    pose = draw_pose(instance, rng)
    distance = rng.uniform(4.0, 9.0)
    metres = _room(distance, size, rng)
    dust = _dust(instance, pose, size, rng)
    metres = metres + dust * (distance - 0.5 - metres)
    shown = drawing(instance, pose, size)
    cover, relief = placed(shown.cover, pose, size), placed(shown.relief, pose, size)
    metres = metres + cover * (distance - metres) - RELIEF * relief
    return (metres * (1 + rng.uniform(0, 0.03) * rng.standard_normal((size, size)))).astype(np.float32)


def _room(distance: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """A wall, often askew, behind a floor, with boxes before it; all of it farther away than a thing."""
    rows, columns = rows_of(size), rows_of(size).T
    wall = distance * rng.uniform(1.2, 3) * (1 + rng.uniform(-0.6, 0.6) * (columns - 0.5))
    metres = np.minimum(wall, rng.uniform(3, 6) / np.maximum(rows - rng.uniform(0.4, 0.7), 1e-3))
    for x, y, width, height, further in rng.uniform((0, 0, 0.05, 0.05, 1.05), (1, 1, 0.3, 0.3, 2), (BOXES, 5)):
        is_box = (np.abs(columns - x) < width) & (np.abs(rows - y) < height)
        metres = np.where(is_box, np.minimum(metres, distance * further), metres)
    return metres.clip(distance + 0.3) * (1 + 0.02 * clouds(size, 6, rng))


def _dust(instance: Instance, pose: Pose, size: int, rng: np.random.Generator) -> np.ndarray:
    """Puffs that get smaller with their distance; float32 (size, size) from 0 to 1."""
    cover = np.zeros((size, size), np.float32)
    length = trail_length(instance)
    start = 0.46 * pose.extent
    for along in np.arange(start, start + length, DUST_SPACING):
        radius = (0.085 - 0.06 * (along - start)) * rng.uniform(0.85, 1.15)
        across = rng.uniform(-0.12, 0.12) * pose.extent
        x = pose.x - along * pose.ahead[0] - across * pose.ahead[1]
        y = pose.y - along * pose.ahead[1] + across * pose.ahead[0]
        cover = np.maximum(cover, spot(size, x, y, radius, radius))
    return cover
