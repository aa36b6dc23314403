# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The world as ordinary files: PNG, MP4, WAV, arrays for NumPy or as a table, and conversations, one a line."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import numpy as np
import soundfile
from PIL import Image

from training.tiny_world import depth, motion, picture, sound, thermal, video
from training.tiny_world.world import Instance


RENDERERS: Mapping[str, Callable[..., np.ndarray]] = MappingProxyType(
    {
        "image": picture.render,
        "video": video.render,
        "audio": sound.render,
        "thermal": thermal.render,
        "depth": depth.render,
        "imu": motion.render,
    }
)
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "image": "picture.png",
        "video": "video.mp4",
        "audio": "sound.wav",
        "thermal": "thermal.png",
        "depth": "depth.npy",
        "imu": "motion.npy",
    }
)
FRAME_RATE = 8
FRAMES = round(FRAME_RATE * video.SECONDS)


def write(instance: Instance, modality: str, path: Path, resolution: int = 64, rendering: int = 0) -> None:
    """Renders an individual in one medium and writes it.

    Args:
        modality (`str`): one of `world.MODALITIES`.
        path (`Path`): the file. Its suffix is free where the medium has several forms: `.npy` or `.csv` for motion.
        resolution (`int`, *optional*, defaults to 64): side of pictures and videos, of heat and depth, in pixels.
        rendering (`int`, *optional*, defaults to 0): which of the endlessly many renderings of this individual.
    """
    rng = instance.rng(modality, rendering)
    if modality == "audio":
        soundfile.write(path, sound.render(instance, rng), sound.RATE, subtype="PCM_16")
    elif modality == "imu":
        _write_motion(path, motion.render(instance, rng))
    elif modality == "video":
        _write_video(path, video.render(instance, rng, resolution, FRAMES))
    elif modality == "depth":
        np.save(path, depth.render(instance, rng, resolution))
    else:
        Image.fromarray(RENDERERS[modality](instance, rng, resolution)).save(path)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads a file of conversations."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Writes a file of conversations."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def _write_motion(path: Path, values: np.ndarray) -> None:
    if path.suffix == ".npy":
        np.save(path, values)
        return
    header = "accel_x,accel_y,accel_z,gyro_x,gyro_y,gyro_z"
    np.savetxt(path, values.T, fmt="%.3f", delimiter=",", header=header, comments="")


def _write_video(path: Path, frames: np.ndarray) -> None:
    # Presets that look ahead depend on what happens to be in memory: the same frames give several files.
    options = {"preset": "ultrafast", "crf": "18", "threads": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
