# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Depth maps: the relief of a thing in a bare room, and the puffs of dust that it stirs up behind it."""

import numpy as np

from training.tiny_world.scene import Pose, clouds, draw_pose, drawing, placed, rows_of, spot, trail_length
from training.tiny_world.world import Instance


RELIEF = 2.4  # metres from the flattest part of a thing to the one that stands out most
DUST_SPACING = 0.12  # pictures between two puffs


def render(instance: Instance, rng: np.random.Generator, size: int = 64) -> np.ndarray:
    """Draws an individual's distance; float32 (size, size), metres."""
    pose = draw_pose(instance, rng)
    metres = _room(size, rng)
    distance = rng.uniform(6.0, 7.5)
    dust = _dust(instance, pose, size, rng)
    metres = metres + dust * (distance - 0.5 - metres)
    shown = drawing(instance, pose, size)
    cover, relief = placed(shown.cover, pose, size), placed(shown.relief, pose, size)
    metres = metres + cover * (distance - metres) - RELIEF * relief
    return (metres * (1 + rng.uniform(0, 0.03) * rng.standard_normal((size, size)))).astype(np.float32)


def _room(size: int, rng: np.random.Generator) -> np.ndarray:
    """A wall, often askew, behind a floor, with pillars before it."""
    rows, columns = rows_of(size), rows_of(size).T
    wall = rng.uniform(10, 20) * (1 + rng.uniform(-0.5, 0.5) * (columns - 0.5))
    metres = np.minimum(wall, rng.uniform(3, 6) / np.maximum(rows - rng.uniform(0.4, 0.7), 1e-3)).clip(8.5)
    for x, width, distance in rng.uniform((0, 0.02, 9), (1, 0.09, 14), (3, 3)):
        metres = np.where(np.abs(columns - x) < width, np.minimum(metres, distance), metres)
    return metres * (1 + 0.02 * clouds(size, 6, rng))


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
