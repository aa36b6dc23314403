# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The schema of a row, `ROW`, and how a record of any form becomes one; all media stay undecoded.

A record has `messages`, whose content is text or a list of typed blocks, or a `conversation` as the original's
(`[{"from": "human" | "gpt", "value": …}, …]`), and media in the blocks (by `path`, `url`, `base64` or under the type's
name) or in columns (`image`, `images`, `video`, …), which the blocks without a medium take in turn. A record with
media but no block for them gets them where its text says `<image>`, `<video>`, …, or else before the first question.

A record that makes no sense keeps its id and the reason under `error`: who reads the rows counts and reports it.
"""

import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from datasets import Features, List, Value

from processing.processing_imagebind import MODALITIES


# Which column of a row holds the undecoded media of a kind. Pictures are not called `images`: by that name TRL's
# trainer recognises data of its own, which it would process itself.
MEDIA_COLUMNS = {modality.name: modality.name for modality in MODALITIES} | {"image": "pictures", "video": "videos"}

# What a medium is: bytes (an array as .npy), or a path or URL; the rate belongs to arrays of sound and motion.
MEDIUM = {"bytes": Value("binary"), "path": Value("string"), "sampling_rate": Value("float64")}
BLOCK = {"type": Value("string"), "text": Value("string"), "path": Value("string")}
ROW = Features(
    {
        "id": Value("string"),
        "source": Value("string"),
        "messages": List({"role": Value("string"), "content": List(BLOCK)}),
        **{column: List(MEDIUM) for column in MEDIA_COLUMNS.values()},
        "error": Value("string"),
    }
)

COLUMN_NAMES = {
    "image": ("images", "image", "pictures", "image_name"),
    "video": ("videos", "video"),
    "audio": ("audio", "audios"),
    **{kind: (kind,) for kind in ("thermal", "depth", "imu")},
}
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
CONVERSATION_NAMES = ("messages", "conversation", "conversations")
_PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_DIMENSIONS = {"image": 3, "audio": 1, "thermal": 2, "depth": 2, "imu": 2}  # of one medium as an array
_PLACEHOLDER = re.compile(f"<({'|'.join(MEDIA_COLUMNS)})>")

# How the bytes of a saved array begin.
_NPY = b"\x93NUMPY"

# A string longer than any path is base64.
_LONGEST_PATH = 4096


def to_row(record: Mapping[str, Any], name: str, source: str, folder: str | None = None) -> dict[str, Any]:
    """Returns a record of any form as a row of the schema `ROW`.

    Args:
        record (`Mapping`): with `messages`, `conversation` or `conversations`, and columns of media.
        name (`str`): its id, if it has none of its own.
        source (`str`): where it comes from.
        folder (`str`, *optional*): where relative paths begin.
    """
    own = record.get("id")
    row: dict[str, Any] = {"id": name if own is None else str(own), "source": source, "error": None}
    try:
        return row | _Reading(record, folder).row
    except (TypeError, ValueError) as error:
        return row | {"messages": [], **{column: [] for column in MEDIA_COLUMNS.values()}, "error": str(error)}


class _Reading:
    """Reads one record: every block without a medium takes the next one of its kind's column."""

    def __init__(self, record: Mapping[str, Any], folder: str | None) -> None:
        self.folder = folder
        self.columns = {kind: self._column(record, kind) for kind in MEDIA_COLUMNS}
        self.media: dict[str, list] = {kind: [] for kind in MEDIA_COLUMNS}
        turns = next((record[name] for name in CONVERSATION_NAMES if record.get(name)), None)
        if not isinstance(turns, list):
            raise ValueError("it has neither messages nor a conversation")
        self.messages = [self._message(turn, f"turn {position}") for position, turn in enumerate(turns)]
        if not any(message["role"] == "assistant" for message in self.messages):
            raise ValueError("it has no assistant turn, so nothing to learn from")
        self._place_the_rest()

    @property
    def row(self) -> dict[str, Any]:
        return {"messages": self.messages} | {MEDIA_COLUMNS[kind]: media for kind, media in self.media.items()}

    def _column(self, record: Mapping[str, Any], kind: str) -> list[dict]:
        name = next((name for name in COLUMN_NAMES[kind] if record.get(name) is not None), None)
        if name is None:
            return []
        value = record[name]
        if name == "image_name" and not str(value).lower().endswith(_PICTURE_SUFFIXES):
            value = f"{value}.jpg"
        is_one = not isinstance(value, list) or _count_dimensions(value) == _DIMENSIONS.get(kind, 0)
        return [self._medium(item, kind) for item in ([value] if is_one else value)]

    def _message(self, turn: Any, where: str) -> dict[str, Any]:
        if not isinstance(turn, Mapping):
            raise TypeError(f"{where} must be a mapping, got {type(turn).__name__}")
        speaker = turn.get("role") or turn.get("from")
        content = turn.get("content") if turn.get("content") is not None else turn.get("value")
        if speaker not in _ROLES:
            raise ValueError(f"{where} is by {speaker!r}, expected one of {', '.join(_ROLES)}")
        role = _ROLES[speaker]
        if isinstance(content, str):
            return {"role": role, "content": self._blocks_of(content) if role == "user" else [_text(content)]}
        if not isinstance(content, list):
            raise TypeError(f"{where} must say a string or a list of blocks, got {type(content).__name__}")
        return {"role": role, "content": [self._block(block, where) for block in content]}

    def _blocks_of(self, content: str) -> list[dict]:
        """Divides text at the placeholders of media that the record has in columns; any other is text."""
        blocks, start = [], 0
        for match in _PLACEHOLDER.finditer(content):
            if self.columns[match[1]]:
                blocks += [_text(content[start : match.start()].strip()), self._take(match[1])]
                start = match.end()
        if not blocks:
            return [_text(content)]
        blocks.append(_text(content[start:].strip()))
        return [block for block in blocks if block["type"] != "text" or block["text"]]

    def _block(self, block: Any, where: str) -> dict[str, Any]:
        if not isinstance(block, Mapping):
            raise TypeError(f"a block of {where} must be a mapping with a type, got {type(block).__name__}")
        kind = str(block.get("type")).removesuffix("_url")
        if kind == "text":
            if not isinstance(block.get("text"), str):
                raise TypeError(f"a text block of {where} has no text")
            return _text(block["text"])
        if kind not in MEDIA_COLUMNS:
            raise ValueError(f"a block of {where} has the unknown type {kind!r}")
        given = [block[key] for key in (kind, "path", "url", f"{kind}_url") if block.get(key) is not None]
        if block.get("base64") is not None:
            given.append(f"data:;base64,{block['base64']}")
        if not given:
            return self._take(kind)
        medium = given[0]["url"] if isinstance(given[0], Mapping) and "url" in given[0] else given[0]
        if isinstance(medium, str):
            return {"type": kind, "text": None, "path": self._resolve(medium)}
        if block.get("sampling_rate") is not None and not isinstance(medium, Mapping):
            medium = {"array": medium, "sampling_rate": block["sampling_rate"]}
        self.media[kind].append(self._medium(medium, kind))
        return {"type": kind, "text": None, "path": None}

    def _take(self, kind: str) -> dict[str, Any]:
        if not self.columns[kind]:
            raise ValueError(f"it has more blocks of type {kind} than media for them")
        self.media[kind].append(self.columns[kind].pop(0))
        return {"type": kind, "text": None, "path": None}

    def _place_the_rest(self) -> None:
        """Puts media that no block asks for before the first question."""
        blocks = []
        for kind, column in self.columns.items():
            if column and any(block["type"] == kind for message in self.messages for block in message["content"]):
                raise ValueError(f"it has {len(column)} media of type {kind} more than blocks for them")
            blocks += [self._take(kind) for _ in range(len(column))]
        question = next((message for message in self.messages if message["role"] == "user"), None)
        if blocks and question is None:
            raise ValueError("it has media but no question of a user to put them before")
        if question is not None:
            question["content"][:0] = blocks

    def _medium(self, value: Any, kind: str) -> dict[str, Any]:
        rate = None
        if isinstance(value, Mapping):
            if value.get("array") is None:
                if value.get("bytes") is None and value.get("path") is None:
                    raise ValueError(f"a medium of type {kind} has neither bytes nor a path")
                path = value.get("path")
                rate = value.get("sampling_rate") if (value.get("bytes") or b"").startswith(_NPY) else None
                return {"bytes": value.get("bytes"), "path": path and self._resolve(path), "sampling_rate": rate}
            value, rate = value["array"], value.get("sampling_rate")
        if isinstance(value, str):
            return {"bytes": None, "path": self._resolve(value), "sampling_rate": None}
        if isinstance(value, bytes):
            return {"bytes": value, "path": None, "sampling_rate": None}
        if not isinstance(value, list | np.ndarray) or kind == "video":
            raise TypeError(f"a medium of type {kind} cannot be read from a {type(value).__name__}")
        if kind == "audio" and rate is None:
            raise ValueError("an array of sound needs its sampling_rate")
        file = io.BytesIO()
        array = np.asarray(value)
        np.save(file, array.astype(np.float32) if array.dtype == np.float64 else array, allow_pickle=False)
        return {"bytes": file.getvalue(), "path": None, "sampling_rate": rate}

    def _resolve(self, path: str) -> str:
        if self.folder is None or "://" in path or path.startswith("data:") or len(path) > _LONGEST_PATH:
            return path
        return str(Path(self.folder) / path)


def media_of(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the kind and the medium of every media block, from the block itself or, in turn, from its column."""
    for kind, medium in stored_media_of(row):
        yield kind, _as_processors_take_it(medium)


def stored_media_of(row: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """As [`media_of`], each medium as `MEDIUM` says."""
    columns = {kind: iter(row.get(column) or []) for kind, column in MEDIA_COLUMNS.items()}
    for message in row["messages"]:
        for block in message["content"]:
            kind = block["type"]
            if kind == "text":
                continue
            medium = {"path": block["path"]} if block.get("path") else next(columns[kind], None)
            if medium is None:
                raise ValueError(f"the column {MEDIA_COLUMNS[kind]} has too few media for the blocks of type {kind}")
            yield kind, medium


def _as_processors_take_it(medium: Mapping[str, Any]) -> Any:
    data: Any
    data, path, rate = medium.get("bytes"), medium.get("path"), medium.get("sampling_rate")
    if rate is not None:
        return np.load(io.BytesIO(data), allow_pickle=False), rate
    if data is None and path is not None and (path.startswith("hf://") or "::" in path):
        with fsspec.open(path, "rb") as file:  # a file of a streamed Hub folder or archive
            data = file.read()
    return path if data is None else data


def public_name(source: str | os.PathLike) -> str:
    """A Hub id as it is, of a path the last part alone: it is published, and tells nothing elsewhere."""
    return Path(source).resolve().name if os.path.exists(source) else str(source)


def public_id(row: Mapping[str, Any]) -> str:
    """A row's id without the folders that its source lies in."""
    source, name = row["source"], row["id"]
    return public_name(source) + name.removeprefix(source) if name.startswith(source) else name


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "path": None}


def _count_dimensions(value: Any) -> int | None:
    """Returns how deeply numbers are nested, `None` if there are no numbers."""
    depth = 0
    while isinstance(value, list | np.ndarray) and len(value):
        value, depth = value[0], depth + 1
    return depth if depth and isinstance(value, int | float | np.number) else None
