# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""One source of conversations as a data set of rows.

A source is one of
- the original's json: `[{"image_name": …, "conversation": [{"from": "human" | "gpt", "value": …}, …]}, …]`, beside
  an `images/` folder; `image_name` may lack its `.jpg`;
- chat data, as a local json, jsonl, parquet or Arrow file, a folder (of `save_to_disk`, or of what
  `datasets.load_dataset` reads), or a Hub id, with records as in `chat_data.rows`;
- embeddings computed earlier: rows as in `ROW`, with `media_embeds` and `media_types` and without media.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import datasets
from datasets import Dataset, IterableDataset, List
from datasets.exceptions import DatasetGenerationError

from .rows import CONVERSATION_NAMES, ROW, to_row


AnyDataset: TypeAlias = Dataset | IterableDataset

SOURCE_KEYS = ("path", "images", "split", "name", "weight", "revision")

# A shorter list of shards if it does not divide the rows.
_MOST_SHARDS = 64


def load_source(source: Mapping[str, Any], streaming: bool = False) -> AnyDataset:
    """
    Loads one source, in its own order.

    Args:
        source (`dict`): with
            - `path` (`str`): a file, a folder or a Hub id;
            - `images` (`str`, *optional*): the folder that relative paths of media begin at; for a local file by
              default `images/` beside it if there is one, else the folder of the file;
            - `split` (`str`, *optional*, defaults to `"train"`), `name` (`str`, *optional*), `revision` (`str`,
              *optional*): as for `datasets.load_dataset`.
        streaming (`bool`, *optional*, defaults to `False`): reads rows as they are asked for.

    Returns:
        `Dataset` or `IterableDataset` of the schema `ROW`, or of embeddings.

    Raises:
        `ValueError`: if it cannot be read as data to train on.
    """
    path, name = Path(source["path"]).expanduser(), source["path"]
    if path.is_file() and path.suffix in (".json", ".jsonl"):
        _check_no_split(source)
        rows = _load_json(path, name, media_folder(source))
        return _to_iterable(rows) if streaming else rows
    dataset = load_table(source, path, streaming)
    columns = dataset.column_names or []
    if "media_embeds" in columns or all(column in columns for column in ROW):
        return dataset  # rows already
    return _to_rows(dataset, name, media_folder(source))


def check_source(source: Mapping[str, Any], where: str) -> None:
    unknown = set(source) - set(SOURCE_KEYS)
    if unknown or not isinstance(source.get("path"), str):
        raise ValueError(f"{where} must have a path and may have {', '.join(SOURCE_KEYS[1:])}, got {dict(source)}")
    weight = source.get("weight")
    if weight is not None and not weight > 0:
        raise ValueError(f"{where} ({source['path']}) must have a weight above 0, got {weight}")


def _check_no_split(source: Mapping[str, Any]) -> None:
    if source.get("split", "train") != "train":
        raise ValueError(f"{source['path']} has no splits, but the split {source['split']!r} is asked for")


def media_folder(source: Mapping[str, Any]) -> str | None:
    if source.get("images"):
        folder = Path(source["images"]).expanduser()
        if not folder.is_dir():
            raise ValueError(f"the folder of media {source['images']!r} of {source['path']!r} does not exist")
        return str(folder)
    path = Path(source["path"]).expanduser()
    if not path.exists():
        return None  # of the Hub
    beside = path.parent if path.is_file() else path
    return str(beside / "images" if (beside / "images").is_dir() else beside)


def _load_json(path: Path, source: str, folder: str | None) -> Dataset:
    # By ourselves: the library's reader wants all values of a key to be of one type, and `content` is text or blocks.
    version = (path.stat().st_mtime_ns, path.stat().st_size)  # a changed file is not to be taken from the cache
    arguments = {"path": str(path), "folder": folder, "source": source, "version": version}
    try:
        return Dataset.from_generator(_rows_of_json, features=ROW, gen_kwargs=arguments)
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, ValueError):
            raise error.__cause__ from None
        raise


def _rows_of_json(path: str, folder: str, source: str, version: tuple[int, int]) -> Iterator[dict[str, Any]]:
    index = -1
    for index, record in enumerate(records_of(Path(path))):
        if not isinstance(record, Mapping):
            raise ValueError(f"{path}: record {index} must be a mapping, got {type(record).__name__}")
        yield to_row(record, f"{source}:{index}", source, folder)
    if index < 0:
        raise ValueError(f"{path} has no records")


def records_of(path: Path) -> Iterator[Any]:
    """Yields the records of a json or jsonl file. Raises `ValueError` when a line is none."""
    with path.open(encoding="utf-8-sig") as file:
        if file.read(1024).lstrip().startswith("["):
            file.seek(0)
            yield from json.load(file)
            return
        file.seek(0)
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as error:
                    raise ValueError(
                        f"{path}: expected a list of records or one record a line, but line {number} is neither"
                    ) from error


def load_table(source: Mapping[str, Any], path: Path, streaming: bool) -> AnyDataset:
    """Loads a source that is no json, with all its columns. Raises `ValueError` when it is of no known form."""
    split = source.get("split") or "train"
    if path.is_file() and path.suffix == ".parquet":
        _check_no_split(source)
        return datasets.load_dataset("parquet", data_files=str(path), split="train", streaming=streaming)
    if path.is_file() and path.suffix == ".arrow":
        _check_no_split(source)
        dataset = Dataset.from_file(str(path))
        return _to_iterable(dataset) if streaming else dataset
    if path.is_file():
        raise ValueError(f"{path} is of no known format: expected .json, .jsonl, .parquet or .arrow")
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        loaded = datasets.load_from_disk(str(path))
        if isinstance(loaded, Dataset):
            _check_no_split(source)
        elif split not in loaded:
            raise ValueError(f"{path} has no split {split!r}, only {', '.join(loaded)}")
        dataset = loaded if isinstance(loaded, Dataset) else loaded[split]
        return _to_iterable(dataset) if streaming else dataset
    if not path.is_dir() and not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source["path"]):
        raise ValueError(f"there is no {source['path']}, nor can that be the id of a data set on the Hub")
    return datasets.load_dataset(
        str(path) if path.is_dir() else source["path"],
        source.get("name"),
        split=split,
        revision=source.get("revision"),
        streaming=streaming,
    )


def _to_iterable(dataset: Dataset) -> IterableDataset:
    """In shards of equal size, so that processes get equally many samples."""
    shards = _MOST_SHARDS
    while len(dataset) % shards:
        shards //= 2
    return dataset.to_iterable_dataset(num_shards=shards)


def _to_rows(dataset: AnyDataset, source: str, folder: str | None) -> AnyDataset:
    columns = dataset.column_names or list(next(iter(dataset)))
    if not any(name in columns for name in CONVERSATION_NAMES):
        raise ValueError(f"{source} has no column {', '.join(CONVERSATION_NAMES)}, only {', '.join(columns)}")
    dataset = undecoded(dataset)
    options = {"fn_kwargs": {"source": source, "folder": folder}, "features": ROW, "remove_columns": columns}
    if isinstance(dataset, IterableDataset):
        return dataset.map(_to_row_named_by_content, **options)
    return dataset.map(_to_row_named_by_index, with_indices=True, desc="Reading", **options)


def _to_row_named_by_index(record: Mapping[str, Any], index: int, source: str, folder: str | None) -> dict[str, Any]:
    return to_row(record, f"{source}:{index}", source, folder)


def _to_row_named_by_content(record: Mapping[str, Any], source: str, folder: str | None) -> dict[str, Any]:
    # An index would count anew in every shard, and thus differ with the number of processes.
    row = to_row(record, "", source, folder)
    return row if row["id"] else row | {"id": f"{source}:{digest(repr(row))}"}


def digest(text: str) -> str:
    """16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def undecoded(dataset: AnyDataset) -> AnyDataset:
    """Returns a data set whose pictures, sounds and videos come as `{"bytes", "path"}`, for our own decoders."""
    for column, feature in (dataset.features or {}).items():
        if (stored := _undecoded_feature(feature)) != feature:
            dataset = dataset.cast_column(column, stored)
    return dataset


def _undecoded_feature(feature: Any) -> Any:
    """Returns a feature whose pictures, sounds and videos stay as they are stored."""
    if isinstance(feature, dict):
        return type(feature)({name: _undecoded_feature(inner) for name, inner in feature.items()})
    if isinstance(feature, List):
        return List(_undecoded_feature(feature.feature), length=feature.length)
    if isinstance(feature, datasets.Image | datasets.Audio | datasets.Video):
        return type(feature)(decode=False)
    return feature
