# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Thermal pictures: warm and cold parts before cool surroundings, and the warm air behind what moves."""

import numpy as np

from training.tiny_world.scene import behind, clouds, draw_pose, drawing, placed, rows_of, spot, trail_length
from training.tiny_world.sprites import sprite
from training.tiny_world.world import Instance


WAKES = {"slow": 0.0, "steady": 0.3, "fast": 0.5}  # how much warmer, in units of the whole range
GLOW = 16  # resolution of a drawing at which its heat has spread


def render(instance: Instance, rng: np.random.Generator, size: int = 64) -> np.ndarray:
    """Draws an individual's heat; uint8 (size, size), brighter is warmer."""
    pose = draw_pose(instance, rng)
    canvas = _surroundings(size, rng)
    length = trail_length(instance)
    if length:
        along, across = behind(pose, size)
        start = 0.25 * pose.extent
        width = 0.22 * pose.extent * (1 + 0.15 * np.sin(25 * along + rng.uniform(0, 6)))
        wake = (along > start) * ((start + 0.2 * pose.extent + length - along) / 0.12).clip(0, 1)
        canvas = canvas + WAKES[instance.speed] * wake * np.exp(-((across / width) ** 4))

    glow, spread = sprite(instance.kind, pose.phase, GLOW), 0.3
    shown = drawing(instance, pose, size)
    cover, heat = placed(shown.cover, pose, size), placed(shown.heat, pose, size)
    soft_cover, soft_heat = placed(glow.cover, pose, size), placed(glow.heat, pose, size)
    warmth = 0.95 + 0.05 * instance.warmth
    canvas = canvas * (1 - spread * soft_cover) + spread * warmth * soft_heat
    canvas = canvas * (1 - cover) + warmth * heat
    canvas = canvas + rng.uniform(0, 0.03) * rng.standard_normal((size, size), dtype=np.float32)
    gain = rng.uniform(0.5, 1.0)  # the camera chooses its own range
    canvas = gain * canvas + rng.uniform(0, 1 - gain)
    return (255 * canvas.clip(0, 1)).round().astype(np.uint8)


def _surroundings(size: int, rng: np.random.Generator) -> np.ndarray:
    """Air and ground that differ in temperature, with patches that the sun has warmed or the shade has cooled."""
    air, ground = rng.uniform(0.05, 0.5, 2)
    edge = ((rows_of(size) - rng.uniform(0.5, 0.9)) * size / rng.uniform(2, 20) + 0.5).clip(0, 1)
    canvas = air + (ground - air) * edge + rng.uniform(0.01, 0.05) * clouds(size, 5, rng)
    for x, y, width, height in rng.uniform((0, 0, 0.08, 0.08), (1, 1, 0.3, 0.3), (6, 4)):
        canvas = canvas + rng.uniform(-0.25, 0.25) * spot(size, x, y, width, height)
    return canvas
