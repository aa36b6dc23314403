# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The recipes hold the original's numbers, and everything in them is understood."""

import configparser
import json
from pathlib import Path

import pytest
import torch
import yaml

from training.sft import parse_arguments
from training.trainer import packaged


ROOT = Path(__file__).parents[2]
ON_A_CPU = ["--use_cpu", "true", "--bf16", "false"]

# stage, base: global batch, maximum length, micro batch x accumulation on 8 GPUs
ORIGINAL = {
    "stage_1_7b": (256, 128, 16, 2),
    "stage_2_7b": (64, 512, 2, 4),
    "stage_1_13b": (256, 128, 4, 8),
    "stage_2_13b": (64, 256, 1, 8),
}


@pytest.mark.parametrize("name", ORIGINAL)
def test_stages_hold_the_original_numbers(name, monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setattr(
        "transformers.TrainingArguments._setup_devices", torch.device("cpu")
    )  # there are no eight of them
    arguments, args = parse_arguments(["--config", name, "--output_dir", str(tmp_path), *ON_A_CPU])
    batch, length, micro, accumulation = ORIGINAL[name]
    assert (args.global_batch_size, args.max_length) == (batch, length)
    assert (args.per_device_train_batch_size, args.gradient_accumulation_steps) == (micro, accumulation)
    assert (args.learning_rate, args.adam_beta1, args.adam_beta2, args.adam_epsilon) == (5e-4, 0.9, 0.95, 1e-8)
    assert (args.weight_decay, args.max_grad_norm, args.num_train_epochs) == (0.001, 1.0, 2)
    assert (args.warmup_type, args.lr_scheduler_type, args.get_warmup_steps(1000)) == ("log", "linear", 100)
    assert args.get_warmup_steps(59) == 10
    assert (arguments.lora_r, arguments.lora_alpha, arguments.lora_dropout) == (32, 32, 0.1)
    assert (arguments.adapter is not None) == name.startswith("stage_2")


@pytest.mark.parametrize("processes, accumulation", [(1, 16), (2, 8), (16, 1)])
def test_global_batch_is_kept(processes, accumulation, monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    monkeypatch.setattr("transformers.TrainingArguments._setup_devices", torch.device("cpu"))
    _, args = parse_arguments(["--config", "stage_1_7b", "--output_dir", str(tmp_path), *ON_A_CPU])
    assert args.gradient_accumulation_steps == accumulation


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match="global_batch_size 256 is not a multiple of 48: 3 processes of 16 rows"):
        parse_arguments(["--config", "stage_1_7b", *ON_A_CPU])


def test_the_command_line_overrides_a_recipe():
    given = ["--config", "stage_1_7b", *ON_A_CPU, "--learning_rate", "1e-3", "--data", "a.json", "b.json"]
    arguments, args = parse_arguments([*given, "--train", "projector"])
    assert args.learning_rate == 1e-3
    assert arguments.sources == [{"path": "a.json"}, {"path": "b.json"}]
    assert arguments.train == "projector"


def test_unknown_fields_are_refused(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model: m\ndata: [d]\ntelepathy: true\nuse_cpu: true\nbf16: false\n")
    with pytest.raises(ValueError, match="telepathy"):
        parse_arguments(["--config", str(recipe)])


def test_sources_may_be_mappings(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model: m\ndata: [{path: d.json, weight: 2.0}]\nuse_cpu: true\nbf16: false\n")
    arguments, _ = parse_arguments(["--config", str(recipe)])
    assert arguments.sources == [{"path": "d.json", "weight": 2.0}]


@pytest.mark.parametrize("name, stage", [("zero2_offload", 2), ("zero2", 2), ("zero3", 3)])
def test_deepspeed_takes_its_values_from_the_recipe(name, stage):
    config = json.loads(Path(packaged("deepspeed", name)).read_text())
    assert config["zero_optimization"]["stage"] == stage
    assert {config[f"train_{kind}"] for kind in ("batch_size", "micro_batch_size_per_gpu")} == {"auto"}
    if name == "zero2_offload":
        assert config["zero_optimization"]["offload_optimizer"]["device"] == "cpu"
        assert config["scheduler"]["type"] == "WarmupDecayLR"
        assert set(config["optimizer"]["params"].values()) == {"auto"}


def test_fsdp_configuration_is_understood():
    from accelerate.commands.config.config_args import ClusterConfig

    path = ROOT / "training" / "accelerate" / "fsdp2.yaml"
    config = ClusterConfig.from_yaml_file(str(path))
    assert config.distributed_type == "FSDP"
    assert config.fsdp_config["fsdp_version"] == 2
    assert "Untested" in path.read_text()


def test_all_of_them_are_packaged():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = [pattern.strip() for pattern in config["options.package_data"]["training"].split(",")]
    packed = {path for pattern in patterns for path in (ROOT / "training").glob(pattern)}
    folders = ("recipes", "deepspeed", "accelerate")
    assert packed == {path for folder in folders for path in (ROOT / "training" / folder).iterdir()}


@pytest.mark.parametrize("path", sorted((ROOT / "training" / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_name_themselves_in_their_command(path):
    text = path.read_text()
    assert f"training/recipes/{path.name}" in text
    assert isinstance(yaml.safe_load(text), dict)
