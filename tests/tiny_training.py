# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Runs of the recipe `cpu_tiny` on an untrained tiny model: its folder, its command line, and what a run leaves."""

import json
import os
from pathlib import Path

from demo.untrained import build


ROOT = Path(__file__).parents[1]


def write_base(folder: Path, seed: int = 0) -> Path:
    """The folder of a tiny untrained model with its processor."""
    for part in build(seed):
        part.save_pretrained(folder)
    return folder


def command_line(base: Path, data: Path, output: Path, *more: object) -> list[str]:
    """Arguments of `pandagpt train`; without dropout, whose noise differs between processes."""
    given = ["--config", "cpu_tiny", "--model", base, "--data", data, "--output_dir", output, "--lora_dropout", 0]
    return [str(argument) for argument in (*given, *more)]


def environment() -> dict[str, str]:
    """Variables of a process of its own: one thread, no network, our source."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths}


def read_facts(output: Path) -> dict:
    return json.loads((output / "facts.json").read_text(encoding="utf-8"))


def losses(output: Path) -> list[float]:
    """The loss of every step."""
    return [entry["loss"] for entry in read_facts(output)["history"] if "loss" in entry]
