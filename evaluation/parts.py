# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Work that several processes share and that goes on after a kill.

What a process has found it appends to a file of its own, a line each, at once. A run that begins finds the lines of
all earlier ones. Which inputs are computed together depends on the data alone, neither on the number of processes nor
on where a run before was stopped: half a batch is computed anew, so that the end is the same to the last bit.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


SETTINGS = "settings.json"


class Parts:
    """
    Lines of one kind, each under a name.

    Args:
        folder (`Path`): where the files lie.
        kind (`str`): how their names begin.
        rank (`int`): this process's number.
    """

    def __init__(self, folder: Path, kind: str, rank: int):
        self.folder = folder
        self.kind = kind
        self.path = folder / f"{kind}-{rank:05d}.jsonl"
        _cut_torn_line(self.path)
        self.done = self.read()

    def read(self) -> dict[str, Any]:
        """`dict[str, Any]`: what all processes have found so far, by name."""
        found: dict[str, Any] = {}
        for path in sorted(self.folder.glob(f"{self.kind}-*.jsonl")):
            found.update(_whole_lines(path))
        return found

    def append(self, found: Iterable[tuple[str, Any]]) -> None:
        """Writes what was found under the names, in one go."""
        lines = [json.dumps([name, value], ensure_ascii=False) + "\n" for name, value in found]
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(lines)


def settle(folder: Path, settings: dict[str, Any]) -> None:
    """
    Begin a run, or go on with one. Called by the main process before the others.

    Args:
        folder (`Path`):
            Where the parts lie.
        settings (`dict`):
            On what they depend.

    Raises:
        ValueError: when the run before had other settings.
    """
    path = folder / SETTINGS
    settings = json.loads(json.dumps(settings, default=str))
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if differences := [name for name in settings if before.get(name) != settings[name]]:
            raise ValueError(
                f"{folder} is of a run with another {', '.join(differences)}: give another --output, or remove it and "
                "what it has written"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{SETTINGS}"
    hidden.write_text(json.dumps(settings, indent=2), encoding="utf-8")
    hidden.replace(path)


def remove(folder: Path) -> None:
    """Removes the parts of a run that has ended."""
    shutil.rmtree(folder)


def _whole_lines(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:  # a torn line may end within a character
        for line in file:
            if line.endswith(b"\n"):
                yield tuple(json.loads(line))


def _cut_torn_line(path: Path) -> None:
    """A process that is killed while it writes leaves a line without its end."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
