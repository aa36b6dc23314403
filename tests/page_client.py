# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A visitor of the web page without a browser, who sends what the page's own script sends."""

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx


class Heard(NamedTuple):
    """The places in line that were told, the message that ends the answer, and when text first came, if it did."""

    places: set[int]
    end: dict
    first_text_at: float | None

    @property
    def answer(self) -> str:
        """The last words of the conversation."""
        content = self.end["output"]["data"][0][-1]["content"]
        return content if isinstance(content, str) else content[0]["text"]


class PageClient:
    """
    Args:
        url (`str`):
            Where the page is.
    """

    def __init__(self, url: str):
        self.http = httpx.Client(base_url=url, timeout=300)
        self.session = uuid.uuid4().hex
        config = self.http.get("/config").json()
        self.events = {event["api_name"]: event for event in config["dependencies"]}
        self.values = {component["id"]: component["props"].get("value") for component in config["components"]}

    @contextlib.contextmanager
    def open_tab(self) -> Iterator[None]:
        """Begins a session, which is held as long as its heart beats."""
        with self.http.stream("GET", f"/gradio_api/heartbeat/{self.session}") as heartbeat:
            beats = heartbeat.iter_lines()  # it hangs up when this is let go of
            next(beats)
            self._post("/gradio_api/run/predict", "_welcome", [])
            yield

    def upload(self, *files: Path) -> list[dict]:
        """Sends files; returns them as a question attaches them."""
        uploads = [("files", (file.name, file.read_bytes())) for file in files]
        paths = self.http.post("/gradio_api/upload", files=uploads).json() if files else []
        return [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]

    def submit(self, question: str, *files: Path, max_new_tokens: int = 8) -> str:
        """Puts a question about files; returns what the page says of it in its notice."""
        return self.put(question, self.upload(*files), max_new_tokens)

    def put(self, question: str, attached: list[dict], max_new_tokens: int, temperature: float | None = None) -> str:
        """Puts a question about what was uploaded; returns what the page says of it in its notice."""
        data = [self.values.get(component) for component in self.events["_submit"]["inputs"]]
        data[:3] = [None, {"text": question, "files": attached}, max_new_tokens]
        if temperature is not None:
            data[4] = temperature
        *_, notice = self._post("/gradio_api/run/predict", "_submit", data)["data"]
        return notice.get("value", "")

    def join(self) -> None:
        """Stands in line for the answer."""
        self._post("/gradio_api/queue/join", "_answer", [None])

    def listen(self) -> Heard:
        """Waits for the end of the answer."""
        places: set[int] = set()
        first_text_at = None
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("msg") == "estimation":
                    places.add(message["rank"])
                if message.get("msg") == "process_generating" and message["success"] and first_text_at is None:
                    first_text_at = time.perf_counter()
                if message.get("msg") == "process_completed":
                    return Heard(places, message, first_text_at)
        raise AssertionError("the stream ended before the answer")

    def _post(self, path: str, event: str, data: list) -> dict:
        body = {"fn_index": self.events[event]["id"], "data": data, "session_hash": self.session}
        return self.http.post(path, json=body).raise_for_status().json()
