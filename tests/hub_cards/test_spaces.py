# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The Space: published to a Hub, and run from what lies there alone."""

import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest
from hub_processes import run
from packaging.requirements import Requirement

from demo.session import Sampling, Session
from demo.untrained import build


pytest.importorskip("gradio", reason="Gradio is not installed")


def publish(loopback_hub, *arguments: str, token: str = "hf_writer") -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "hub_cards.publish", "space", *arguments]
    environment = loopback_hub.environment(token)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def clean_environment(requirements: Path, folder: Path) -> Path:
    """An interpreter that has what a file of requirements names, what that needs in turn, and nothing else."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/*/site-packages")
    wanted = [(Requirement(line), "") for line in requirements.read_text().split()]
    done: set[tuple[str, str]] = set()  # distributions and their extras; "" stands for none
    while wanted:
        requirement, for_extra = wanted.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": for_extra}):
            continue
        distribution = metadata.distribution(requirement.name)
        assert requirement.specifier.contains(distribution.version, prereleases=True), requirement
        for extra in ("", *requirement.extras):
            if (distribution.name, extra) not in done:
                done.add((distribution.name, extra))
                wanted += [(Requirement(line), extra) for line in distribution.requires or ()]
    for name in {name for name, _ in done}:
        link(metadata.distribution(name), packages)
    return folder / "bin" / "python"


def link(distribution: metadata.Distribution, packages: Path) -> None:
    for file in distribution.files or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            (packages / file).parent.mkdir(parents=True, exist_ok=True)
            (packages / file).symlink_to(Path(str(distribution.locate_file(file))).resolve())


@contextmanager
def running(python: Path, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of the Space of a folder, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = environment | {"GRADIO_SERVER_PORT": str(port)}
    log = (folder.parent / "log.txt").open("w+")
    process = subprocess.Popen([python, "app.py"], cwd=folder, env=environment, stdout=log, stderr=log)
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
def test_a_space_answers_where_there_is_only_what_it_asks_for(loopback_hub, published, examples, tmp_path):
    """Its own files, the packages of its requirements.txt, and a model that it fetches from the Hub by name."""
    from page_client import PageClient

    push = "from demo.untrained import build\n\nfor part in build():\n    part.push_to_hub('tester/tiny')"
    run(push, loopback_hub, tmp_path)
    python = clean_environment(published / "requirements.txt", tmp_path / "venv")
    missing = subprocess.run([python, "-c", "import pandagpt"], capture_output=True, text=True, cwd=tmp_path)
    assert "No module named 'pandagpt'" in missing.stderr
    with running(python, published, loopback_hub.environment("hf_reader")) as url:
        visitor = PageClient(url)
        visitor.submit("What is it?", examples / "picture.png")
        visitor.join()
        answer = visitor.listen().answer
    session = Session(*build(), threading.Lock())
    session.begin("What is it?", [("image", str(examples / "picture.png"))], Sampling(max_new_tokens=8))
    list(session.answer())
    assert answer == session.turns[0].answer


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
