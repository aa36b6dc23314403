# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The Space: published to a Hub, and run from what lies there alone."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from demo.untrained import build


pytest.importorskip("gradio", reason="Gradio is not installed")

# The folder comes first, and nothing of ours may come from anywhere else.
RUN = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
import demo.web, modeling_pandagpt, pandagpt, processing
assert all(room.__file__.startswith(sys.argv[1]) for room in (demo.web, modeling_pandagpt, pandagpt, processing))
runpy.run_path(sys.argv[1] + "/app.py", run_name="__main__")
"""


def publish(loopback_hub, *arguments: str, token: str = "hf_writer") -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "hub_cards.publish", "space", *arguments]
    environment = loopback_hub.environment(token)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@contextmanager
def running(folder, model, port: int):
    """The address of the Space of a folder, once it answers."""
    environment = os.environ | {"MODEL": str(model), "GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1"}
    log = (folder.parent / "log.txt").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", RUN, str(folder)], cwd=folder.parent, env=environment, stdout=log, stderr=log
    )
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=5):
                    break
            except OSError:
                time.sleep(0.3)
        log.seek(0)
        assert process.poll() is None, log.read()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
        log.close()


@pytest.fixture(scope="module")
def published(loopback_hub, tmp_path_factory):
    """The files of a published Space, in a folder."""
    answered = publish(loopback_hub, "--repo", "tester/talk", "--model", "tester/tiny")
    assert answered.returncode == 0, answered.stderr
    folder = tmp_path_factory.mktemp("space") / "talk"
    for name, content in loopback_hub.files("tester/talk", kind="space").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_space_is_complete_and_nothing_more(loopback_hub, published):
    names = {path.relative_to(published).as_posix() for path in published.rglob("*") if path.is_file()}
    assert {
        "app.py",
        "requirements.txt",
        "README.md",
        "demo/web.py",
        "demo/page.css",
        "demo/examples/depth.npy",
    } <= names
    assert not [name for name in names if "pandagpt-tiny" in name or name.endswith(".pyc")]
    assert len(loopback_hub.history("tester/talk", kind="space")) == 2  # the repository, and one commit of ours
    assert '"tester/tiny"' in (published / "app.py").read_text()
    pinned = (published / "requirements.txt").read_text().split()
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in pinned)
    assert {"gradio", "torch", "transformers"} <= {line.partition("==")[0] for line in pinned}
    card = (published / "README.md").read_text()
    assert "sdk: gradio" in card and "app_file: app.py" in card and "- tester/tiny" in card


@pytest.mark.slow
def test_a_space_runs_from_what_the_hub_holds(published, tmp_path):
    for part in build():
        part.save_pretrained(tmp_path / "model")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(published, tmp_path / "model", port) as url:
        with urllib.request.urlopen(url, timeout=60) as page:
            assert "PandaGPT" in page.read().decode()


@pytest.mark.parametrize(
    ("arguments", "token", "reason"),
    [
        (("--repo", "tester/talk", "--model", "a/local/folder"), "hf_writer", "a Space loads its model from the Hub"),
        (("--repo", "tester/talk", "--model", "tester/tiny"), "hf_reader", "may only read"),
        (("--repo", "tester/talk", "--model", "tester/tiny"), "hf_stranger", "may not write to tester"),
    ],
)
def test_what_cannot_be_published_is_refused_in_a_sentence(loopback_hub, arguments, token, reason):
    answered = publish(loopback_hub, *arguments, token=token)
    assert answered.returncode == 1 and reason in answered.stderr and "Traceback" not in answered.stderr
