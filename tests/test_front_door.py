# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The front door: names come lazily, and commands are handed on whole."""

import importlib
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import pandagpt
from demo.conversation import Conversation
from demo.untrained import build


ROOT = Path(__file__).parents[1]


def run(*arguments: str, **kwargs) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "pandagpt.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **kwargs)


@pytest.mark.parametrize("room", sorted(pandagpt._ROOMS))
def test_every_public_class_of_a_room_is_reexported(room):
    module = importlib.import_module(room)
    classes = {name for name in module.__all__ if isinstance(getattr(module, name), type)}
    assert classes == set(pandagpt._ROOMS[room])
    for name in classes:
        assert getattr(pandagpt, name) is getattr(module, name)


def test_names_are_listed_and_unknown_ones_refused():
    assert set(pandagpt.__all__) <= set(dir(pandagpt))
    with pytest.raises(AttributeError, match="PandaGPTForTelepathy"):
        pandagpt.PandaGPTForTelepathy  # noqa: B018


def test_nothing_heavy_is_imported_before_it_is_used():
    script = "import sys, pandagpt; print([name for name in ('torch', 'transformers') if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert printed.stdout.strip() == "[]"


def test_help_lists_only_commands_that_run():
    listed = set(re.findall(r"^│ ([a-z-]+) ", run("--help").stdout.split("Commands")[1], flags=re.MULTILINE))
    assert listed == {"chat", "convert", "demo", "embed", "evaluate", "publish", "tiny-world", "train"}
    for command in listed:
        answered = CliRunner().invoke(pandagpt.app, [command, "--help"])
        assert answered.exit_code == 0, answered.output
        assert f"usage: pandagpt {command}" in answered.stdout.lower()


def test_version_is_the_installed_one():
    assert run("--version").stdout.split() == ["pandagpt", version("pandagpt")]


def test_arguments_are_handed_on_unchanged(monkeypatch):
    handed_on = []
    monkeypatch.setattr("demo.chat.main", handed_on.append)
    arguments = ["--image", "a.png", "What?", "--", "--json", "--image=b.png"]
    pandagpt.app(["chat", *arguments], standalone_mode=False)
    assert handed_on == [arguments]


def test_a_wrong_option_is_refused_by_the_command_itself():
    answered = run("chat", "--telepathy")
    assert answered.returncode == 2
    assert "--telepathy" in answered.stderr


@pytest.fixture
def checkpoint(tmp_path):
    """Saves an untrained model in a type; returns it in float32, its folder, and what reads pictures for it."""

    def save(dtype: torch.dtype):
        model, processor = build()
        for part in (model.to(dtype), processor):
            part.save_pretrained(tmp_path)
        return model.float(), str(tmp_path), processor.image_processor

    return save


def test_on_a_cpu_the_encoders_of_a_float16_checkpoint_run_in_float32(checkpoint, examples):
    exact, folder, read = checkpoint(torch.float16)
    model, processor = pandagpt.load(folder, device="cpu")
    assert model.model.imagebind.dtype == torch.float32 and model.lm_head.weight.dtype == torch.float16
    pixels = read(examples / "picture.png", return_tensors="pt").pixel_values
    with torch.no_grad():
        ours, other = (each.model.imagebind.encode("vision", pixels).pooler_output for each in (model, exact.eval()))
    assert ours.equal(other)
    talk = Conversation(model, processor)
    assert talk.ask("What is this?", [("image", str(examples / "picture.png"))], max_new_tokens=4).answer
    assert talk.ask("And this?", [("audio", str(examples / "sound.wav"))], max_new_tokens=4).answer
    assert pandagpt.load(folder, dtype="float16", device="cpu")[0].model.imagebind.dtype == torch.float16


def test_on_a_cpu_the_encoders_keep_bfloat16_where_it_is_multiplied(checkpoint, monkeypatch):
    _, folder, _ = checkpoint(torch.bfloat16)
    for multiplies, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=multiplies: {"avx512_bf16": found})
        model, _ = pandagpt.load(folder, device="cpu")
        assert model.model.imagebind.dtype == dtype and model.lm_head.weight.dtype == torch.bfloat16
