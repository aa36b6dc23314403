# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The demo's example files, drawn from the tiny world, large enough to look at.

```bash
python -m training.tiny_world.examples FOLDER
```

| file | what |
|---|---|
| `picture.png`, `sound.wav` | the same large, fast, yellow dog, 256x256 RGB, and 2 s at 16 kHz |
| `video.mp4` | a small, steady, red train, 2 s, 256x256, H.264 |
| `thermal.png` | a large, fast rocket, 256x256, 8 bit, brighter is warmer |
| `depth.npy` | a large, slow helicopter, 128x128 float32, metres |
| `motion.csv` | a small, steady frog that leaps: 5 s, 400 rows a second, accelerometer (m/s²) and gyroscope (rad/s) |
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.tiny_world.files import write
from training.tiny_world.world import Instance, sample


RESOLUTION = 256

# File: medium, individual, its colour, resolution.
EXAMPLES = {
    "picture.png": ("image", ("dog", "large", "fast"), "yellow", RESOLUTION),
    "sound.wav": ("audio", ("dog", "large", "fast"), "yellow", RESOLUTION),
    "video.mp4": ("video", ("train", "small", "steady"), "red", RESOLUTION),
    "thermal.png": ("thermal", ("rocket", "large", "fast"), "blue", RESOLUTION),
    "depth.npy": ("depth", ("helicopter", "large", "slow"), "green", RESOLUTION // 2),
    "motion.csv": ("imu", ("frog", "small", "steady"), "green", RESOLUTION),
}


def individual(concept: tuple[str, str, str], colour: str) -> Instance:
    """An individual of the examples, which belongs to no split."""
    return replace(sample(np.random.default_rng(list("_".join(concept).encode())), concept), colour=colour)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (modality, concept, colour, resolution) in EXAMPLES.items():
        write(individual(concept, colour), modality, folder / name, resolution)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
