# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""From the Hub and back to it: model, data and embeddings by their ids, streamed; an adapter with its card."""

import json
import subprocess
import sys

import pytest
from safetensors.torch import load
from tiny_training import ROOT, command_line, write_base

from pandagpt import PandaGPTConfig
from training.sft import keep_llama_1_private, main
from training.trainer import PandaGPTSFTConfig


# A process of its own, as this one has no Hub; and one for all, as most of its time goes into imports.
SCRIPT = """
import json, sys
from huggingface_hub import HfApi
from training.embeddings import main as embed
from training.sft import main as train
HfApi().create_repo("tester/train-base")
HfApi().upload_folder(repo_id="tester/train-base", folder_path=sys.argv[1])
embed_arguments, train_arguments = map(json.loads, sys.argv[2:])
try:
    embed(embed_arguments)
except SystemExit as ended:
    assert ended.code == 0, ended.code
train(train_arguments)
"""


@pytest.mark.slow
def test_embeddings_and_an_adapter_are_pushed_and_read(loopback_hub, original_data, tmp_path):
    base = write_base(tmp_path / "base")
    embedding = ["--model", "tester/train-base", "--data", original_data, "--output", tmp_path / "embeddings"]
    embedding += ["--num-shards", 2, "--workers", 0, "--device", "cpu", "--push-to-hub", "tester/train-embeddings"]
    more = ["--max_steps", 2, "--streaming", "true", "--push_to_hub", "true"]
    training = command_line("tester/train-base", "tester/train-embeddings", tmp_path / "run", *more)
    training += ["--hub_model_id", "tester/train-adapter"]
    arguments = [json.dumps([str(part) for part in command]) for command in (embedding, training)]
    environment = loopback_hub.environment() | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, base, *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr[-4000:]

    published = loopback_hub.files("tester/train-embeddings", kind="dataset")
    assert sum(name.endswith(".parquet") for name in published) == 2
    assert "README.md" in published and str(tmp_path) not in published["embeddings.json"].decode()
    adapter = loopback_hub.files("tester/train-adapter")
    assert any("lora_A" in name for name in load(adapter["adapter_model.safetensors"]))
    assert "base_model: tester/train-base" in adapter["README.md"].decode()
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in adapter)
    facts = json.loads(adapter["facts.json"])
    assert facts["base_model_revision"] == loopback_hub.history("tester/train-base")[0]
    assert facts["data"] == [{"path": "tester/train-embeddings", "on_hub": True}]


def test_base_and_adapter_are_not_pushed_together(original_data, tmp_path):
    with pytest.raises(ValueError, match="publish the merged model afterwards .`pandagpt publish model`"):
        main(command_line("tester/base", original_data, tmp_path / "run", "--push_to_hub", "true", "--merge", "true"))


@pytest.mark.parametrize("eps, said, expected", [(1e-6, None, True), (1e-6, False, False), (1e-5, None, None)])
def test_llama_1_is_pushed_to_a_private_repository(tmp_path, eps, said, expected):
    config = PandaGPTConfig()
    config.text_config.rms_norm_eps = eps
    config.save_pretrained(tmp_path)
    arguments = PandaGPTSFTConfig(
        output_dir=str(tmp_path / "run"), push_to_hub=True, hub_private_repo=said, use_cpu=True, bf16=False
    )
    keep_llama_1_private(str(tmp_path), arguments)
    assert arguments.hub_private_repo is expected


def test_an_adapter_of_a_folder_is_not_pushed(original_data, tmp_path):
    with pytest.raises(ValueError, match="push_to_hub would publish an adapter whose base is the folder"):
        main(command_line(tmp_path, original_data, tmp_path / "run", "--push_to_hub", "true"))
