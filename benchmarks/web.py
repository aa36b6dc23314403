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
        web.append(_Visitor(url).ask(length))
    print("| what | runs | median |\n|---|---|---|")
    for name, seconds in (("terminal", terminal[1:]), ("page", web[1:])):  # the first of each warms up
        print(f"| time to first token, {name} | {repeats} | {1000 * statistics.median(seconds):.0f} ms |", flush=True)


def throughput(url: str, repeats: int, length: int) -> None:
    rates: dict[int, list[float]] = {1: [], 8: []}
    for _ in range(repeats):
        for visitors, found in rates.items():
            people = [_Visitor(url) for _ in range(visitors)]
            started = time.perf_counter()
            with ThreadPoolExecutor(visitors) as pool:
                list(pool.map(lambda visitor: visitor.ask(length), people))
            found.append(visitors * length / (time.perf_counter() - started))
    for visitors, found in rates.items():
        print(f"| tokens a second in all, {visitors} at once | {repeats} | {statistics.median(found):.0f} |")
    each = [eight / one for one, eight in zip(*rates.values(), strict=True)]
    spread = f"{min(each):.2f} to {max(each):.2f}"
    print(f"| eight at once against one | {repeats} | {statistics.median(each):.2f} ({spread}) |")


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


class _Visitor:
    """Somebody who has uploaded the picture and asks about it."""

    def __init__(self, url: str):
        from tests.page_client import PageClient

        self.client = PageClient(url)
        self.attached = self.client.upload(PICTURE)

    def ask(self, length: int) -> float:
        """Seconds to the first text of an answer, which is waited for to its end."""
        started = time.perf_counter()
        self.client.put(QUESTION, self.attached, length, temperature=0)
        self.client.join()
        first_text_at = self.client.listen().first_text_at
        if first_text_at is None:
            raise RuntimeError("no answer came")
        return first_text_at - started


if __name__ == "__main__":
    typer.run(main)
