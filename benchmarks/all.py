# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Run the benchmarks of inference one after the other, and write their sections of RESULTS.md.

```bash
python -m benchmarks.all            # half an hour on two CPU cores that do nothing else
python -m benchmarks.all --small    # a trial of a minute, which is printed and not written
```

The other sections stay as they are: conversion needs a large disk, training and evaluation have scripts of their own.
The page's needs `pip install -e ".[demo]"`.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer


SCRIPTS = ("encoders", "dtypes", "generation", "media", "loading", "growth", "web")
RESULTS = Path(__file__).with_name("RESULTS.md")


def replace(results: str, section: str) -> str:
    """The results with this section in place of the one of the same heading, or at their end."""
    heading = section.splitlines()[0]
    sections = re.split(r"^(?=## )", results, flags=re.MULTILINE)
    places = [place for place, old in enumerate(sections) if old.startswith(f"{heading}\n")]
    if not places:
        return f"{results.rstrip()}\n\n{section.strip()}\n"
    sections[places[0]] = f"{section.strip()}\n\n"
    return f"{''.join(sections).rstrip()}\n"


def main(
    small: Annotated[bool, typer.Option("--small", help="A trial with smaller models, printed only.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"Some of {', '.join(SCRIPTS)}.")] = None,
) -> None:
    """Run them all."""
    failed = []
    for script in only or SCRIPTS:
        command = [sys.executable, "-m", f"benchmarks.{script}", *["--small"] * small]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        print(run.stdout, flush=True)
        if run.returncode:
            failed.append(script)
        elif not small:
            RESULTS.write_text(replace(RESULTS.read_text(encoding="utf-8"), run.stdout.strip()), encoding="utf-8")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    typer.run(main)
