# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What the README says is so: its conversions and its snippets run, its files exist.

Everything runs word for word in one folder, where small checkpoints have the names that the README gives to the large
ones: first each `pandagpt convert` (with the options that tell the sizes of the small ones), then each Python snippet,
in a process of its own, on the folders that the conversions wrote.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import convert
from typer.testing import CliRunner

import pandagpt


ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def conversions() -> list[list[str]]:
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[2:] for line in lines if line.startswith("pandagpt convert")]


# What each snippet prints: an answer; four answers; two slotted chats; two rows of two similarities.
PRINTED = [
    r"\S.*\n",
    r"(.*\n){4}",
    r"sum \[\[1, 1\]\]\nconcat \[\[1, 2\]\]\n",
    r"(tensor\(\[\[ *-?\d\.\d+, *-?\d\.\d+\]\]\)\n){2}",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, examples) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    golden = FIXTURES / "pandagpt_tiny"
    shutil.copy(FIXTURES / "imagebind_tiny" / "imagebind_tiny.pth", folder / "imagebind_huge.pth")
    shutil.copy(golden / "pytorch_model.pt", folder / "pytorch_model.pt")
    for name in ("llama-7b", "vicuna-7b-v0", "vicuna-7b-delta-v0", "path/or/hub-id"):
        shutil.copytree(golden / "base_llama", folder / name)
    # LLaMA and its delta add up to Vicuna: here the delta is nothing.
    (folder / "vicuna-7b-delta-v0" / "pytorch_model.bin").unlink()
    weights = folder / "vicuna-7b-delta-v0" / "model.safetensors"
    save_file({name: torch.zeros_like(value) for name, value in load_file(weights).items()}, weights, {"format": "pt"})
    for example in examples.glob("*.*"):
        shutil.copy(example, folder)
    small = ["--imagebind-config", str(FIXTURES / "imagebind_tiny" / "imagebind_tiny_config.json")]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        for arguments in conversions():
            alone = "--language-model" not in arguments
            vocabulary = ["--clip-tokenizer", str(FIXTURES / "clip_tokenizer")] if alone else []
            convert([*arguments, *small, *vocabulary])
    return folder


def test_conversions_write_what_they_name(folder):
    written = [arguments[arguments.index("--output") + 1] for arguments in conversions()]
    assert written == ["pandagpt-7b", "pandagpt-7b-base", "pandagpt-new", "imagebind"]
    for name in written:
        assert (folder / name / "config.json").exists() and (folder / name / "processor_config.json").exists()
    assert (folder / "pandagpt-7b-adapter" / "adapter_config.json").exists()


def test_every_snippet_is_known():
    assert len(blocks("python")) == len(PRINTED)


@pytest.mark.parametrize("number", range(len(PRINTED)))
def test_snippet(folder, number, tmp_path):
    script = tmp_path / "snippet.py"
    script.write_text(blocks("python")[number])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, str(script)], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(PRINTED[number], ran.stdout), ran.stdout


def test_conversation_with_the_bundled_model_is_real(monkeypatch):
    monkeypatch.chdir(ROOT)
    said = re.findall(r"^\$ pandagpt (.*)\n(.*)$", "".join(blocks("console")), flags=re.MULTILINE)
    assert len(said) == 6
    for arguments, answer in said:
        assert CliRunner().invoke(pandagpt.app, shlex.split(arguments)).stdout.strip() == answer


def test_files_and_links_exist():
    tree = blocks("")[0]
    parents: list[str] = []
    for indent, name in re.findall(r"^((?:│   |    )*)[├└]── (\S+)", tree, flags=re.MULTILINE):
        parents = [*parents[: len(indent) // 4], name]
        assert ROOT.joinpath(*parents).exists(), "/".join(parents)
    for link in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / link).exists(), link


def test_options_exist():
    """Every option after `pandagpt convert` and `pandagpt chat`, also in the table, is one that the command has."""
    for command in ("convert", "chat"):
        offered = set(re.findall(r"--[a-z-]+", CliRunner().invoke(pandagpt.app, [command, "--help"]).stdout))
        for line in re.findall(rf"pandagpt {command}((?:[^`\n]|\\\n)*)", README):
            assert set(re.findall(r"--[a-z-]+", line.split("#")[0])) <= offered, line
