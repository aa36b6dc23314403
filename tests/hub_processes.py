# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The two sides of a Hub in processes of their own: who publishes has our source, who loads has not."""

import subprocess
import sys
from pathlib import Path

from outsider import REFUSE_OUR_SOURCE


ROOT = Path(__file__).parents[1]
SECRETS = ("hf_writer", "hf_reader", "hf_stranger", "hf_wrong")

# The client waits between its repetitions, which a test need not.
IMPATIENT = """
import time
time.sleep = lambda seconds: None
"""


def run(code: str, hub, folder: Path, *arguments: object, token: str | None = "hf_writer", is_author: bool = True):
    """
    Runs `code` with `arguments` as `sys.argv[1:]`, in `folder`, with a fresh home, and returns what it printed.

    Raises:
        AssertionError: when the process fails, with its errors, or when a token was printed.
    """
    environment = hub.environment(token)
    if is_author:
        environment["PYTHONPATH"] = str(ROOT)
    result = subprocess.run(
        [sys.executable, "-c", IMPATIENT + ("" if is_author else REFUSE_OUR_SOURCE) + code, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if result.returncode != 0:
        raise AssertionError(f"The process failed:\n{result.stdout}\n{result.stderr}")
    for secret in SECRETS:
        assert secret not in result.stdout + result.stderr
    return result.stdout


def sent_elsewhere(hub) -> set[str | None]:
    """The authorizations that another host than the Hub's own was given."""
    return {seen.authorization for seen in hub.log if not seen.host.startswith("127.0.0.1")}
