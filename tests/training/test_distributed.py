# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Two real processes train as one does, on the same global batch: DDP, ZeRO-2, ZeRO-3 and the original's offload."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import command_line, environment, losses, read_facts, write_base

from pandagpt import PandaGPTForConditionalGeneration
from training.data import load_datasets


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


@pytest.mark.parametrize("stage", ["zero2", "zero3"])
def test_a_whole_model_is_saved_whole(train, base, stage):
    """Also ImageBind's logit scales, which DeepSpeed cannot hold, and under the names of the base."""
    pytest.importorskip("deepspeed", reason="DeepSpeed is not installed: make test-distributed installs it")
    more = ["--train", "everything", "--lr_scheduler_type", "constant", "--learning_rate", "1e-3"]
    output = train("whole", TWO_PROCESSES, *more, "--deepspeed", stage)
    files = [load_file(folder / "model.safetensors") for folder in (base, output)]
    assert set(files[0]) == set(files[1])
    before, after = (PandaGPTForConditionalGeneration.from_pretrained(folder) for folder in (base, output))
    for modality in before.config.imagebind_config.modalities:
        scales = [model.model.imagebind.logit_scale(modality) for model in (before, after)]
        assert torch.equal(*scales)
    weights = [model.model.language_model.layers[0].mlp.up_proj.weight for model in (before, after)]
    assert not torch.equal(*weights)


@pytest.fixture(scope="module")
def streamed(base, original_data, tmp_path_factory) -> dict[str, list[dict]]:
    """What two processes were given in one epoch of data in shards of these numbers of rows."""
    folder = tmp_path_factory.mktemp("streamed")
    records = json.loads(original_data.read_text(encoding="utf-8")) * 4
    chats = folder / "data.json"
    chats.write_text(json.dumps([record | {"id": str(place)} for place, record in enumerate(records)]))
    rows, _ = load_datasets([{"path": str(chats), "images": str(original_data.parent / "images")}])
    data = {"even": [16, 16], "cut": [14, 14], "one": [30], "uneven": [20, 8]}
    for name, sizes in data.items():
        (folder / name).mkdir()
        for place, size in enumerate(sizes):
            begin = sum(sizes[:place])
            rows.select(range(begin, begin + size)).to_parquet(folder / name / f"train-{place}.parquet")
    script = Path(__file__).with_name("streamed_runs.py")
    command = [sys.executable, script, base, folder / "report.json", *(folder / name for name in data)]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def times_seen(records: list[dict]) -> Counter:
    assert [record["error"] for record in records] == [None, None]
    return Counter(name for record in records for batch in record["batches"] for name in batch)


@pytest.mark.parametrize("shards, rows", [("even", 32), ("cut", 28)])
def test_shards_that_divide_give_every_sample_once(streamed, shards, rows):
    assert times_seen(streamed[shards]) == {str(place): 1 for place in range(rows)}
    assert [len(record["batches"]) for record in streamed[shards]] == [4, 4]


def test_a_shard_for_all_gives_at_most_one_batch_twice(streamed):
    times = times_seen(streamed["one"])
    assert set(times) == {str(place) for place in range(30)}
    assert max(times.values()) <= 2
    assert sum(number == 2 for number in times.values()) == 2  # fill the last global batch of 8


def test_uneven_shards_are_an_error_for_all_processes(streamed):
    for record in streamed["uneven"]:
        assert "the shards of the streamed data are uneven" in record["error"]
        assert "turn streaming off" in record["error"]
