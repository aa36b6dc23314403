# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The wheel holds everything that is needed, and works where our source is not."""

import configparser
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]


def packages() -> list[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["options"]["packages"].split()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy of the source, so that no build folder is left behind and no stale one is packed."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ["pyproject.toml", "setup.cfg", "README.md", "LICENSE", "pandagpt.py"]:
        shutil.copy(ROOT / name, source)
    for name in {package.split(".")[0] for package in packages()}:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def clean_python(wheel, tmp_path_factory) -> Path:
    """The Python of a fresh environment with the wheel. It sees this environment's libraries, but not our source:
    a folder added by a .pth file has its own .pth files, the one of an editable installation too, left unread."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    site_packages = next(folder.glob("lib/python*/site-packages"))
    (site_packages / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


def test_setup_lists_every_package():
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for init in ROOT.glob("*/**/__init__.py")
        if init.relative_to(ROOT).parts[0] not in {"tests", "benchmarks", "build"}
        and not init.relative_to(ROOT).parts[0].startswith(".")
    }
    assert sorted(packages()) == sorted(found)


def test_wheel_holds_templates_and_examples(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = [*ROOT.glob("processing/chat_templates/*"), *ROOT.glob("demo/examples/*.*")]
    assert len(wanted) > 7
    assert {str(path.relative_to(ROOT)) for path in wanted} <= packed
    assert not [name for name in packed if name.startswith(("tests/", "benchmarks/"))]


def test_installed_command_answers_elsewhere(clean_python, tmp_path):
    command = [str(clean_python.parent / "pandagpt"), "--help"]
    answered = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert answered.returncode == 0, answered.stderr
    assert "chat" in answered.stdout


def test_every_package_imports_elsewhere(clean_python, tmp_path):
    script = f"""
import importlib
for name in {["pandagpt", *packages()]}:
    print(importlib.import_module(name).__file__)
import pandagpt
for name in pandagpt.__all__:
    getattr(pandagpt, name)
"""
    answered = subprocess.run(
        [str(clean_python), "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert answered.returncode == 0, answered.stderr
    places = answered.stdout.split()
    assert len(places) == len(packages()) + 1
    assert all(Path(place).is_relative_to(clean_python.parents[1]) for place in places), places
