# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Media as a person looks at them: what kind a file is of, and a picture of what cannot be seen as it is."""

import io
import logging
import os
import tempfile
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageOps

from processing import PandaGPTImuFeatureExtractor
from processing.image_processing_pandagpt import open_picture


logger = logging.getLogger(__name__)

# What a picture may show; the first is what is supposed.
PICTURE_KINDS = {"Photograph": "image", "Thermal": "thermal", "Depth": "depth"}

SUFFIXES = {
    "image": (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    "video": (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg"),
    "audio": (".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac"),
    "imu": (".csv",),
}
KIND_OF_SUFFIX = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}

# Colours from low to high, even steps apart: dark to glowing for heat, far and blue to near and red for depth.
HEAT = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
DISTANCE = ((48, 18, 92), (62, 116, 236), (30, 195, 202), (146, 243, 86), (243, 196, 58), (232, 88, 22), (122, 4, 3))
LINES = ((228, 87, 86), (84, 162, 75), (76, 120, 168))  # x, y, z
INK, PAPER, GRID, BAR = (71, 85, 105), (248, 250, 252), (226, 232, 240), (14, 116, 144)

LONGEST_SIDE = 480  # pixels of a preview
WAVEFORM_RATE = 8000  # samples a second, plenty for a picture
SCALE = 2  # plots are drawn twice as large as they are shown, for sharp screens


def kind_of(path: str | Path) -> str:
    """
    What kind of medium a file is supposed to be, by its suffix; a `.npy` by its shape, a picture by its bits.

    Raises:
        ValueError: when it can be none.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        shape = _shape_of_array(path)
        return "imu" if len(shape) == 2 and shape[0] == 6 else "depth"
    if suffix not in KIND_OF_SUFFIX:
        raise ValueError(
            f"{path.name} is none of the files that can be given: pictures, videos, sounds, depth maps (.npy, PNG, "
            "TIFF) and motion recordings (.npy, .csv)."
        )
    kind = KIND_OF_SUFFIX[suffix]
    return "depth" if kind == "image" and _is_deep(path) else kind


def is_picture(path: str | Path) -> bool:
    """Whether it has to be said what a file shows: a photograph, temperatures or distances."""
    return KIND_OF_SUFFIX.get(Path(path).suffix.lower()) == "image"


def _shape_of_array(path: Path) -> tuple[int, ...]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path.name} is no array of numbers, or it is damaged.") from error


def _is_deep(path: Path) -> bool:
    """Whether a picture has more than 8 bits of one channel; one that cannot be opened is none."""
    try:
        with Image.open(path) as picture:
            return picture.mode in ("F", "I") or picture.mode.startswith("I;16")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def picture_of(kind: str, path: str | Path, imu_rate: float | None = None) -> Path | None:
    """
    A PNG of a medium, written beside it: itself made small, its first frame, false colours, a waveform or a plot.

    It is drawn once. Where nothing can be drawn, an empty file says so from then on.

    Args:
        kind (`str`):
            `"image"`, `"video"`, `"audio"`, `"thermal"`, `"depth"` or `"imu"`.
        path (`str` or `Path`):
            The medium.
        imu_rate (`float`, *optional*):
            Samples a second of a motion recording.

    Returns:
        `Path` or `None`: what cannot be read has no picture; the model's processor says why.
    """
    path = Path(path)
    rate = f".{imu_rate:g}" if kind == "imu" and imu_rate else ""
    target = path.with_name(f"{path.name}{rate}.{kind}.png")
    if not target.exists():
        if not path.exists():
            return None
        try:
            _write_at_once(target, _png(kind, path, imu_rate))
        except OSError as error:  # a full disk, or a folder that was cleaned meanwhile
            logger.info("No picture of %s: %s", path, error)
            return None
    return target if target.stat().st_size else None


def _png(kind: str, path: Path, imu_rate: float | None) -> bytes:
    """The picture of a medium as the bytes of a PNG, none where it cannot be drawn."""
    png = io.BytesIO()
    try:
        _draw(kind, path, imu_rate).save(png, "PNG")
    except Exception as error:  # decoders raise whatever they like on broken input
        logger.info("No picture of %s: %s", path, error)
        return b""
    return png.getvalue()


def _write_at_once(target: Path, content: bytes) -> None:
    """Whoever looks sees the whole file or none."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        hidden = Path(folder) / target.name
        hidden.write_bytes(content)
        os.replace(hidden, target)


def _draw(kind: str, path: Path, imu_rate: float | None) -> Image.Image:
    if kind == "video":
        with av.open(str(path)) as container:
            return _fitted(next(container.decode(video=0)).to_image())
    if kind == "audio":
        return draw_waveform(path)
    if kind == "imu":
        return draw_motion(path, imu_rate)
    picture = open_picture(path)
    if kind == "image" and isinstance(picture, Image.Image):
        return _fitted(picture.convert("RGB"))
    values = np.asarray(picture, dtype=np.float64)
    if kind == "depth":
        # Near is red. What was not measured (zero, infinite) counts as far away.
        values = 1 / np.where(np.isfinite(values) & (values > 0), values, np.inf)
        return _fitted(false_colours(values, DISTANCE))
    return _fitted(false_colours(values if values.ndim == 2 else values[..., :3].mean(-1), HEAT))


def _fitted(picture: Image.Image) -> Image.Image:
    """Small maps become large enough to be looked at, large photographs small enough."""
    return ImageOps.contain(picture, (LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BICUBIC)


def false_colours(values: np.ndarray, colours: tuple[tuple[int, int, int], ...]) -> Image.Image:
    """Paints values (height, width), the lowest in the first colour and the highest in the last."""
    low, high = values.min(), values.max()
    levels = (values - low) / ((high - low) or 1)
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(levels, stops, channel) for channel in zip(*colours, strict=True)]
    return Image.fromarray(np.stack(channels, -1).round().astype(np.uint8))


def draw_waveform(path: Path, width: int = 320, height: int = 64) -> Image.Image:
    """The extremes of a sound, or of a film's sound track, over time: one bar for each stretch."""
    with av.open(str(path)) as container:
        to_mono = av.AudioResampler(format="s16", layout="mono", rate=WAVEFORM_RATE)
        frames = [*container.decode(container.streams.audio[0]), None]
        samples = np.concatenate([chunk.to_ndarray()[0] for frame in frames for chunk in to_mono.resample(frame)])
    bars = [np.abs(stretch.astype(np.int32)).max(initial=0) for stretch in np.array_split(samples, width // 4)]
    loudest = max(*bars, 1)
    plot = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
    draw = ImageDraw.Draw(plot)
    for place, bar in enumerate(bars):
        x, reach = (4 * place + 1) * SCALE, max(SCALE, bar / loudest * (height / 2 - 6) * SCALE)
        middle = height * SCALE / 2
        draw.rounded_rectangle((x, middle - reach, x + 2 * SCALE, middle + reach), SCALE, BAR)
    return plot


def draw_motion(path: Path, rate: float | None, width: int = 420, height: int = 200) -> Image.Image:
    """The middle five seconds of a recording, as the model is given them: acceleration above, rotation below."""
    values = PandaGPTImuFeatureExtractor()(str(path), sampling_rate=rate, return_tensors="np")["imu_values"][
        0
    ]  # (6, T)
    plot = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
    draw = ImageDraw.Draw(plot)
    half = height // 2
    for top, title, lines in ((0, "acceleration", values[:3]), (half, "rotation", values[3:])):
        _draw_lines(draw, lines, (8, top + 20, width - 8, top + half - 8))
        draw.text((8 * SCALE, (top + 4) * SCALE), title, INK, font_size=11 * SCALE)
    for place, (name, colour) in enumerate(zip("xyz", LINES, strict=True)):
        draw.text(((92 + 14 * place) * SCALE, 4 * SCALE), name, colour, font_size=11 * SCALE)
    return plot


def _draw_lines(draw: ImageDraw.ImageDraw, lines: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """Draws lines (n, T) on a common scale into a box of left, top, right and bottom."""
    left, top, right, bottom = (side * SCALE for side in box)
    low, high = float(lines.min()), float(lines.max())
    for level in np.linspace(top, bottom, 3):
        draw.line((left, level, right, level), GRID, SCALE)
    x = np.linspace(left, right, lines.shape[1])
    for line, colour in zip(lines, LINES, strict=True):
        y = bottom - (line - low) / ((high - low) or 1) * (bottom - top)
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), colour, 2 * SCALE - 1, joint="curve")
