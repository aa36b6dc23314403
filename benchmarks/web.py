# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What does the page cost: time to the first token against the terminal's, and eight conversations against one?

```bash
python -m benchmarks.web           # some two minutes on two CPU cores
python -m benchmarks.web --small   # a trial
```

Both speak of the same picture with the bundled model and the same sampling; the end token is held back, so that every
answer has the same length. *terminal*: from the question to the first piece of text that `pandagpt chat` prints, the
model being loaded. *page*: from the request for an answer, over HTTP and the queue, to the first event of the stream
that carries text; without the time that a browser needs to draw it. The page's first turn opens and encodes the
picture too, as the terminal's does. Medians; all runs alternate in one process, so that what disturbs the machine
disturbs both.

Throughput is that of whole answers of one fixed length, by conversations that begin at the same moment.
"""

import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks.timing import print_heading


PICTURE = Path(__file__).parents[1] / "demo" / "examples" / "picture.png"
QUESTION = "What do you see?"


def main(small: Annotated[bool, typer.Option(help="Fewer and shorter runs.")] = False) -> None:
    """Print a section of RESULTS.md."""
    command = f"python -m benchmarks.web{' --small' * small}"
    print_heading("The page (`web.py`)", command, ("torch", "transformers", "gradio"))
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    repeats, length = (3, 16) if small else (15, 64)
    with TemporaryDirectory() as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        from demo.conversation import BUNDLED
        from demo.page import Served, build
        from pandagpt import load

        model, processor = load(BUNDLED)
        model.generation_config.min_new_tokens = length  # the end token is not drawn before
        page = build(Served(model, processor, "", ""))
        _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, share=False, server_name="127.0.0.1")
        try:
            first_token(model, processor, url, repeats, length)
            throughput(url, max(repeats // 3, 1), length)
        finally:
            page.close()


def first_token(model: Any, processor: Any, url: str, repeats: int, length: int) -> None:
    terminal, web = [], []
    for _ in range(repeats + 1):
        terminal.append(_terminal(model, processor, length))
        web.append(_Client(url).ask(length)[0])
    print(f"| what | of {repeats} runs, the median |\n|---|---|")
    for name, seconds in (("terminal", terminal[1:]), ("page", web[1:])):  # the first of each warms up
        print(f"| time to first token, {name} | {1000 * statistics.median(seconds):.0f} ms |", flush=True)


def throughput(url: str, repeats: int, length: int) -> None:
    rates: dict[int, list[float]] = {1: [], 8: []}
    for _ in range(repeats):
        for visitors, found in rates.items():
            clients = [_Client(url) for _ in range(visitors)]
            started = time.perf_counter()
            with ThreadPoolExecutor(visitors) as pool:
                list(pool.map(lambda client: client.ask(length), clients))
            found.append(visitors * length / (time.perf_counter() - started))
    for visitors, found in rates.items():
        print(f"| tokens a second in all, {visitors} at once | {statistics.median(found):.0f} |")
    each = [eight / one for one, eight in zip(*rates.values(), strict=True)]
    print(f"| eight at once against one | {statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f}) |")


def _terminal(model: Any, processor: Any, length: int) -> float:
    from demo.conversation import Conversation

    came = threading.Event()
    first: list[float] = []

    def write(text: str) -> None:
        if not came.is_set():
            first.append(time.perf_counter())
            came.set()

    started = time.perf_counter()
    media = [("image", str(PICTURE))]
    Conversation(model, processor).ask(QUESTION, media, write, max_new_tokens=length, do_sample=False)
    return first[0] - started


class _Client:
    """A visitor without a browser, who does what the page's own script does."""

    def __init__(self, url: str):
        import httpx

        self.http = httpx.Client(base_url=url, timeout=600)
        self.session = os.urandom(8).hex()
        config = self.http.get("/config").json()
        self.events = {event["api_name"]: event for event in config["dependencies"]}
        self.values = {component["id"]: component["props"].get("value") for component in config["components"]}
        (self.picture,) = self.http.post(
            "/gradio_api/upload", files={"files": (PICTURE.name, PICTURE.read_bytes())}
        ).json()

    def ask(self, length: int) -> tuple[float, float]:
        """Seconds to the first text and to the end of the answer."""
        submit = self.events["_submit"]
        data = [self.values.get(component) for component in submit["inputs"]]
        file = {"path": self.picture, "orig_name": PICTURE.name, "meta": {"_type": "gradio.FileData"}}
        data[:5] = [None, {"text": QUESTION, "files": [file]}, length, data[3], 0]
        started = time.perf_counter()
        self._post("/gradio_api/run/predict", submit["id"], data)
        self._post("/gradio_api/queue/join", self.events["_answer"]["id"], [None])
        first = None
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if first is None and '"process_generating"' in line and '"success":true' in line:
                    first = time.perf_counter() - started
                if '"process_completed"' in line:
                    break
        if first is None:
            raise RuntimeError("no answer came")
        return first, time.perf_counter() - started

    def _post(self, path: str, event: int, data: list) -> None:
        body = {"fn_index": event, "data": data, "session_hash": self.session}
        self.http.post(path, json=body).raise_for_status()


if __name__ == "__main__":
    typer.run(main)
