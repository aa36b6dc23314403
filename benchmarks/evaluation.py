# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What share of an evaluation's time is spent neither in the model nor in reading media? At most 5 %.

    python -m benchmarks.evaluation

Questions about pictures are asked of an untrained model of some ten million parameters on one CPU core, where one step
takes about as long as one of 7B parameters does on an accelerator. Measured is the time of the processor, from rows to
results.json, in one process that reads the media itself; loading the model is left out.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

import evaluation.media  # noqa: E402
import evaluation.run  # noqa: E402
from demo.untrained import build_config, build_processor  # noqa: E402
from evaluation.model import Loaded  # noqa: E402
from evaluation.settings import parse  # noqa: E402
from modeling_pandagpt import PandaGPTForConditionalGeneration  # noqa: E402


class Stopwatch:
    """Adds up the time that is spent in the functions that it wraps, one inside another counted once."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.running = False

    def wrap(self, owner: Any, name: str, label: str) -> None:
        function: Callable = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            if self.running:
                return function(*args, **kwargs)
            self.running, started = True, time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.running = False
                self.seconds[label] = self.seconds.get(label, 0) + time.process_time() - started

        setattr(owner, name, timed)


def write_data(folder: Path, things: int, questions: int) -> Path:
    """Photographs of the usual size, each asked about as often."""
    generator = np.random.default_rng(0)
    for thing in range(things):
        pixels = generator.integers(0, 255, (480, 640, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{thing}.jpg")
    rows = [
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "path": f"{index % things}.jpg"},
                        {"type": "text", "text": f"what is number {index} in the picture ?"},
                    ],
                },
                {"role": "assistant", "content": "a red bird on the tree"},
            ],
            "question": "kind",
        }
        for index in range(questions)
    ]
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def measure(data: Path, output: Path, tokens: int) -> tuple[float, dict[str, float]]:
    """Seconds in all, and by part."""
    processor = build_processor()
    config = build_config(processor)
    size = {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6, "head_dim": 96}
    for name, value in size.items():
        setattr(config.text_config, name, value)
    torch.manual_seed(0)
    model = PandaGPTForConditionalGeneration(config).eval()
    stopwatch = Stopwatch()
    stopwatch.wrap(model, "generate", "answering")
    stopwatch.wrap(model.model.imagebind, "encode", "encoding")
    reader = evaluation.media._Reader.__getitem__
    stopwatch.wrap(evaluation.media._Reader, "__getitem__", "reading media")
    evaluation.run.load = lambda *_: Loaded("tiny", None, processor, model.model.imagebind, model)
    arguments = ["--model", "tiny", "--task", "open_questions", "--data", data, "--output", output, "--device", "cpu"]
    arguments += ["--workers", 0, "--max_new_tokens", tokens, "--by", "question"]
    started = time.process_time()
    evaluation.run.evaluate(parse([str(argument) for argument in arguments]))
    seconds = time.process_time() - started
    evaluation.media._Reader.__getitem__ = reader
    return seconds, stopwatch.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=256)
    parser.add_argument("--things", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    shares = []
    with tempfile.TemporaryDirectory() as folder:
        data = write_data(Path(folder), arguments.things, arguments.questions)
        for _ in range(arguments.repeats):
            seconds, parts = measure(data, Path(folder) / "results.json", arguments.tokens)
            rest = seconds - sum(parts.values())
            shares.append(rest / seconds)
            spent = ", ".join(f"{label} {value:.1f} s" for label, value in parts.items())
            print(f"{seconds:.1f} s: {spent}, all else {rest:.2f} s ({rest / seconds:.1%})")
    print(f"median share of all else: {statistics.median(shares):.1%}")


if __name__ == "__main__":
    main()
