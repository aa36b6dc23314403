# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Videos: the thing moves on, the camera stands still."""

import numpy as np

from training.tiny_world.picture import background, photograph
from training.tiny_world.scene import draw_pose
from training.tiny_world.sprites import PHASES
from training.tiny_world.world import Instance


SECONDS = 2.0
DISTANCES = {"slow": 0.04, "steady": 0.14, "fast": 0.32}  # pictures from the first frame to the last
REPETITIONS = {"slow": 1.0, "steady": 2.0, "fast": 4.0}  # of the repeating movement in that time


def render(instance: Instance, rng: np.random.Generator, size: int = 64, frames: int = 2) -> np.ndarray:
    """Draws frames that are spread evenly from the first to the last of two seconds; uint8 (frames, size, size, 3)."""
    middle = draw_pose(instance, rng).moved(-0.08)
    canvas = background(size, rng)
    distance = DISTANCES[instance.speed] * (1 + 0.15 * instance.tempo)
    shown = []
    for progress in np.linspace(0, 1, frames):
        phases = round(PHASES * REPETITIONS[instance.speed] * progress)
        shown.append(photograph(instance, middle.moved(distance * (progress - 0.5), phases), canvas, rng))
    return np.stack(shown)
