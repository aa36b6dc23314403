# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Conversations and their media as parquet files that carry everything: no path of this machine, no file beside them.

Notable:
- Media are stored as `{"bytes", "path"}` under the features Image, Audio and Video. The table is written by Arrow
  itself: encoding through those features would need torchcodec.
- Two passes. The first reads text only: it counts rows, settles the columns, and finds missing files. The second reads
  media, checks each with our decoders, and writes; at most one group of rows is in memory.
- A shard is written under another name and gets its own when it is whole, so a run that was killed goes on where it
  stopped.
- The number of shards is a multiple of 8 where there are rows enough, so that 2, 4 or 8 processes get equally many.
"""

import io
import json
import math
import os
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
from datasets import Audio, Features, Image, List, Value, Video
from pyarrow.parquet import ParquetWriter

from chat_data.rows import (
    COLUMN_NAMES,
    CONVERSATION_NAMES,
    MEDIA_COLUMNS,
    media_of,
    public_id,
    stored_media_of,
    to_row,
)
from chat_data.sources import load_table, media_folder, records_of, undecoded
from processing import PandaGPTFeatureExtractor, PandaGPTImuFeatureExtractor, PandaGPTVideoProcessor
from processing.fetch_media import fetch, scheme_of
from processing.image_processing_pandagpt import open_picture, to_pil


SPLITS = ("train", "validation", "test")

SHARD_BYTES = 500 * 10**6
GROUP_BYTES = 64 * 10**6
ROWS_IN_GROUP = 100
SHARDS_DIVIDE_BY = 8

_FILE = {"bytes": Value("binary"), "path": Value("string")}
# Of each kind the column, by a name that `chat_data` reads, and what one medium is.
MEDIA_FEATURES = {
    "image": ("images", Image()),
    "video": ("videos", Video()),
    "audio": ("audio", Audio()),
    "thermal": ("thermal", Image()),
    "depth": ("depth", _FILE),
    "imu": ("imu", {**_FILE, "sampling_rate": Value("float64")}),
}
_TEXT_FEATURES = {
    "id": Value("string"),
    "messages": List({"role": Value("string"), "content": List({"type": Value("string"), "text": Value("string")})}),
}
_NOT_LABELS = {
    *("id", "source", "error", "media_embeds", "media_types", *CONVERSATION_NAMES, *MEDIA_COLUMNS.values()),
    *(name for names in COLUMN_NAMES.values() for name in names),
}
_LABEL_FEATURES = {
    frozenset({bool}): Value("bool"),
    frozenset({int}): Value("int64"),
    frozenset({float}): Value("float64"),
    frozenset({int, float}): Value("float64"),
    frozenset({str}): Value("string"),
    frozenset({list}): List(Value("string")),
    frozenset({str, list}): List(Value("string")),
}


@dataclass
class Conversations:
    """
    One split of a data set, as it lies on this machine.

    Args:
        source (`dict`):
            As for `chat_data.load_source`.
    """

    source: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.path = Path(self.source["path"]).expanduser()
        self.folder = media_folder(self.source)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yields rows of `chat_data.rows.ROW`, and with each the record's other columns."""
        name = str(self.source["path"])
        for index, record in enumerate(self._records()):
            if not isinstance(record, Mapping):
                raise ValueError(f"{self.path}: record {index} must be a mapping, got {type(record).__name__}")
            labels = {column: value for column, value in record.items() if column not in _NOT_LABELS}
            yield to_row(record, f"{name}:{index}", name, self.folder), labels

    def _records(self) -> Iterator[Any]:
        if self.path.is_file() and self.path.suffix in (".json", ".jsonl"):
            yield from records_of(self.path)
        else:
            yield from undecoded(load_table(self.source, self.path, streaming=True))

    def name_of(self, path: str | None) -> str | None:
        """What a medium is called in public: its path below the folder of media, or its last part."""
        if not path or scheme_of(path) == "data" or not _is_short(path):
            return None
        if scheme_of(path):
            return Path(urllib.parse.urlsplit(path.split("::")[0]).path).name or None
        folder = Path(self.folder).resolve() if self.folder else None
        resolved = Path(path).resolve()
        if folder is not None and resolved.is_relative_to(folder):
            return resolved.relative_to(folder).as_posix()
        return resolved.name


@dataclass
class Scan:
    """What the first pass found: the indices of rows that can be published, and why the others cannot."""

    good: list[int] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    num_bytes: int = 0
    label_types: dict[str, set[type]] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        return len(self.good) + len(self.broken)


def find_splits(path: str | os.PathLike, images: str | None = None) -> dict[str, Conversations]:
    """
    The splits of a local data set.

    Args:
        path (`str` or `os.PathLike`):
            A file of conversations; or a folder with `train.jsonl` (or `.json`), and maybe `validation` and `test`,
            with one json alone, or with anything else that `chat_data` reads.
        images (`str`, *optional*):
            The folder that relative paths of media begin at; `images/` beside the file, or its folder, when `None`.

    Raises:
        ValueError: when nothing lies there.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise ValueError(f"there is no {path}")
    files = {"train": path}
    if path.is_dir():
        found = [file for suffix in (".json", ".jsonl") for file in sorted(path.glob(f"*{suffix}"))]
        named = {file.stem: file for file in found if file.stem in SPLITS}
        alone = {"train": found[0]} if len(found) == 1 and not (path / "state.json").exists() else {}
        files = {split: named[split] for split in SPLITS if split in named} or alone or files
    folder = {"images": images} if images else {}
    return {split: Conversations({"path": str(file), **folder}) for split, file in files.items()}


def scan(conversations: Conversations) -> Scan:
    """The first pass: reads the text of every row, and whether its media are there."""
    found = Scan()
    for index, (row, labels) in enumerate(conversations):
        try:
            if row["error"]:
                raise ValueError(row["error"])
            media = list(stored_media_of(row))
            found.num_bytes += sum(_size(medium) for _, medium in media)
        except ValueError as error:
            found.broken[public_id(row)] = str(error)
            continue
        found.good.append(index)
        found.kinds.update(kind for kind, _ in media)
        for name, value in labels.items():
            if value is not None:
                found.label_types.setdefault(name, set()).add(_type_of_label(value))
    return found


def features_of(scans: list[Scan]) -> Features:
    """The columns of all splits: text, the kinds of media that there are, and labels that are plain values."""
    kinds = {kind for found in scans for kind in found.kinds}
    types: dict[str, set[type]] = {}
    for found in scans:
        for name, own in found.label_types.items():
            types.setdefault(name, set()).update(own)
    labels = {name: _LABEL_FEATURES[key] for name in types if (key := frozenset(types[name])) in _LABEL_FEATURES}
    media = {column: List(feature) for kind, (column, feature) in MEDIA_FEATURES.items() if kind in kinds}
    return Features(_TEXT_FEATURES | media | labels)


def choose_num_shards(num_rows: int, num_bytes: int) -> int:
    """A multiple of 8, in files of about 500 MB; for fewer than 8 rows the largest power of two that they fill."""
    if num_rows < SHARDS_DIVIDE_BY:
        return 2 ** int(math.log2(max(1, num_rows)))
    wanted = math.ceil(num_bytes / (SHARD_BYTES * SHARDS_DIVIDE_BY)) * SHARDS_DIVIDE_BY
    return min(max(SHARDS_DIVIDE_BY, wanted), num_rows // SHARDS_DIVIDE_BY * SHARDS_DIVIDE_BY)


def write_split(
    conversations: Conversations,
    found: Scan,
    features: Features,
    split: str,
    num_shards: int,
    output: Path,
    work: Path,
) -> None:
    """
    The second pass: writes the shards that are not there yet into `output`, and what is broken in them into `work`.

    Args:
        conversations ([`Conversations`]), found ([`Scan`]):
            The split, and what the first pass found in it.
        features (`Features`):
            The columns.
        split (`str`):
            Its name.
        num_shards (`int`):
            Files; the rows are dealt out evenly, in their order.
        output, work (`Path`):
            Folder of the shards, and folder for what is not published.
    """
    names = [f"{split}-{number:05d}-of-{num_shards:05d}" for number in range(num_shards)]
    place = {index: position * num_shards // len(found.good) for position, index in enumerate(found.good)}
    is_there = [(output / f"{name}.parquet").exists() for name in names]
    shard = _Shard(features, work)
    for index, (row, labels) in enumerate(conversations):
        number = place.get(index)
        if number is None or is_there[number]:
            continue
        if names[number] != shard.name:
            shard.finish(output)
            shard.begin(names[number])
        try:
            published = _published(conversations, row, labels, features)
        except Exception as error:  # whatever a decoder says of a broken file
            shard.leave_out(public_id(row), f"{type(error).__name__}: {error}")
        else:
            shard.add(published)
    shard.finish(output)


def broken_rows(work: Path) -> dict[str, str]:
    """Id and reason of every row that the second pass left out."""
    lines = [line for file in sorted(work.glob("broken-*.jsonl")) for line in file.read_text("utf-8").splitlines()]
    return {entry["id"]: entry["reason"] for entry in map(json.loads, lines)}


class _Shard:
    """One file in the making."""

    def __init__(self, features: Features, work: Path) -> None:
        self.schema = features.arrow_schema
        self.work = work
        self.name = ""

    @property
    def unfinished(self) -> Path:
        return self.work / f"{self.name}.unfinished"

    @property
    def report(self) -> Path:
        return self.work / f"broken-{self.name}.jsonl"

    def begin(self, name: str) -> None:
        self.name = name
        self.report.unlink(missing_ok=True)
        self.writer = ParquetWriter(self.unfinished, self.schema)
        self.group: list[dict[str, Any]] = []
        self.group_bytes = 0

    def add(self, row: dict[str, Any]) -> None:
        self.group.append(row)
        columns = [row.get(column) or [] for column, _ in MEDIA_FEATURES.values()]
        self.group_bytes += sum(len(medium["bytes"]) for column in columns for medium in column)
        if len(self.group) == ROWS_IN_GROUP or self.group_bytes > GROUP_BYTES:
            self._write_group()

    def leave_out(self, name: str, reason: str) -> None:
        with self.report.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"id": name, "reason": reason}) + "\n")

    def finish(self, output: Path) -> None:
        if not self.name:
            return
        self._write_group()
        self.writer.close()
        self.unfinished.replace(output / f"{self.name}.parquet")

    def _write_group(self) -> None:
        if self.group:
            self.writer.write_table(pa.Table.from_pylist(self.group, schema=self.schema))
        self.group, self.group_bytes = [], 0


def _published(
    conversations: Conversations, row: Mapping[str, Any], labels: Mapping[str, Any], features: Features
) -> dict[str, Any]:
    """A row with its media as bytes, and nothing that tells of this machine."""
    messages = [
        {
            "role": turn["role"],
            "content": [{"type": block["type"], "text": block["text"]} for block in turn["content"]],
        }
        for turn in row["messages"]
    ]
    published: dict[str, Any] = {"id": public_id(row), "messages": messages}
    for (kind, stored), (_, medium) in zip(stored_media_of(row), media_of(row), strict=True):
        check_medium(kind, medium)
        entry = _stored(kind, medium) | {"path": conversations.name_of(stored.get("path"))}
        published.setdefault(MEDIA_FEATURES[kind][0], []).append(entry)
    for name, value in labels.items():
        if name in features and value is not None:
            published[name] = [value] if isinstance(features[name], List) and isinstance(value, str) else value
    return published


def check_medium(kind: str, medium: Any) -> None:
    """Raises whatever our decoders raise on a medium that they cannot read."""
    if kind in ("image", "thermal", "depth"):
        open_picture(medium)
    elif kind == "video":
        _processor(PandaGPTVideoProcessor)([medium], num_clips=1, num_crops=1, return_tensors="pt")
    elif kind == "audio":
        _processor(PandaGPTFeatureExtractor)([medium], num_clips=1, return_tensors="pt")
    else:
        # A file does not tell its rate: whoever reads it says it then.
        rate = {} if isinstance(medium, tuple) else {"sampling_rate": 400}
        _processor(PandaGPTImuFeatureExtractor)([medium], return_tensors="pt", **rate)


@cache
def _processor(processor_class: type) -> Any:
    return processor_class()


def _stored(kind: str, medium: Any) -> dict[str, Any]:
    """The bytes of a medium as its feature has them: arrays of sound become AU, those of pictures PNG."""
    file = io.BytesIO()
    if isinstance(medium, tuple):
        array, rate = medium
        if kind == "audio":
            # Not WAV, in which floats come with the time of writing: the same data are to give the same file.
            soundfile.write(file, np.atleast_2d(array).T, int(rate), format="AU", subtype="FLOAT")
            return {"bytes": file.getvalue()}
        np.save(file, array, allow_pickle=False)
        return {"bytes": file.getvalue(), "sampling_rate": float(rate)}
    data = fetch(medium)
    if kind in ("image", "thermal") and data.startswith(b"\x93NUMPY"):
        array = np.load(io.BytesIO(data), allow_pickle=False)
        if kind == "thermal" and array.dtype != np.uint8:
            raise ValueError(f"an array of {array.dtype} would lose values as a picture: give a PNG or TIFF file")
        to_pil(array).save(file, "PNG")
        data = file.getvalue()
    return {"bytes": data}


def _size(medium: Mapping[str, Any]) -> int:
    """Bytes of a medium; 0 where only reading would tell. Raises `ValueError` when its file is missing."""
    if medium.get("bytes") is not None:
        return len(medium["bytes"])
    path = str(medium.get("path"))
    if scheme_of(path) or not _is_short(path):
        return 0
    if not os.path.isfile(path):
        raise ValueError(f"there is no file {path}")
    return os.path.getsize(path)


def _is_short(path: str) -> bool:
    """A string longer than any path is base64."""
    return len(path) <= 4096


def _type_of_label(value: Any) -> type:
    """The type of a plain value; `object` for one that cannot be a label, or that names a place on this machine."""
    if isinstance(value, list):
        return list if all(_type_of_label(item) is str for item in value) else object
    if isinstance(value, str) and os.path.isabs(value) and os.path.exists(value):
        return object
    return next((kind for kind in (bool, int, float, str) if isinstance(value, kind)), object)
