# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What does it cost to make tensors of files?

```bash
python -m benchmarks.media            # three minutes on two CPU cores
python -m benchmarks.media --small    # a trial
```

The videos and pictures are made here: a moving gradient with noise, as H.264 of 8 Mbit/s at full size, which is what
films have, with a key frame every two seconds, as cameras and streams have. To reach a frame, all must be decoded that
stand between it and the key frame before it: of a long video most are skipped, of a short one hardly any.
"""

import io
import statistics
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import av
import numpy as np
import torch
import typer
from PIL import Image
from transformers import ASTFeatureExtractor, CLIPImageProcessorPil

from benchmarks.timing import Seconds, measure, print_heading, print_row, print_table
from processing import PandaGPTFeatureExtractor, PandaGPTImageProcessorPil, PandaGPTVideoProcessor
from processing.video_processing_pandagpt import _VideoFile


FULL, SMALL = (1920, 1080), (320, 180)


def draw(number: int, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    gradient = np.stack([x + 3 * number, y + number, x + y], axis=-1) % 256
    return (gradient + rng.integers(0, 24, (height, width, 1))).clip(0, 255).astype(np.uint8)


def write_video(path: Path, seconds: float, size: tuple[int, int], fps: int = 25) -> None:
    rng = np.random.default_rng(0)
    pictures = [draw(number, *size, rng) for number in range(8)]  # drawing each anew would take minutes
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": str(2 * fps)})
        stream.width, stream.height = size
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4 * size[0] * size[1]
        for number in range(int(seconds * fps)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pictures[number % len(pictures)], format="rgb24")))
        container.mux(stream.encode())


def convert_every_frame(path: Path, processor: Any) -> torch.Tensor:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        rate = float(stream.average_rate)
    return processor(frames, fps=rate, return_tensors="pt").pixel_values_videos


def decode_alone(path: Path, numbers: list[int]) -> None:
    """Find and decode the frames that are needed, and neither convert nor resize them."""
    with path.open("rb") as file:
        for _ in _VideoFile(file)._seek(numbers):
            pass


def compare_sound(turns: int) -> None:
    rng = np.random.default_rng(0)
    extractor, ast = PandaGPTFeatureExtractor(), ASTFeatureExtractor(num_mel_bins=128, max_length=204)
    clips = [rng.normal(0, 0.1, 32000).astype(np.float32) for _ in range(3)]
    # From a sound ours cuts three clips of 2 s itself; both calls are whole, normalising included.
    sound = np.concatenate(clips)
    runs = {
        "ours": lambda: extractor((sound, 16000), return_tensors="pt"),
        "AST": lambda: ast(clips, sampling_rate=16000, return_tensors="pt"),
    }
    seconds = measure(runs, 10 * turns)  # of milliseconds each
    print_row("log-mel of 3 clips", "`ASTFeatureExtractor` (numpy)", seconds["ours"], seconds["AST"], 5)
    tensors = [torch.from_numpy(clip) for clip in clips]
    runs = {
        "ours": lambda: extractor._log_mel(tensors),
        "AST": lambda: [ast._extract_fbank_features(clip, 204) for clip in clips],
    }
    seconds = measure(runs, 10 * turns)
    print_row("the same, filter banks alone", "the same", seconds["ours"], seconds["AST"], 5)


def compare_picture(size: tuple[int, int], turns: int) -> None:
    file = io.BytesIO()
    Image.fromarray(draw(0, *size, np.random.default_rng(0))).save(file, format="JPEG")
    data, ours, clip = file.getvalue(), PandaGPTImageProcessorPil(), CLIPImageProcessorPil()
    runs = {
        "ours": lambda: ours(data, return_tensors="pt"),
        "CLIP": lambda: clip(Image.open(io.BytesIO(data)), return_tensors="pt"),
    }
    seconds = measure(runs, 4 * turns)
    print_row(f"a JPEG of {size[0]} x {size[1]}", "`CLIPImageProcessorPil`", seconds["ours"], seconds["CLIP"], 0.97)


def compare_video(path: Path, what: str, turns: int) -> tuple[Seconds, Seconds]:
    """Seconds of ours, and of decoding what it needs and nothing else."""
    processor = PandaGPTVideoProcessor()
    (metadata,) = processor(str(path), return_metadata=True)["video_metadata"]
    needed = sorted(set(metadata.frames_indices))
    runs: dict[str, Callable[[], Any]] = {
        "ours": lambda: processor(str(path), return_tensors="pt"),
        "all": lambda: convert_every_frame(path, processor),
        "decoding": lambda: decode_alone(path, needed),
    }
    seconds = measure(runs, turns, warm_up=False)
    print_row(what, "convert every frame, then pick", seconds["ours"], seconds["all"], 3)
    return seconds["ours"], seconds["decoding"]


def main(
    turns: Annotated[int, typer.Option(min=1)] = 5,
    small: Annotated[bool, typer.Option("--small", help="A trial with smaller pictures.")] = False,
) -> None:
    """Print a section of RESULTS.md."""
    packages = ("torch", "transformers", "av", "pillow")
    command = f"python -m benchmarks.media --turns {turns}{' --small' * small}"
    print_heading("From files to tensors (`media.py`)", command, packages)
    print_table()
    size = SMALL if small else FULL
    compare_sound(turns)
    compare_picture(size, turns)
    shares = []
    with TemporaryDirectory() as folder:
        for length in (30, 7):
            path = Path(folder) / f"{length}.mp4"
            write_video(path, length, size)
            what = f"a video of {length} s, {size[0]} x {size[1]}"
            ours, decoding = map(statistics.median, compare_video(path, what, turns))
            shares.append(f"{length} s: {decoding / ours:.0%} of our {ours:.2f} s")
    print(f"\nFinding and decoding the frames that are needed, without converting them, takes {'; '.join(shares)}.")


if __name__ == "__main__":
    typer.run(main)
