# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What does it cost to make tensors of files?

```bash
python -m benchmarks.media >> benchmarks/RESULTS.md
```

The videos and pictures are made here: a moving gradient with noise, which is no easier to decode than a film.
"""

import io
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import av
import numpy as np
import torch
import typer
from PIL import Image
from transformers import ASTFeatureExtractor, CLIPImageProcessorPil

from benchmarks.timing import measure, print_heading, print_row, print_table, seconds_of
from processing import PandaGPTFeatureExtractor, PandaGPTImageProcessorPil, PandaGPTVideoProcessor


def draw(number: int, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    gradient = np.stack([x + 3 * number, y + number, x + y], axis=-1) % 256
    return (gradient + rng.integers(0, 24, (height, width, 1))).clip(0, 255).astype(np.uint8)


def write_video(path: Path, seconds: float, width: int = 1920, height: int = 1080, fps: int = 25) -> None:
    rng = np.random.default_rng(0)
    pictures = [draw(number, width, height, rng) for number in range(8)]  # drawing each anew would take minutes
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": "250"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(int(seconds * fps)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pictures[number % 8], format="rgb24")))
        container.mux(stream.encode())


def convert_every_frame(path: Path, processor: Any) -> torch.Tensor:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        rate = float(stream.average_rate)
    return processor(frames, fps=rate, return_tensors="pt").pixel_values_videos


def decode_alone(path: Path) -> None:
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            pass


def main(turns: Annotated[int, typer.Option(min=1)] = 5) -> None:
    """Print a section of RESULTS.md."""
    packages = ("torch", "transformers", "av", "pillow")
    print_heading("From files to tensors (`media.py`)", f"python -m benchmarks.media --turns {turns}", packages)
    print_table()
    rng = np.random.default_rng(0)
    extractor, ast = PandaGPTFeatureExtractor(), ASTFeatureExtractor(num_mel_bins=128, max_length=204)
    clips = [rng.normal(0, 0.1, 32000).astype(np.float32) for _ in range(3)]
    tensors = [torch.from_numpy(clip) for clip in clips]
    pair = measure(lambda: extractor._log_mel(tensors), lambda: ast(clips, sampling_rate=16000), turns)
    print_row("log-mel of 3 clips", "`ASTFeatureExtractor` (numpy)", pair, 5)

    file = io.BytesIO()
    Image.fromarray(draw(0, 1920, 1080, rng)).save(file, format="JPEG")
    ours, clip = PandaGPTImageProcessorPil(), CLIPImageProcessorPil()
    pair = measure(
        lambda: ours(file.getvalue(), return_tensors="pt"),
        lambda: clip(Image.open(io.BytesIO(file.getvalue())), return_tensors="pt"),
        4 * turns,
    )
    print_row("a 1080p JPEG", "`CLIPImageProcessorPil`", pair, 0.97)

    processor = PandaGPTVideoProcessor()
    shares = []
    with TemporaryDirectory() as folder:
        for seconds in (30, 7):
            path = Path(folder) / f"{seconds}.mp4"
            write_video(path, seconds)
            pair = measure(
                lambda path=path: processor(str(path), return_tensors="pt"),
                lambda path=path: convert_every_frame(path, processor),
                turns,
                warm_up=False,
            )
            print_row(f"a 1080p video of {seconds} s", "convert every frame, then pick", pair, 3)
            decoding = statistics.median(seconds_of(lambda path=path: decode_alone(path)) for _ in range(turns))
            shares.append(f"{seconds} s: {decoding:.2f} s of {statistics.median(pair.ours):.2f} s")
    print(f"\nDecoding every frame of the video and nothing else takes, of our time: {'; '.join(shares)}.")


if __name__ == "__main__":
    typer.run(main)
