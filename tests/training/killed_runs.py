# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Starts runs that kill themselves with SIGKILL at a given point, resumes them, and prints what came of it as JSON.

Each run is a process of its own, forked from this one, which has imported everything already.
"""

import json
import os
import signal
import sys
from pathlib import Path

import peft.peft_model
import torch
from tiny_training import command_line, losses
from transformers.trainer_callback import TrainerState

import training.trainer
from training.sft import main
from training.trainer import PandaGPTTrainer, newest_whole_checkpoint


KILLED_IN = "checkpoint-4"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def write_half(function, path, *args, **kwargs) -> None:
    """Lets `function` write a file, cuts it in the middle, and kills the process."""
    function(*args, **kwargs)
    Path(path).write_bytes(Path(path).read_bytes()[: Path(path).stat().st_size // 2])
    die()


def kill_in_adapter() -> None:
    save = peft.peft_model.safe_save_file

    def save_file(tensors, path, **kwargs):
        if KILLED_IN in str(path):
            write_half(save, path, tensors, path, **kwargs)
        save(tensors, path, **kwargs)

    peft.peft_model.safe_save_file = save_file


def kill_in_optimizer() -> None:
    save = torch.save

    def save_tensors(content, path, *args, **kwargs):
        if KILLED_IN in str(path) and str(path).endswith("optimizer.pt"):
            write_half(save, path, content, path, *args, **kwargs)
        save(content, path, *args, **kwargs)

    torch.save = save_tensors


def kill_in_state() -> None:
    save = TrainerState.save_to_json

    def save_to_json(state, path):
        if KILLED_IN in str(path):
            write_half(save, path, state, path)
        save(state, path)

    TrainerState.save_to_json = save_to_json


def kill_before_the_end_of_a_save() -> None:
    write = training.trainer.write_manifest

    def write_manifest(checkpoint):
        if checkpoint.name == KILLED_IN:
            die()
        write(checkpoint)

    training.trainer.write_manifest = write_manifest


def kill_between_saves() -> None:
    step = PandaGPTTrainer.training_step

    def training_step(trainer, *args, **kwargs):
        if trainer.state.global_step == 5:
            die()
        return step(trainer, *args, **kwargs)

    PandaGPTTrainer.training_step = training_step


KILLERS = {
    "adapter": kill_in_adapter,
    "optimizer": kill_in_optimizer,
    "state": kill_in_state,
    "end of save": kill_before_the_end_of_a_save,
    "between saves": kill_between_saves,
}


def fork(arguments: list[str], prepare=lambda: None) -> int:
    """Runs a training in a process of its own; gives the signal that ended it, or 0."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            prepare()
            main(arguments)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "a run failed"
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def run_all(base: str, data: str, output: Path) -> dict:
    # With dropout the state of the random numbers has to come back too, with small batches their order.
    settings = ["--max_steps", 6, "--save_steps", 2, "--save_total_limit", 2, "--lora_dropout", 0.1]
    settings += ["--global_batch_size", 4, "--per_device_train_batch_size", 2, "--lr_scheduler_type", "constant"]

    def arguments(name: str, *more: str) -> list[str]:
        return command_line(base, data, output / name, *settings, *more)

    report = {"uninterrupted": {"ended by": fork(arguments("whole")), "losses": losses(output / "whole")}}
    for name, killer in KILLERS.items():
        ended_by = fork(arguments(name), killer)
        checkpoint = newest_whole_checkpoint(output / name)
        resumed = fork(arguments(name, "--resume_from_checkpoint", "true"))
        report[name] = {
            "ended by": ended_by,
            "resumed from": Path(checkpoint).name,
            "then ended by": resumed,
            "losses": losses(output / name),
        }
    return report


if __name__ == "__main__":
    base, data, output, report = sys.argv[1:]
    Path(report).write_text(json.dumps(run_all(base, data, Path(output))))
