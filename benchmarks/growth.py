# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""How do time and memory grow with media, lengths, batches and turns?

```bash
python -m benchmarks.growth            # four minutes on two CPU cores
python -m benchmarks.growth --small    # a trial
```

Each line is measured in a process of its own, so that its peak memory is its own, the libraries' share of some 500 MB
among it. Time is the median of a few runs after a first one. The exponent is the slope of a straight line through the
logarithms: 1 is growth in proportion. What costs the same at any size pulls it down, so the slope between the two
largest sizes stands beside it.
"""

import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from math import log
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

import av
import numpy as np
import torch
import typer
from PIL import Image

from benchmarks.timing import print_heading, seconds_of, untrained
from demo.conversation import Conversation
from demo.untrained import build_config, build_processor
from modeling_pandagpt import PandaGPTForConditionalGeneration
from processing import PandaGPTProcessor, PandaGPTVideoProcessor


RUNS = 3
ANSWER = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False}

# Layers and width of the encoder of pictures and of the language model.
FULL, SMALL = (6, 384, 6, 512), (1, 64, 1, 64)


class Point(NamedTuple):
    """Seconds of one run, and the most memory that its process held, in MB."""

    seconds: float
    memory: float


def build(size: tuple[int, int, int, int], **processor_options: Any) -> tuple[Any, PandaGPTProcessor]:
    """A random PandaGPT of this size, which has an encoder of pictures only."""
    encoder_layers, encoder_width, layers, width = size
    processor = build_processor()
    for name, value in processor_options.items():
        setattr(processor, name, value)
    config = build_config(processor)
    config.imagebind_config.keep_modalities(["vision"])
    encoder = {"num_hidden_layers": encoder_layers, "hidden_size": encoder_width}
    language_model = {"num_hidden_layers": layers, "hidden_size": width, "max_position_embeddings": 8192}
    for part, values in ((config.imagebind_config.vision_config, encoder), (config.text_config, language_model)):
        for name, value in values.items():
            setattr(part, name, value)
        part.intermediate_size = 4 * part.hidden_size
        part.num_attention_heads = part.hidden_size // 32
    config.text_config.num_key_value_heads = config.text_config.num_attention_heads
    config.text_config.head_dim = 32
    torch.manual_seed(0)
    return untrained(lambda: PandaGPTForConditionalGeneration(config)), processor


def answer(model: Any, processor: PandaGPTProcessor, conversations: list) -> None:
    inputs = processor.apply_chat_template(
        conversations,
        tokenize=True,
        return_dict=True,
        add_generation_prompt=True,
        return_tensors="pt",
    )
    model.generate(**inputs, **ANSWER)


def point(run: Callable[[], Any]) -> Point:
    run()
    seconds = statistics.median(seconds_of(run) for _ in range(RUNS))
    return Point(seconds, peak_memory())


def peak_memory() -> float:
    """In MB, of this process since it began (`ru_maxrss` would begin with its parent's)."""
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024 / 1e6


def of_media(count: int, folder: Path, size: tuple) -> Point:
    """One question about so many pictures, each in a slot of its own, from files to an answer of 8 tokens."""
    model, processor = build(size, media_fusion="concat")
    pictures = [{"type": "image", "path": str(folder / f"{number % 8}.jpg")} for number in range(count)]
    messages = [{"role": "user", "content": [*pictures, {"type": "text", "text": "What is this?"}]}]
    return point(lambda: answer(model, processor, [messages]))


def of_length(length: int, folder: Path, size: tuple) -> Point:
    """A video of so many seconds, from file to tensor."""
    processor = PandaGPTVideoProcessor()
    return point(lambda: processor(str(folder / f"{length}.mp4"), return_tensors="pt"))


def of_batch(rows: int, folder: Path, size: tuple) -> Point:
    """So many questions about a picture each, in one batch, from files to answers of 8 tokens."""
    model, processor = build(size)
    question = {"type": "text", "text": "What is this?"}
    conversations = [
        [{"role": "user", "content": [{"type": "image", "path": str(folder / f"{row % 8}.jpg")}, question]}]
        for row in range(rows)
    ]
    return point(lambda: answer(model, processor, conversations))


def of_turns(turns: int, folder: Path, size: tuple) -> Point:
    """The last of so many questions about a picture each, in one conversation."""
    model, processor = build(size)
    model.generation_config.suppress_tokens = [processor.tokenizer.eos_token_id]
    conversation = Conversation(model, processor)

    def ask(number: int) -> None:
        conversation.ask(f"What is this, number {number}?", [("image", str(folder / f"{number % 8}.jpg"))], **ANSWER)

    for number in range(1, turns):
        ask(number)
    # Another question each time, or the cache would hold it.
    numbers = iter(range(turns, turns + RUNS + 1))

    def ask_last() -> None:
        if len(conversation.messages) == 2 * turns:
            conversation.undo()
        ask(next(numbers))

    return point(ask_last)


class Series(NamedTuple):
    """What grows, in which sizes, in full and in a trial."""

    title: str
    column: str
    measure: Callable[[int, Path, tuple], Point]
    full: tuple[int, ...]
    small: tuple[int, ...]


LENGTHS = Series(
    "Length of a video (320 x 240, 10 frames a second), from file to tensor",
    "seconds of video",
    of_length,
    (5, 20, 60, 300, 1800),
    (5, 20),
)
SERIES = (
    Series("Pictures in one question", "pictures", of_media, (1, 2, 4, 8, 16, 32, 64), (1, 2)),
    LENGTHS,
    Series("Questions with a picture in one batch", "rows", of_batch, (1, 2, 4, 8, 16, 32), (1, 2)),
    Series("The last turn of a conversation with a picture a turn", "turns", of_turns, (1, 2, 4, 8, 16, 32), (1, 2)),
)


def write_files(folder: Path, lengths: tuple[int, ...]) -> None:
    """Eight pictures, and a video of each length whose frames are noisy enough to fill the file."""
    rng = np.random.default_rng(0)
    for number in range(8):
        Image.fromarray(rng.integers(0, 255, (480, 640, 3), dtype=np.uint8)).save(folder / f"{number}.jpg")
    frames = [av.VideoFrame.from_ndarray(rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)) for _ in range(8)]
    for length in lengths:
        with av.open(str(folder / f"{length}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=10, options={"g": "50"})
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 1_000_000
            for number in range(10 * length):
                frame = frames[number % 8]
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode())


def slope(sizes: tuple[int, ...], values: list[float]) -> float:
    return float(np.polyfit([log(size) for size in sizes], [log(value) for value in values], 1)[0])


def print_series(series: Series, sizes: tuple[int, ...], points: list[Point]) -> None:
    print(f"\n{series.title}:\n")
    print(f"| {series.column} | seconds | peak memory, MB |")
    print("|---|---|---|")
    for size, each in zip(sizes, points, strict=True):
        print(f"| {size} | {each.seconds:.3f} | {each.memory:.0f} |")
    for name, values in (("all", points), ("the two largest", points[-2:])):
        which = sizes[-len(values) :]
        time, memory = slope(which, [one.seconds for one in values]), slope(which, [one.memory for one in values])
        print(f"| exponent, {name} | {time:.2f} | {memory:.2f} |", flush=True)


def main(small: Annotated[bool, typer.Option("--small", help="A trial with smaller models.")] = False) -> None:
    """Print a section of RESULTS.md."""
    print_heading("Growth (`growth.py`)", f"python -m benchmarks.growth{' --small' * small}")
    encoder_layers, encoder_width, layers, width = size = SMALL if small else FULL
    print(
        f"Encoder: {encoder_layers} layers of width {encoder_width}; language model: {layers} of {width}.", flush=True
    )
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, LENGTHS.small if small else LENGTHS.full)
        # A new process for each point.
        with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
            for series in SERIES:
                sizes = series.small if small else series.full
                points = [processes.submit(series.measure, each, folder, size).result() for each in sizes]
                print_series(series, sizes, points)


if __name__ == "__main__":
    typer.run(main)
