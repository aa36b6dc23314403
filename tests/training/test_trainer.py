# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Checkpoints that survive SIGKILL, the original's schedule, and what the logs say."""

import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_training import environment, write_base

from training.trainer import (
    MANIFEST,
    is_whole,
    log_warmup_linear_decay,
    newest_whole_checkpoint,
    rows_of_kinds,
    write_manifest,
)


@pytest.fixture(scope="module")
def report(original_data, tmp_path_factory) -> dict:
    """What became of the runs of `killed_runs.py`."""
    folder = tmp_path_factory.mktemp("killed")
    script = Path(__file__).with_name("killed_runs.py")
    command = [sys.executable, script, write_base(folder / "base"), original_data, folder, folder / "report.json"]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize(
    "point, checkpoint",
    [
        ("adapter", "checkpoint-2"),
        ("optimizer", "checkpoint-2"),
        ("state", "checkpoint-2"),
        ("end of save", "checkpoint-2"),
        ("between saves", "checkpoint-4"),
    ],
)
def test_a_killed_run_goes_on_to_the_same_losses(report, point, checkpoint):
    run, whole = report[point], report["uninterrupted"]
    assert whole["ended by"] == 0
    assert run["ended by"] == signal.SIGKILL
    assert run["resumed from"] == checkpoint
    assert run["then ended by"] == 0
    assert len(run["losses"]) == 6
    assert run["losses"] == pytest.approx(whole["losses"], abs=1e-6)
    assert len(set(whole["losses"])) == 6  # or equal losses would say nothing


@pytest.fixture
def checkpoints(tmp_path) -> Path:
    """Three whole checkpoints."""
    for step in (5, 9, 10):
        folder = tmp_path / f"checkpoint-{step}"
        (folder / "deeper").mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_bytes(b"weights")
        (folder / "deeper" / "optimizer.pt").write_bytes(b"moments")
        write_manifest(folder)
    return tmp_path


def test_the_newest_checkpoint_is_taken(checkpoints):
    assert newest_whole_checkpoint(checkpoints) == str(checkpoints / "checkpoint-10")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "deeper" / "optimizer.pt").write_bytes(b"mom"),
        lambda folder: (folder / "deeper" / "optimizer.pt").unlink(),
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / MANIFEST).write_text('{"adapter_'),
    ],
    ids=["cut", "lost", "unfinished", "list cut"],
)
def test_a_spoilt_checkpoint_is_left_aside(checkpoints, spoil):
    spoil(checkpoints / "checkpoint-10")
    assert not is_whole(checkpoints / "checkpoint-10")
    assert newest_whole_checkpoint(checkpoints) == str(checkpoints / "checkpoint-9")


def test_no_checkpoint(tmp_path):
    assert newest_whole_checkpoint(tmp_path) is None


def test_schedule_is_the_original_one():
    """DeepSpeed's formula, one step late: twice 0, log(k + 1) / log(10) up to the whole, then a line to 0."""
    rates = [log_warmup_linear_decay(step, 10, 100) for step in range(102)]
    assert rates[:2] == [0.0, 0.0]
    assert rates[2] == pytest.approx(math.log(2) / math.log(10))
    assert rates[10] == pytest.approx(1.0)
    assert rates[11] == pytest.approx(1.0)
    assert rates[56] == pytest.approx(0.5)
    assert rates[101] == 0.0
    assert max(rates) <= 1.0


def test_rows_of_kinds():
    media_types = torch.tensor([[1, 3], [0, 0], [0, 6], [1, 1]])
    found = rows_of_kinds(media_types, torch.ones(4, 9, dtype=torch.long))
    expected = {"text": [1], "image": [0, 3], "video": [], "audio": [0], "thermal": [], "depth": [], "imu": [2]}
    assert [row.nonzero().flatten().tolist() for row in found] == list(expected.values())
    alone = rows_of_kinds(None, torch.ones(2, 9, dtype=torch.long))
    assert alone.nonzero().tolist() == [[0, 0], [0, 1]]
