# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Trains on streamed data in two processes and prints, as JSON, which samples each process was given in each step.

The processes are forked from this one, which has imported everything already.
"""

import json
import os
import socket
import sys
from pathlib import Path

from tiny_training import command_line

from training.collator import PandaGPTDataCollator
from training.sft import main


NUM_PROCESSES = 2


def train_and_record(arguments: list[str], record: Path) -> None:
    """One process of a run: writes the ids of every batch, one batch a line, and at last what went wrong."""
    collate = PandaGPTDataCollator.__call__
    batches, error = [], None

    def keep_ids(collator, rows):
        batches.append([row["id"] for row in rows])
        return collate(collator, rows)

    PandaGPTDataCollator.__call__ = keep_ids
    try:
        main(arguments)
    except ValueError as caught:
        error = str(caught)
    record.write_text(json.dumps({"batches": batches, "error": error}), encoding="utf-8")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(arguments: list[str], output: Path) -> list[dict]:
    """Gives the record of each process."""
    shared = {"WORLD_SIZE": str(NUM_PROCESSES), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    records = [output / f"rank-{rank}.json" for rank in range(NUM_PROCESSES)]
    children = []
    for rank, record in enumerate(records):
        child = os.fork()
        if child == 0:
            try:
                os.environ |= shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
                train_and_record(arguments, record)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return [json.loads(record.read_text(encoding="utf-8")) for record in records]


if __name__ == "__main__":
    base, report, *data = sys.argv[1:]
    records = {}
    for folder in map(Path, data):
        output = Path(report).parent / f"run-{folder.name}"
        output.mkdir()
        more = ["--streaming", "true", "--max_steps", "4", "--save_strategy", "no"]
        records[folder.name] = run(command_line(Path(base), folder, output, *more), output)
    Path(report).write_text(json.dumps(records), encoding="utf-8")
