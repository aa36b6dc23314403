# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What exists: 8 kinds of things x 2 sizes x 3 speeds, in 4 colours, and individuals of each.

An individual keeps its traits in every medium and every rendering; where it stands, what is behind it and the noise
differ from one rendering to the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np


KINDS = ("bell", "bird", "clock", "dog", "frog", "helicopter", "rocket", "train")
SIZES = ("small", "large")
SPEEDS = ("slow", "steady", "fast")
COLOURS = ("red", "yellow", "green", "blue")
CONCEPTS = tuple(product(KINDS, SIZES, SPEEDS))

# The names are those of the blocks in a chat.
MODALITIES = ("image", "video", "audio", "thermal", "depth", "imu")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Instance:
    """
    An individual.

    Args:
        identity (`int`): a number of its own, that all randomness of its renderings starts from.
        kind (`str`), size (`str`), speed (`str`), colour (`str`): what it is; one of the constants above each.
        shade (`float`), stretch (`float`), bulk (`float`), voice (`float`), tempo (`float`), warmth (`float`):
            its traits, each from -1 to 1: of its colour, its proportions, its size and pitch among those of its size,
            its speed among those of its speed, and its temperature.
    """

    identity: int
    kind: str
    size: str
    speed: str
    colour: str
    shade: float
    stretch: float
    bulk: float
    voice: float
    tempo: float
    warmth: float

    @property
    def concept(self) -> tuple[str, str, str]:
        return self.kind, self.size, self.speed

    def rng(self, modality: str, rendering: int = 0) -> np.random.Generator:
        """The randomness of one rendering (of `"text"`: of one wording), always the same for the same individual."""
        return np.random.default_rng([self.identity, (*MODALITIES, "text").index(modality), rendering])


def sample(rng: np.random.Generator, concept: tuple[str, str, str] | None = None) -> Instance:
    """Draws an individual, of any concept if none is given."""
    kind, size, speed = CONCEPTS[rng.integers(len(CONCEPTS))] if concept is None else concept
    traits = (float(trait) for trait in rng.uniform(-1, 1, 6))
    return Instance(int(rng.integers(2**62)), kind, size, speed, COLOURS[rng.integers(len(COLOURS))], *traits)


def instances(split: str, count: int, seed: int = 0) -> Iterator[Instance]:
    """Draws the individuals of a split, equally many of each concept (within one), in random order.

    Args:
        split (`str`): `"train"`, `"validation"` or `"test"`; no individual is in two of them.
        count (`int`): how many. The first ones are not those of a smaller count.
        seed (`int`, *optional*, defaults to 0): of the whole world.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    first = rng.integers(len(CONCEPTS))
    for position in rng.permutation(count):
        yield sample(rng, CONCEPTS[(first + position) % len(CONCEPTS)])
