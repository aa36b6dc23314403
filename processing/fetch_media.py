# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""From whatever is given to a list of media, and from what names a medium to its bytes.

Every processor of this folder takes what it is given apart with [`flatten`], reads each medium (a path, `file://`,
http(s), base64, a data URL, bytes) through [`open_media`] (or [`fetch`], the same as bytes), and wraps the reading of
one item in [`naming`], so that whatever goes wrong is reported with the kind and the position of the item.
"""

import base64
import binascii
import contextlib
import io
import os
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from numbers import Number
from typing import Any, BinaryIO

import numpy as np
import torch

# The client that transformers itself downloads with, under the name that outlives its major versions.
from huggingface_hub.utils import httpx
from PIL.Image import Image


MAX_BYTES = 256 * 2**20
TIMEOUT = 30.0

# No picture, sound or video is smaller than this in base64, so anything shorter is a mistyped path.
MIN_BASE64_CHARS = 64

_SCHEME = re.compile(r"(data|file)(?=:)|[a-z][a-z0-9+.-]+(?=://)", re.IGNORECASE)

# An array with as many dimensions holds several media; one with fewer is a medium.
_BATCH_DIMENSIONS = {"images": 4, "videos": 5, "audio": 3, "thermal": 4, "depth": 4, "imu": 3}

MediaSource = str | os.PathLike | bytes | bytearray | memoryview | Mapping


def fetch(source: MediaSource, max_bytes: int = MAX_BYTES, timeout: float = TIMEOUT) -> bytes:
    """Returns the bytes of a medium.

    Args:
        source (`str`, `os.PathLike`, `bytes` or `Mapping`):
            A path, a `file://`, `http://` or `https://` URL, a base64 string, a data URL, the bytes themselves, or the
            `{"bytes": ..., "path": ...}` of an undecoded `datasets` column. A string that names an existing file is
            always a path; only then is it tried as base64. A URL may name any host that this machine reaches, private
            ones among them, and redirects are followed: who takes URLs from strangers has to check them before.
        max_bytes (`int`, *optional*, defaults to 256 MiB):
            Most bytes that a download may have, counted while it streams.
        timeout (`float`, *optional*, defaults to 30.0):
            Seconds that a download may stand still; all of it may take ten times as long.

    Raises:
        `ValueError`: if nothing can be read from `source`, or a download is too large or too slow.
        `TypeError`: if `source` is none of the above.
    """
    with open_media(source, max_bytes, timeout) as file:
        return file.read()


def open_media(source: MediaSource, max_bytes: int = MAX_BYTES, timeout: float = TIMEOUT) -> BinaryIO:
    """As [`fetch`], but returns a seekable binary file, so that a large local file is not read as a whole."""
    if isinstance(source, Mapping):
        return open_media(_undecoded(source), max_bytes, timeout)
    if isinstance(source, bytes | bytearray | memoryview):
        if len(source) == 0:
            raise ValueError("it is empty (0 bytes)")
        return io.BytesIO(source)
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"expected a path, a URL, a base64 string or bytes, got {type(source).__name__}")
    text = os.fspath(source)
    scheme = scheme_of(text)
    if scheme in ("http", "https"):
        return io.BytesIO(_download(text, max_bytes, timeout))
    if scheme == "data":
        return io.BytesIO(_from_data_url(text))
    path = _path_of_file_url(text) if scheme == "file" else text
    if _is_file(path):
        if os.path.getsize(path) == 0:
            raise ValueError("the file is empty (0 bytes)")
        return open(path, "rb")
    return io.BytesIO(_from_base64_or_fail(text))


def scheme_of(source: str) -> str:
    """Returns the scheme of a URL in lower case, `""` for anything else."""
    scheme = _SCHEME.match(source)
    return scheme.group().lower() if scheme else ""


def flatten(media: Any, argument: str) -> list:
    """Returns one medium, a list or rows of media, or an array of several as a flat list of media.

    Args:
        media: what was given to a processor.
        argument (`str`): as what: `"images"`, `"videos"`, `"audio"`, `"thermal"`, `"depth"` or `"imu"`.
    """
    if isinstance(media, np.ndarray | torch.Tensor) and media.ndim == _BATCH_DIMENSIONS[argument]:
        return list(media)
    if not isinstance(media, list | tuple) or _is_one(media, argument):
        return [media]
    return [medium for item in media for medium in flatten(item, argument)]


def is_rated(medium: Any) -> bool:
    """Whether a medium is a tuple (data, rate)."""
    return (
        isinstance(medium, tuple)
        and len(medium) == 2
        and isinstance(medium[1], Number)
        and not isinstance(medium[0], Number)
    )


def _is_one(sequence: list | tuple, argument: str) -> bool:
    """Whether a list or tuple is itself a medium: (data, rate), a list of frames, or a list of samples."""
    if not sequence or argument not in ("videos", "audio", "imu"):
        return False
    if is_rated(sequence):
        return True
    return all(_is_frame(item) if argument == "videos" else isinstance(item, Number) for item in sequence)


def _is_frame(item: Any) -> bool:
    return isinstance(item, np.ndarray | torch.Tensor) and item.ndim <= 3 or isinstance(item, Image)


def describe(source: Any) -> str:
    """A short name of a medium for an error message: the path or URL, or what kind of object it is."""
    if isinstance(source, str | os.PathLike):
        text = str(source)
        return repr(text if len(text) <= 80 else f"{text[:50]}…{text[-20:]}")
    if isinstance(source, bytes | bytearray | memoryview):
        return f"{len(source)} bytes"
    if isinstance(source, Mapping) and source.get("path"):
        return describe(source["path"])
    shape = getattr(source, "shape", None)
    name = type(source).__name__
    return f"{name} of shape {tuple(shape)}" if shape is not None else name


@contextlib.contextmanager
def naming(kind: str, position: int, source: Any) -> Iterator[None]:
    """Turns any error of a decoder into a `ValueError` (or `TypeError`) that begins `kind[position] (source): `.

    Decoders raise whatever they like on broken input (`OSError`, `SyntaxError`, `struct.error`, …), hence the width of
    the net; a missing optional dependency is the user's business as it is.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        error_type = TypeError if isinstance(error, TypeError) else ValueError
        reason = str(error) or type(error).__name__
        raise error_type(f"{kind}[{position}] ({describe(source)}): {reason}") from error


def _undecoded(item: Mapping) -> MediaSource:
    source = item.get("bytes") or item.get("path")
    if source is None:
        raise TypeError(f"expected a mapping with 'bytes' or 'path', got one with the keys {sorted(map(str, item))}")
    return source


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)
    except ValueError:  # a NUL character
        return False


def _path_of_file_url(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"a file URL of another host ({parts.netloc}) cannot be read")
    return urllib.request.url2pathname(parts.path)


def _from_data_url(url: str) -> bytes:
    header, comma, payload = url.partition(",")
    if not comma:
        raise ValueError("a data URL needs a comma before its data")
    is_base64 = header.lower().endswith(";base64")
    data = _decode_base64(payload) if is_base64 else urllib.parse.unquote_to_bytes(payload)
    if not data:
        raise ValueError("the data URL is empty, or its base64 is broken")
    return data


def _from_base64_or_fail(text: str) -> bytes:
    scheme = scheme_of(text)
    if scheme and scheme != "file":
        raise ValueError(f"{scheme}:// is not supported; give a path, an http(s) URL or base64")
    if os.path.isdir(text):
        raise ValueError("it is a directory, not a file")
    data = _decode_base64(text) if len(text) >= MIN_BASE64_CHARS else None
    if data is None:
        raise ValueError("no such file (nor is it a URL or base64)")
    return data


def _decode_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split("\n")).replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):  # ValueError: a character beyond ASCII
        return None


def _download(url: str, max_bytes: int, timeout: float) -> bytes:
    deadline = time.monotonic() + 10 * timeout
    data = bytearray()
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=timeout) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > max_bytes:
                    raise ValueError(f"the download is larger than {max_bytes} bytes")
                if time.monotonic() > deadline:
                    raise ValueError(f"the download took longer than {10 * timeout:g} s")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ValueError(f"the download failed: {str(error) or type(error).__name__}") from error
    if not data:
        raise ValueError("the download is empty (0 bytes)")
    return bytes(data)
