# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Draw the example files from formulas, so that they are free to use and to check.

```bash
python -m demo.examples.make_examples FOLDER
```

| file | what |
|---|---|
| `picture.png` | a panda with a stalk of bamboo, 336x336 RGB |
| `sound.wav` | three bird calls, 3 s, 16 kHz, mono |
| `video.mp4` | the panda walks from left to right, 2.5 s, 24 frames a second, H.264 |
| `thermal.png` | a warm figure before a cold wall, 8 bit, brighter is warmer |
| `depth.npy` | a ball on the floor of a room, 128x128 float32, metres |
| `motion.csv` | five seconds of walking, 400 rows a second, accelerometer (m/s²) and gyroscope (rad/s) |
"""

import sys
from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image


SAMPLING_RATE = 16_000
FRAME_RATE = 24
MOTION_RATE = 400

BLACK, WHITE, PINK = (28, 28, 32), (250, 250, 246), (196, 120, 130)
SKY, GRASS, BAMBOO = (178, 216, 236), (124, 176, 92), (72, 140, 60)


def ellipse(size: int, x: float, y: float, width: float, height: float, degrees: float = 0.0) -> np.ndarray:
    """Where an ellipse covers a square picture, in [0, 1], with an edge one pixel soft; lengths in picture sizes."""
    rows, columns = (np.mgrid[:size, :size] + 0.5) / size
    angle = np.deg2rad(degrees)
    along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
    radius = np.hypot(along / (width / 2), across / (height / 2))
    return np.clip(0.5 + (1 - radius) * size * min(width, height) / 2, 0, 1)  # (size, size)


def paint(canvas: np.ndarray, colour: tuple[int, int, int], cover: np.ndarray) -> None:
    canvas += cover[..., None] * (np.array(colour, dtype=float) - canvas)


def panda(size: int, x: float = 0.5, y: float = 0.54, scale: float = 1.0) -> np.ndarray:
    """A panda's head before sky and grass, with its middle at (x, y); uint8 (size, size, 3)."""
    canvas = np.empty((size, size, 3))
    canvas[:] = SKY
    paint(canvas, GRASS, ellipse(size, 0.5, 1.25, 2.4, 0.9))
    paint(canvas, BAMBOO, ellipse(size, 0.92, 0.5, 0.05, 1.3))
    for height in (0.22, 0.46, 0.7):
        paint(canvas, GRASS, ellipse(size, 0.86, height, 0.16, 0.05, 25))

    def part(colour: tuple[int, int, int], dx: float, dy: float, width: float, height: float, degrees: float = 0):
        placed = (x + scale * dx, y + scale * dy, scale * width, scale * height)
        paint(canvas, colour, ellipse(size, *placed, degrees))

    for side in (-1, 1):
        part(BLACK, side * 0.25, -0.25, 0.22, 0.22)
    part(WHITE, 0, 0, 0.72, 0.62)
    for side in (-1, 1):
        part(BLACK, side * 0.15, -0.04, 0.17, 0.22, -side * 35)
        part(WHITE, side * 0.135, -0.05, 0.075, 0.075)
        part(BLACK, side * 0.13, -0.045, 0.045, 0.045)
        part(PINK, side * 0.24, 0.13, 0.09, 0.05)
    part(BLACK, 0, 0.1, 0.11, 0.07)
    part(BLACK, 0, 0.19, 0.16, 0.07)
    part(WHITE, 0, 0.17, 0.18, 0.06)
    return canvas.round().astype(np.uint8)


def video_frames() -> list[np.ndarray]:
    """Sixty frames of the panda, which nods as it walks from left to right; uint8 (192, 192, 3) each."""
    progress = np.linspace(0, 1, 60)
    return [panda(192, x=0.1 + 0.8 * p, y=0.62 + 0.03 * np.sin(8 * np.pi * p), scale=0.55) for p in progress]


def bird_calls() -> np.ndarray:
    """Three calls of four falling chirps each; float64 (48000,) in [-1, 1]."""
    wave = np.zeros(3 * SAMPLING_RATE)
    time = np.arange(int(0.11 * SAMPLING_RATE)) / SAMPLING_RATE
    frequency = 4200 - 1800 * time / time[-1] + 120 * np.sin(2 * np.pi * 30 * time)
    chirp = 0.5 * np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLING_RATE) * np.sin(np.pi * time / time[-1])
    for call in range(3):
        for note in range(4):
            start = int((0.15 + 0.95 * call + 0.15 * note) * SAMPLING_RATE)
            wave[start : start + len(chirp)] += chirp * (1 - 0.15 * note)
    return wave


def thermal_picture() -> np.ndarray:
    """A figure of body heat before a wall that is warmer at its foot; uint8 (256, 256)."""
    size = 256
    wall = np.linspace(40, 70, size)[:, None] * np.ones(size)
    parts = [
        (0.5, 0.24, 0.16, 0.2, 0),
        (0.5, 0.52, 0.28, 0.4, 0),
        (0.33, 0.5, 0.09, 0.36, 15),
        (0.67, 0.5, 0.09, 0.36, -15),
        (0.44, 0.82, 0.11, 0.36, 4),
        (0.56, 0.82, 0.11, 0.36, -4),
    ]
    warmth = np.max([ellipse(size, *part) * (230 - 90 * abs(part[1] - 0.24)) for part in parts], axis=0)
    return np.maximum(wall, warmth).round().astype(np.uint8)


def depth_map() -> np.ndarray:
    """A room 3 m deep seen from 1.2 m above its floor, with a ball of 0.4 m on the way; float32 (128, 128), m."""
    size, focal, eye, back, radius = 128, 110.0, 1.2, 3.0, 0.4
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    rays = np.stack([columns / focal, rows / focal, np.ones((size, size))])  # (3, size, size), depth 1
    floor = np.where(rays[1] > 0, eye / np.maximum(rays[1], 1e-9), np.inf)
    metres = np.minimum(floor, back)
    middle = np.array([0.2, eye - radius, 2.0])
    b = np.tensordot(middle, rays, 1) / (rays**2).sum(0)
    discriminant = b**2 - (middle @ middle - radius**2) / (rays**2).sum(0)
    ball = np.where(discriminant > 0, b - np.sqrt(np.maximum(discriminant, 0)), np.inf)
    return np.minimum(metres, ball).astype(np.float32)


def walking() -> np.ndarray:
    """Two steps a second for five seconds; float64 (2000, 6): accelerometer in m/s², gyroscope in rad/s."""
    phase = 2 * np.pi * 2 * np.arange(5 * MOTION_RATE) / MOTION_RATE
    columns = [
        0.8 * np.sin(phase + 0.6),
        0.5 * np.sin(phase / 2),
        9.81 + 2.4 * np.sin(phase) + 0.7 * np.sin(2 * phase + 0.4),
        0.35 * np.sin(phase / 2 + 0.9),
        0.25 * np.sin(phase + 1.7),
        0.5 * np.cos(phase / 2),
    ]
    return np.stack(columns, axis=1).round(3)


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "26", "threads": "1"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def main(folder: Path) -> None:
    Image.fromarray(panda(336)).save(folder / "picture.png", optimize=True)
    soundfile.write(folder / "sound.wav", bird_calls(), SAMPLING_RATE, subtype="PCM_16")
    write_video(folder / "video.mp4", video_frames())
    Image.fromarray(thermal_picture()).save(folder / "thermal.png", optimize=True)
    np.save(folder / "depth.npy", depth_map())
    header = "accel_x,accel_y,accel_z,gyro_x,gyro_y,gyro_z"
    np.savetxt(folder / "motion.csv", walking(), fmt="%.3f", delimiter=",", header=header, comments="")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
