# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Measure a model: answers, embeddings, and what the field's scores say of them.

```bash
pandagpt evaluate --recipe esc50 --model path/or/hub-id
pandagpt evaluate --model path/or/hub-id --task open_questions --data validation.jsonl --by modality question
accelerate launch -m evaluation.run --recipe scienceqa --model path/or/hub-id --output runs/scienceqa/results.json
```

Every process takes each n-th batch and appends what it finds to a file. A run that was killed goes on when it is
started again, with any number of processes, and ends with the same files, byte for byte.
"""

import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from accelerate import PartialState

from .model import fingerprint, load
from .parts import remove, settle
from .results import report, table, versions, write
from .settings import Settings, parse
from .steps import Run
from .tasks import TASKS


def evaluate(settings: Settings) -> dict[str, Any]:
    """
    Run an evaluation, or go on with it, and write its files.

    Args:
        settings ([`Settings`]):
            What is asked.

    Returns:
        `dict`: what stands in results.json; empty in other processes than the main one.

    Raises:
        OSError: when there is no such model or data.
        ValueError: when settings, model and data do not go together.
    """
    settings.check()
    # Processes finish at different times: none may give up on the others.
    state = PartialState(cpu=settings.device == "cpu", timeout=timedelta(days=30))
    loaded = load(str(settings.model), settings.revision, settings.dtype, settings.device or state.device)
    output = Path(settings.output)
    folder = output.with_name(f"{output.stem}.parts")
    with state.main_process_first():
        if state.is_main_process:
            settle(folder, _conditions(settings, loaded.commit))
    outcome = TASKS[str(settings.task)](Run(settings, loaded, state, folder))
    content = {}
    if state.is_main_process:
        content = report(settings, loaded, outcome)
        write(content, outcome, output)
        if settings.task == "modality_report":
            from .plots import plot

            plot(content, output)
    state.wait_for_everyone()
    if state.is_main_process:
        remove(folder)
    return content


def _conditions(settings: Settings, commit: str | None) -> dict[str, Any]:
    """All that predictions depend on: another run's are not to be mixed in."""
    data = Path(str(settings.data))
    return {
        **settings.with_effect(),
        "model_state": fingerprint(str(settings.model), commit),
        "data_state": data.stat().st_mtime_ns if data.is_file() else None,
        "versions": versions(),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """
    The command `pandagpt evaluate`.

    Args:
        argv (`Sequence[str]`, *optional*):
            Its arguments; those of this process by default.
    """
    try:
        settings = parse(argv)
        content = evaluate(settings)
    except (OSError, ValueError) as error:
        sys.exit(f"pandagpt evaluate: {error}")
    if content:
        print(table(content))
        print(f"  written to {settings.output}")


if __name__ == "__main__":
    main()
