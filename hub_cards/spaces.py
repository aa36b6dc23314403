# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A Gradio Space that runs the web page: the folder that it consists of.

The Space carries our rooms along as they are here, so it needs no release of ours, and asks for the very versions of
other packages that are installed here.
"""

import re
import shutil
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement

from hub_cards.cards import write_space_card


ROOT = Path(__file__).parents[1]

# What runs on the Space; examples and templates lie inside.
ROOMS = ("demo", "modeling_pandagpt", "processing")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "pandagpt-tiny")


def assemble_space(folder: Path, repo: str, model: str) -> None:
    """
    Fills a folder with everything that a Space consists of.

    Args:
        folder (`Path`):
            An empty folder.
        repo (`str`):
            Hub id of the Space.
        model (`str`):
            Hub id of the model or adapter that it runs.
    """
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=LEFT_OUT)
    shutil.copy(ROOT / "pandagpt.py", folder)
    app = (Path(__file__).parent / "space" / "app.py").read_text(encoding="utf-8")
    (folder / "app.py").write_text(app.replace('"user/name"', f'"{model}"'), encoding="utf-8")
    (folder / "requirements.txt").write_text("\n".join(requirements()) + "\n", encoding="utf-8")
    write_space_card(folder, repo, models=[model], sdk_version=version("gradio"))


def requirements() -> Iterator[str]:
    """Our own requirements, those of the page among them, each at the version that is installed here."""
    for line in requires("pandagpt") or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": "demo"}):
            release = re.sub(r"\+.*", "", version(requirement.name))  # without the mark of a build, as in 2.13.0+cpu
            yield f"{requirement.name}=={release}"
