# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Where a thing stands in a picture, of light, of heat or of depth, and what its speed leaves behind it."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from training.tiny_world.pen import RESOLUTION, Sprite
from training.tiny_world.sprites import PHASES, sprite
from training.tiny_world.world import SPEEDS, Instance


EXTENTS = {"small": (0.34, 0.44), "large": (0.62, 0.76)}  # sides of the drawing, in pictures
TRAILS = {"slow": 0.0, "steady": 0.16, "fast": 0.65}  # lengths behind a thing, in pictures


@dataclass(frozen=True)
class Pose:
    """
    Where and how a thing stands in a picture.

    Args:
        x (`float`), y (`float`): the middle, in pictures from the upper left corner.
        extent (`float`): the side of its drawing, in pictures.
        aspect (`float`): width by height, relative to the drawing's.
        degrees (`float`): turned clockwise.
        mirrored (`bool`): looks to the left.
        phase (`int`): of its repeating movement.
        ahead (`tuple[float, float]`): the direction (x, y) in which it moves.
    """

    x: float
    y: float
    extent: float
    aspect: float
    degrees: float
    mirrored: bool
    phase: int
    ahead: tuple[float, float]

    def moved(self, distance: float, phases: int = 0) -> "Pose":
        """The pose after the thing moved on by a distance, in pictures, and its movement by some phases."""
        x, y = self.x + distance * self.ahead[0], self.y + distance * self.ahead[1]
        return replace(self, x=x, y=y, phase=(self.phase + phases) % PHASES)


def draw_pose(instance: Instance, rng: np.random.Generator) -> Pose:
    """Places an individual at random, a little ahead of the middle, so that a trail has room behind it."""
    low, high = EXTENTS[instance.size]
    degrees, mirrored = rng.uniform(-12, 12), bool(rng.random() < 0.5)
    towards = -90 if instance.kind == "rocket" else 180 if mirrored else 0
    angle = np.deg2rad(degrees + towards)
    pose = Pose(
        x=rng.uniform(0.42, 0.58),
        y=rng.uniform(0.42, 0.58),
        extent=(low + (high - low) * (instance.bulk + 1) / 2) * rng.uniform(0.95, 1.05),
        aspect=1 + 0.1 * instance.stretch,
        degrees=degrees,
        mirrored=mirrored,
        phase=int(rng.integers(PHASES)),
        ahead=(float(np.cos(angle)), float(np.sin(angle))),
    )
    return pose.moved(0.1)


def drawing(instance: Instance, pose: Pose, size: int) -> Sprite:
    """The individual's drawing at the resolution at which it is about to be shown."""
    resolution = 32
    while resolution < min(pose.extent * size, RESOLUTION):
        resolution *= 2
    return sprite(instance.kind, pose.phase, resolution)


def placed(layer: Image.Image, pose: Pose, size: int) -> np.ndarray:
    """Returns a layer of a drawing as it falls on a square picture; float32 (size, size[, 3]) from 0 to 1."""
    side = layer.width
    cos, sin = np.cos(np.deg2rad(pose.degrees)), np.sin(np.deg2rad(pose.degrees))
    scale, flip = side / (pose.extent * size), -1 if pose.mirrored else 1
    # From a pixel of the picture back to the drawing: move, turn, stretch, mirror, scale.
    a, b = flip * scale * cos / pose.aspect, flip * scale * sin / pose.aspect
    c, d = -scale * sin * pose.aspect, scale * cos * pose.aspect
    x, y = pose.x * size, pose.y * size
    matrix = (a, b, side / 2 - a * x - b * y, c, d, side / 2 - c * x - d * y)
    shown = layer.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.asarray(shown, np.float32) / 255


def behind(pose: Pose, size: int) -> tuple[np.ndarray, np.ndarray]:
    """How far every pixel lies behind a thing and beside its way, in pictures; float32 (size, size) each."""
    rows, columns = rows_of(size) - pose.y, rows_of(size).T - pose.x
    x, y = pose.ahead
    return -(columns * x + rows * y), rows * x - columns * y


def trail_length(instance: Instance) -> float:
    """How far, in pictures, an individual's speed shows behind it."""
    return TRAILS[instance.speed] * (1 + 0.15 * instance.tempo)


def streaks(instance: Instance, pose: Pose, size: int, rng: np.random.Generator, width: float) -> np.ndarray:
    """Returns the lines that a draughtsman puts behind what moves: none if it is slow, three short ones if it is
    steady, five long ones if it is fast; float32 (size, size), how far inside a line in pictures, negative outside."""
    count = 1 + 2 * SPEEDS.index(instance.speed)
    inside = np.full((size, size), -1, np.float32)
    if count == 1:
        return inside
    along, across = behind(pose, size)
    start = 0.2 * pose.extent
    lengths = (0.25 * pose.extent + trail_length(instance)) * rng.uniform(0.85, 1.15, count)
    offsets = np.linspace(-0.38, 0.38, count) * pose.extent + rng.normal(0, 0.012, count)
    for offset, length in zip(offsets, lengths, strict=True):
        progress = (along - start) / length
        tapered = width * (1.2 - progress) - np.abs(across - offset)
        inside = np.maximum(inside, np.where((progress > 0) & (progress < 1), tapered, -1))
    return inside


def clouds(size: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Returns smooth noise of about unit variance, `cells` lumps wide; float32 (size, size)."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def spot(size: int, x: float, y: float, width: float, height: float) -> np.ndarray:
    """Where an upright ellipse (its radii given) covers a square picture; float32 (size, size) from 0 to 1."""
    rows, columns = (rows_of(size) - y) / height, (rows_of(size).T - x) / width
    return ((1 - np.sqrt(rows * rows + columns * columns)) * min(width, height) * size + 0.5).clip(0, 1)


def rows_of(size: int) -> np.ndarray:
    """The heights of the rows of a picture, from its top to its bottom; float32 (size, 1) from 0 to 1."""
    return ((np.arange(size, dtype=np.float32) + 0.5) / size)[:, None]
