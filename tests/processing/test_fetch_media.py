# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Reading bytes from wherever a medium lies, and naming it when that fails."""

import base64
import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from processing.fetch_media import describe, fetch, flatten, naming, open_media


DATA = bytes(range(256))


class _Handler(BaseHTTPRequestHandler):
    """Serves DATA, redirects, an endless stream without a length, and streams that stand still or drip."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        with contextlib.suppress(ConnectionError):
            getattr(self, f"send_{self.path.strip('/')}", self.send_missing)()

    def send_small(self):
        self._start(200, {"Content-Length": str(len(DATA))})
        self.wfile.write(DATA)

    def send_empty(self):
        self._start(200, {"Content-Length": "0"})

    def send_endless(self):
        self._start(200)
        while True:
            self.wfile.write(bytes(1 << 16))

    def send_still(self):
        self._start(200, {"Content-Length": "10"})
        self.server.released.wait(10)

    def send_drip(self):
        self._start(200)
        for _ in range(80):  # at most 4 s, so that a test of the deadline fails rather than hangs
            if not self.server.released.wait(0.05):
                self.wfile.write(b"x")

    def send_redirect(self):
        self._start(302, {"Location": "/small"})

    def send_escape(self):
        self._start(302, {"Location": "file:///etc/hostname"})

    def send_missing(self):
        self._start(404, {"Content-Length": "0"})

    def _start(self, status, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.released = threading.Event()
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.released.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a medium.bin"
    path.write_bytes(DATA)
    return path


def test_every_kind_of_source_gives_the_bytes(file):
    encoded = base64.b64encode(DATA).decode()
    wrapped = "\n".join(encoded[i : i + 76] for i in range(0, len(encoded), 76)) + "\n"
    percent = "".join(f"%{byte:02x}" for byte in DATA)
    sources = [
        str(file),
        file,
        file.as_uri(),
        DATA,
        bytearray(DATA),
        memoryview(DATA),
        encoded,
        wrapped,
        f"data:image/png;base64,{encoded}",
        f"DATA:image/png;BASE64,{encoded}",
        f"data:,{percent}",
        f"FILE{file.as_uri().removeprefix('file')}",
        {"bytes": DATA, "path": "elsewhere.wav"},
        {"bytes": None, "path": str(file)},
    ]
    for source in sources:
        assert fetch(source) == DATA, describe(source)


def test_an_open_medium_can_seek(file):
    for source in (file, DATA):
        with open_media(source) as opened:
            opened.seek(-1, 2)
            assert opened.read() == DATA[-1:]


def test_an_existing_path_wins_over_base64(tmp_path, monkeypatch):
    name = "A" * 64
    (tmp_path / name).write_bytes(b"from the file")
    monkeypatch.chdir(tmp_path)
    assert fetch(name) == b"from the file"
    assert fetch("B" * 64) == base64.b64decode("B" * 64)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/file.jpg", "no such file"),
        ("dogs", "no such file"),  # valid base64, far too short for a medium
        ("A" * 63 + "!", "no such file"),
        ("nul\0character", "no such file"),
        ("file:///no/such/file.jpg", "no such file"),
        ("file://elsewhere/file.jpg", "another host"),
        ("s3://bucket/file.jpg", "s3:// is not supported"),
        ("ftp://host/file.jpg", "ftp:// is not supported"),
        ("data:image/png;base64", "comma"),
        ("data:image/png;base64,!!!", "broken"),
        ("data:,", "empty"),
        ("S3://bucket/file.jpg", "s3:// is not supported"),
        (b"", "empty"),
    ],
)
def test_a_source_that_names_nothing_is_an_error(source, message):
    with pytest.raises(ValueError, match=message):
        fetch(source)


def test_a_directory_and_an_empty_file_are_errors(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="directory"):
        fetch(tmp_path)
    with pytest.raises(ValueError, match="0 bytes"):
        fetch(tmp_path / "empty")


@pytest.mark.parametrize("source", [3, None, object(), {"url": "x"}, {"bytes": None, "path": None}])
def test_a_source_of_another_type_is_an_error(source):
    with pytest.raises(TypeError, match="expected"):
        fetch(source)


def test_download(server):
    assert fetch(f"{server}/small") == DATA
    assert fetch(f"{server.replace('http', 'HTTP')}/small") == DATA
    assert fetch(f"{server}/redirect") == DATA
    assert fetch(f"{server}/small", max_bytes=len(DATA)) == DATA


@pytest.mark.parametrize(
    ("page", "options", "message"),
    [
        ("small", {"max_bytes": len(DATA) - 1}, "larger than 255 bytes"),
        ("endless", {"max_bytes": 10**6}, "larger than 1000000 bytes"),  # no Content-Length to go by
        ("escape", {}, "download failed"),  # a redirect to file://
        ("missing", {}, "404"),
        ("empty", {}, "empty"),
    ],
)
def test_a_bad_download_is_an_error(server, page, options, message):
    with pytest.raises(ValueError, match=message):
        fetch(f"{server}/{page}", **options)


@pytest.mark.parametrize(("page", "message"), [("still", "failed"), ("drip", "longer than 1 s")])
def test_a_slow_download_is_given_up(server, page, message):
    start = time.monotonic()
    with pytest.raises(ValueError, match=message):
        fetch(f"{server}/{page}", timeout=0.1)
    assert time.monotonic() - start < 5


def test_an_unreachable_host_is_an_error(server):
    with pytest.raises(ValueError, match="download failed"):
        fetch("http://127.0.0.1:1/x", timeout=1)


def test_naming_keeps_the_type_and_adds_the_item():
    with pytest.raises(ValueError, match=r"^images\[2\] \('x.jpg'\): cannot") as raised, naming("images", 2, "x.jpg"):
        raise OSError("cannot identify")
    assert isinstance(raised.value.__cause__, OSError)
    with pytest.raises(TypeError, match=r"^audio\[0\] \(int\): no"), naming("audio", 0, 5):
        raise TypeError("no")
    with pytest.raises(ValueError, match=r"videos\[1\] \(3 bytes\): EOFError"), naming("videos", 1, b"abc"):
        raise EOFError
    with pytest.raises(ImportError, match="^pip install av$"), naming("videos", 0, "x.mp4"):
        raise ImportError("pip install av")


def test_a_long_source_is_described_shortly():
    assert len(describe("A" * 10**6)) < 90
    assert describe("x" * 70 + "/the_picture.png").endswith("the_picture.png'")


FRAME, SAMPLES = np.zeros((4, 4, 3)), np.zeros(9)


@pytest.mark.parametrize(
    ("argument", "medium"),
    [
        ("videos", [FRAME, FRAME]),
        ("videos", [FRAME[..., 0]]),
        ("videos", ([FRAME], np.int64(5))),
        ("videos", (np.zeros((2, 4, 4, 3)), np.float32(5))),
        ("audio", (SAMPLES, np.int64(16000))),
        ("audio", ([0.0, 0.5], 16000)),
        ("audio", [0.0, np.float32(0.5)]),
        ("audio", (0.0, 0.5)),
        ("imu", (np.zeros((6, 9)), np.float64(400))),
        ("images", FRAME),
        ("depth", "a path"),
    ],
)
def test_one_medium_is_one_alone_in_lists_and_in_rows(argument, medium):
    for given in (medium, [medium], [[medium]]):
        flat = flatten(given, argument)
        assert len(flat) == 1 and flat[0] is medium
    assert len(flatten([[medium, medium], [medium], []], argument)) == 3
