# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What somebody may try who does not use the page's own controls: everything is refused, and the server goes on."""

import contextlib
import gc
import http.server
import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest


httpx = pytest.importorskip("httpx", reason="httpx, which comes with gradio, is not installed")
pytestmark = pytest.mark.browser

MEBIBYTE = 2**20


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client
        assert client.get("/").status_code == 200  # still alive


@pytest.fixture(scope="module")
def event_of(server):
    """The number of an event and its number of inputs, by the name of its handler."""
    config = httpx.get(f"{server.url}/config", timeout=120).json()
    return {
        event["api_name"]: (event["id"], event["inputs"], config["components"]) for event in config["dependencies"]
    }


def question_with(event, text: str, file: dict | None = None) -> dict:
    number, inputs, components = event
    values = {component["id"]: component["props"].get("value") for component in components}
    data = [values.get(component) for component in inputs]
    data[0], data[1] = None, {"text": text, "files": [file] if file else []}
    return {"fn_index": number, "data": data, "session_hash": uuid.uuid4().hex}


@contextlib.contextmanager
def listener():
    """A server of this machine that counts who asks it for something."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_file_above_the_limit_is_refused_while_it_streams(client, server):
    sent = 0

    def body(boundary: str, size: int):
        nonlocal sent
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'.encode()
        for _ in range(size // MEBIBYTE):
            sent += MEBIBYTE
            yield bytes(MEBIBYTE)
        yield f"\r\n--{boundary}--\r\n".encode()

    before = server.memory()
    headers = {"Content-Type": "multipart/form-data; boundary=limit"}
    try:
        status = client.post("/gradio_api/upload", content=body("limit", 2048 * MEBIBYTE), headers=headers).status_code
    except httpx.WriteError:  # the server hung up
        status = 413
    assert status == 413
    assert server.memory() - before < 64 * MEBIBYTE


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/file=/proc/self/environ",
        "/gradio_api/file=demo/web.py",
        "/gradio_api/file=C:/x",
        "/gradio_api/proxy=http://127.0.0.1:1/",
    ],
)
def test_paths_of_this_machine_are_not_served(client, path):
    assert client.get(path).status_code in (400, 403, 404)


def test_an_upload_stays_where_uploads_are(client):
    answered = client.post("/gradio_api/upload", files={"files": ("../../../evil.html", b"<script>1</script>")})
    (path,) = answered.json()
    assert path.endswith("/evil.html") and ".." not in path and "/pandagpt-demo-" in path
    served = client.get(f"/gradio_api/file={path}")
    assert served.headers["content-type"] != "text/html" and "attachment" in served.headers["content-disposition"]


def test_files_that_were_not_uploaded_are_never_read(client, event_of):
    with listener() as (url, asked):
        for path in ("/etc/passwd", f"{url}/a.png", "file:///etc/passwd", str(__file__)):
            file = {"path": path, "url": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
            answered = client.post("/gradio_api/run/predict", json=question_with(event_of["_submit"], "What?", file))
            assert answered.status_code >= 400 or "error" in answered.json(), path
            assert "root:" not in answered.text
        assert asked == []


def test_an_address_in_the_text_is_no_medium(client, event_of):
    with listener() as (url, asked):
        client.post(
            "/gradio_api/run/predict", json=question_with(event_of["_submit"], f"{url}/a.png file:///etc/passwd")
        )
        assert asked == []


def test_nonsense_is_refused(client, server, event_of):
    number = event_of["_submit"][0]
    bodies = [{}, {"data": []}, {"fn_index": 10**6, "data": []}, {"fn_index": number, "data": ["x"] * 3}]
    for body in [*(json.dumps(body).encode() for body in bodies), b"{", b"\xff" * 1000]:
        with contextlib.suppress(httpx.ReadError):  # the server may hang up
            answered = httpx.post(f"{server.url}/gradio_api/run/predict", content=body, timeout=120)
            assert answered.status_code >= 400, body


def test_two_hundred_at_once_are_queued_or_refused_and_leave_no_memory(client, server, event_of):
    def ask(text: str) -> int:
        with httpx.Client(base_url=server.url, timeout=300) as one:
            event = question_with(event_of["_submit"], text)
            return one.post("/gradio_api/queue/join", json=event).status_code

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, ["warm up"] * 32))
        time.sleep(2)
        before = server.memory()
        statuses = list(pool.map(ask, ["What is it? " * 50] * 200))
    assert set(statuses) <= {200, 429, 503}
    gc.collect()
    time.sleep(2)
    assert client.get("/config").status_code == 200
    assert server.memory() - before < 200 * MEBIBYTE


def test_a_page_that_is_told_to_end_takes_the_uploads_along(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    other = type(server)(tmp_path / "log.txt")
    httpx.post(f"{other.url}/gradio_api/upload", files={"files": ("a.txt", b"words")}, timeout=120).raise_for_status()
    assert list(tmp_path.glob("pandagpt-demo-*/*/a.txt"))
    other.stop()
    assert not list(tmp_path.glob("pandagpt-demo-*"))
