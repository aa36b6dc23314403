# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Two real processes train as one does, on the same global batch: DDP, ZeRO-2, ZeRO-3 and the original's offload."""

import subprocess
import sys

import pytest
from safetensors.torch import load_file
from tiny_training import command_line, environment, losses, read_facts, write_base


pytestmark = pytest.mark.distributed

TWO_PROCESSES = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def train(base, original_data, tmp_path_factory):
    """Runs six steps as a command of its own, and gives the folder that it wrote."""

    def run(name: str, launcher: list[str], *more: str):
        output = tmp_path_factory.mktemp(name)
        arguments = command_line(base, original_data, output, "--max_steps", 6, *more)
        command = [sys.executable, *launcher, "-m", "training.sft", *arguments]
        ran = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600)
        assert ran.returncode == 0, ran.stderr[-4000:]
        return output

    return run


@pytest.fixture(scope="module")
def one_process(train):
    output = train("one", [])
    facts = read_facts(output)
    assert (facts["distributed_type"], facts["num_processes"]) == ("NO", 1)
    return output


@pytest.mark.parametrize(
    "more, distributed_type, stage",
    [
        ([], "MULTI_CPU", None),
        (["--deepspeed", "zero2"], "DEEPSPEED", 2),
        (["--deepspeed", "zero3"], "DEEPSPEED", 3),
        (["--deepspeed", "zero2_offload"], "DEEPSPEED", 2),
    ],
    ids=["ddp", "zero2", "zero3", "zero2_offload"],
)
def test_two_processes_train_as_one_does(train, one_process, more, distributed_type, stage):
    if more:
        pytest.importorskip("deepspeed", reason="DeepSpeed is not installed: make test-distributed installs it")
    output = train("two", TWO_PROCESSES, *more)
    facts, alone = read_facts(output), read_facts(one_process)
    assert (facts["distributed_type"], facts["zero_stage"]) == (distributed_type, stage)
    assert facts["num_processes"] == 2
    assert facts["hyperparameters"]["gradient_accumulation_steps"] == 1
    assert alone["hyperparameters"]["gradient_accumulation_steps"] == 2
    assert facts["hyperparameters"]["global_batch_size"] == alone["hyperparameters"]["global_batch_size"] == 8
    assert len(losses(output)) == 6
    assert losses(output) == pytest.approx(losses(one_process), abs=1e-4)
    # What is counted over all processes is the same too.
    for entry, expected in zip(facts["history"], alone["history"], strict=True):
        assert entry["image_token_accuracy"] == pytest.approx(expected["image_token_accuracy"], abs=0.02)
        assert entry["padding_share"] == pytest.approx(expected["padding_share"])
    # Every trained tensor has gone the same way, and none is missing from what was saved.
    saved, expected = (load_file(folder / "adapter_model.safetensors") for folder in (output, one_process))
    assert set(saved) == set(expected)
    for name, tensor in expected.items():
        assert saved[name].shape == tensor.shape
        assert (saved[name] - tensor).norm() < 0.05 * tensor.norm() + 1e-3, name
