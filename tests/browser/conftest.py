# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A real page in a real browser: a server of its own, headless Chromium, and a visitor who clicks and types."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.untrained import build, build_config
from modeling_pandagpt import PandaGPTForConditionalGeneration


ROOT = Path(__file__).parents[2]
PATIENCE = 120_000  # milliseconds; a shared machine may be slow, a broken page waits for ever
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera and a microphone of the browser's own making
    "--use-fake-ui-for-media-stream",
]


def own_memory(process: int) -> int:
    """Bytes that a process holds itself."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024


class Server:
    """`pandagpt demo` in a process of its own, with the arguments given."""

    def __init__(self, log: Path, *arguments: str):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        command = [sys.executable, "-m", "demo.web", "--port", str(self.port), *arguments]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        with log.open("w") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        deadline = time.monotonic() + 300
        while "Running on local URL" not in log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"the page did not start: {log.read_text()[-2000:]}")
            time.sleep(0.2)

    def memory(self) -> int:
        return own_memory(self.process.pid)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """The untrained model with so many layers that it takes its time, and without an end of its own."""
    folder = tmp_path_factory.mktemp("untrained")
    small, processor = build()
    config = build_config(processor)
    config.text_config.num_hidden_layers = 24
    model = PandaGPTForConditionalGeneration(config)
    model.generation_config = small.generation_config
    model.generation_config.suppress_tokens.append(processor.tokenizer.eos_token_id)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def server(model, tmp_path_factory) -> Iterator[Server]:
    pytest.importorskip("gradio", reason="Gradio is not installed")
    log = tmp_path_factory.mktemp("server") / "log.txt"
    server = Server(log, "--model", str(model), "--max-file-size", "8mb")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def memory_of():
    return own_memory


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


class Visitor:
    """Somebody with a browser of his own, and everything that the browser complained of or asked others for."""

    def __init__(self, browser, url: str, **options):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.context.grant_permissions(["camera", "microphone", "clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.went_out: list[str] = []
        self.page.on("pageerror", lambda error: self._complain(error.stack or str(error)))
        self.page.on("console", self._listen)
        self.page.on("request", self._watch)
        self.page.goto(url)
        self.page.wait_for_selector("#chat button.example")

    def _listen(self, message) -> None:
        if message.type == "error":
            self._complain(f"{message.text} ({message.location})")

    def _complain(self, text: str) -> None:
        if "AbortError" not in text:  # whoever reloads a page ends what it was asking for
            self.complaints.append(text)

    def _watch(self, request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.went_out.append(request.url)

    def attach(self, *files) -> None:
        """Files by path, or as `{"name", "mimeType", "buffer"}`."""
        before = self.page.locator("#question .thumbnail-item").count()
        self.page.locator("#question input[type=file]").set_input_files(list(files))
        self.page.wait_for_function(
            f"document.querySelectorAll('#question .thumbnail-item').length == {before + len(files)}"
        )

    def send(self, question: str) -> None:
        self.page.locator("#question textarea").fill(question)
        self.page.locator("#question .submit-button").click()

    def ask(self, question: str, *files) -> str:
        """Returns the answer, once it is whole."""
        if files:
            self.attach(*files)
        turns = len(self.answers)
        self.send(question)
        self.wait_for_turns(turns + 1)
        return self.answers[-1]

    def wait_for_turns(self, count: int) -> None:
        """Waits until so many turns have an answer and nothing is being written."""
        self.page.wait_for_function(
            f"""document.querySelectorAll('#chat .bot.message').length == {count}
            && document.querySelector('#question .submit-button')
            && !document.querySelector('#question .stop-button')"""
        )

    def set(self, label: str, value: float) -> None:
        """A number of the settings, which are opened for it."""
        field = self.page.locator(f"input[type=number][aria-label*='{label}'], label:has-text('{label}') input").first
        if not field.is_visible():
            self.page.locator("button.label-wrap", has_text="Settings").click()
        field.fill(str(value))
        field.press("Tab")

    @property
    def answers(self) -> list[str]:
        return self.page.locator("#chat .bot.message").all_inner_texts()

    @property
    def questions(self) -> list[str]:
        return self.page.locator("#chat .user.message .message-content").all_inner_texts()

    def wait_for_notice(self, text: str) -> None:
        """Waits until the page says why the last click came to nothing."""
        self.page.locator("#notice", has_text=text).wait_for()

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def visit_at(browser):
    """Opens a page for a visitor; at the end none has seen an error, and no request has left this machine."""
    visitors = []

    def visit_at(url: str, **options) -> Visitor:
        visitors.append(Visitor(browser, url, **options))
        return visitors[-1]

    yield visit_at
    for visitor in visitors:
        visitor.close()
        assert visitor.complaints == []
        assert visitor.went_out == []


@pytest.fixture
def visit(visit_at, server):
    """Opens the server's page for a visitor; at the end its log tells of no error either."""
    logged = len(server.log.read_text())
    yield lambda url=server.url, **options: visit_at(url, **options)
    assert "Traceback" not in server.log.read_text()[logged:]
