# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Runs code the way a stranger would: in a fresh process that cannot import our source."""

import os
import subprocess
import sys
from pathlib import Path


# An editable installation would otherwise let the process find our packages, whatever its folder and its path.
REFUSE_OUR_SOURCE = """
import sys

class _Refuse:
    def find_spec(self, name, path=None, target=None):
        ours = "chat_data demo evaluation hub_cards modeling_pandagpt pandagpt processing training".split()
        if name in ours:
            raise ModuleNotFoundError(f"{name} is our source, which a stranger does not have")

sys.meta_path.insert(0, _Refuse())
"""


def run_as_outsider(code: str, folder: Path, *arguments: object) -> str:
    """
    Runs `code` with `arguments` as `sys.argv[1:]` and returns what it printed.

    Its working folder is an empty one inside `folder`, so is its Hugging Face home, and there is no network.

    Raises:
        AssertionError: when the process fails, with its errors.
    """
    home = folder / "outsider"
    home.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    environment |= {"HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", REFUSE_OUR_SOURCE + code, *map(str, arguments)],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if result.returncode != 0:
        raise AssertionError(f"The outsider's process failed:\n{result.stdout}\n{result.stderr}")
    return result.stdout
