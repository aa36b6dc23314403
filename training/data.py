# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""From data sets of several forms to `datasets` of one schema, `ROW`, with all media undecoded.

A source is one of
- the original's json: `[{"image_name": …, "conversation": [{"from": "human" | "gpt", "value": …}, …]}, …]`, beside
  an `images/` folder; `image_name` may lack its `.jpg`;
- chat data, as a local json, jsonl, parquet or Arrow file, a folder (of `save_to_disk`, or of what
  `datasets.load_dataset` reads), or a Hub id: `messages` whose content is text or a list of typed blocks, or a
  `conversation` as above, and media in the blocks (by `path`, `url`, `base64` or under the type's name) or in columns
  (`image`, `images`, `video`, …), which the blocks without a medium take in turn. A row with media but no block for
  them gets them where its text says `<image>`, `<video>`, …, or else before the first question;
- embeddings computed earlier: rows as in `ROW`, with `media_embeds` and `media_types` and without media.

A row that makes no sense keeps its id and the reason under `error`: the collator counts and reports it.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import numpy as np
from datasets import Dataset, Features, IterableDataset, List, Value
from datasets.exceptions import DatasetGenerationError
from datasets.fingerprint import Hasher
from transformers.utils import logging

from processing import PandaGPTProcessor

from .collator import MEDIA_COLUMNS, PandaGPTDataCollator


logger = logging.get_logger(__name__)

AnyDataset: TypeAlias = Dataset | IterableDataset

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

SOURCE_KEYS = ("path", "images", "split", "name", "weight", "revision")

_COLUMN_NAMES = {
    "image": ("images", "image", "pictures", "image_name"),
    "video": ("videos", "video"),
    "audio": ("audio", "audios"),
    **{kind: (kind,) for kind in ("thermal", "depth", "imu")},
}
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_CONVERSATION_NAMES = ("messages", "conversation", "conversations")
_PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_DIMENSIONS = {"image": 3, "audio": 1, "thermal": 2, "depth": 2, "imu": 2}  # of one medium as an array
_PLACEHOLDER = re.compile(f"<({'|'.join(MEDIA_COLUMNS)})>")

# A string longer than any path is base64.
_LONGEST_PATH = 4096
_MOST_SHARDS = 64
_SHUFFLE_BUFFER = 1000


def load_datasets(
    sources: Sequence[Mapping[str, Any]], validation_share: float = 0.0, streaming: bool = False, seed: int = 0
) -> tuple[AnyDataset, AnyDataset | None]:
    """
    Loads data sets, sets aside a part of each for validation, and mixes the rest.

    Args:
        sources (`list[dict]`): each with
            - `path` (`str`): a file, a folder or a Hub id;
            - `images` (`str`, *optional*): the folder that relative paths of media begin at; for a local file by
              default `images/` beside it if there is one, else the folder of the file;
            - `split` (`str`, *optional*, defaults to `"train"`), `name` (`str`, *optional*), `revision` (`str`,
              *optional*): as for `datasets.load_dataset`;
            - `weight` (`float`, *optional*, defaults to 1.0): how often the source is drawn from, relative to the
              others. If any source has one, sources are drawn from at random until each was seen whole, so that
              some samples come several times in an epoch; if none has, every sample comes once.
        validation_share (`float`, *optional*, defaults to 0.0): the share of each source for validation, below 1. In
            streaming it is chosen by a hash of each sample's id, so that shards no longer are of equal size.
        streaming (`bool`, *optional*, defaults to `False`): reads while training. The samples are shuffled, in a
            buffer of 1000; those of a map-style data set are for the sampler to shuffle.
        seed (`int`, *optional*, defaults to 0): of the choice for validation, the mixing and the shuffling.

    Returns:
        `tuple`: the training data and the validation data (`None` if `validation_share` is 0), of the schema `ROW`.

    Raises:
        `ValueError`: if a source or a share makes no sense, or a source cannot be read as data to train on.
    """
    if not sources:
        raise ValueError("no source of data is given: name at least one, as {'path': …}")
    if not 0 <= validation_share < 1:
        raise ValueError(f"validation_share must be at least 0 and below 1, got {validation_share}")
    for position, source in enumerate(sources):
        _check_source(source, f"source {position}")
    loaded = [load_source(source, streaming) for source in sources]
    weights = [source.get("weight") for source in sources]
    if not validation_share:
        return _mix(loaded, weights, seed), None
    training, validation = zip(*(_split(dataset, validation_share, seed) for dataset in loaded), strict=True)
    return _mix(training, weights, seed), datasets.concatenate_datasets(list(validation))


def load_source(source: Mapping[str, Any], streaming: bool = False) -> AnyDataset:
    """Loads one source of [`load_datasets`], in its own order."""
    path, name = Path(source["path"]).expanduser(), source["path"]
    if path.is_file() and path.suffix in (".json", ".jsonl"):
        _check_no_split(source)
        rows = _load_json(path, name, _media_folder(source))
        return _to_iterable(rows) if streaming else rows
    dataset = _load_table(source, path, streaming)
    columns = dataset.column_names or []
    if "media_embeds" in columns or all(column in columns for column in ROW):
        return dataset  # rows already
    return _to_rows(dataset, name, _media_folder(source))


def add_lengths(dataset: Dataset, processor: PandaGPTProcessor, max_length: int) -> Dataset:
    """
    Adds to map-style data what batches of similar length need, without reading media; cached.

    Args:
        dataset (`Dataset`): of the schema `ROW`.
        processor (`PandaGPTProcessor`): as for the collator.
        max_length (`int`): as for the collator.

    Returns:
        `Dataset` with the columns `length`, the number of tokens after truncation, and `truncated` (`bool`). Samples
        whose answers are cut away entirely are left out, and logged; broken ones stay, for the collator to report.
    """
    collator = PandaGPTDataCollator(processor, max_length)
    # The whole table, without the choice of rows in it: a column can be put beside it without copying any media.
    table = Dataset(dataset.data, info=dataset.info, fingerprint=Hasher.hash([dataset._fingerprint, "table"]))
    text = table.select_columns([name for name in ("messages", "error") if name in table.column_names])
    tokenizer = processor.tokenizer.backend_tokenizer.to_str(), processor.chat_template, processor.media_fusion
    measured = text.map(
        _measure,
        fn_kwargs={"collator": collator},
        remove_columns=text.column_names,
        features=Features({"length": Value("int32"), "truncated": Value("bool"), "trained": Value("bool")}),
        new_fingerprint=Hasher.hash([text._fingerprint, tokenizer, max_length]),
        desc="Measuring",
    )
    chosen = np.arange(len(table)) if dataset._indices is None else dataset._indices.column(0).to_numpy()
    kept = chosen[np.array(measured["trained"])[chosen]]
    if len(kept) < len(chosen):
        logger.warning("%d samples are dropped: max_length cuts their answers away", len(chosen) - len(kept))
    return datasets.concatenate_datasets([table, measured.remove_columns("trained")], axis=1).select(kept)


def check_shards(dataset: IterableDataset, num_processes: int) -> None:
    """Raises a `ValueError` if processes would get different numbers of shards, and thus of samples.

    Shards are dealt out if there is at least one for each process; else each process reads all and keeps its part.
    """
    if dataset.num_shards >= num_processes and dataset.num_shards % num_processes:
        raise ValueError(
            f"{dataset.num_shards} shards cannot be dealt out evenly to {num_processes} processes: write the data set "
            "in a number of shards that they divide (`num_shards` of push_to_hub), choose a number of processes that "
            f"divides {dataset.num_shards}, or turn streaming off"
        )


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
        turns = next((record[name] for name in _CONVERSATION_NAMES if record.get(name)), None)
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
        name = next((name for name in _COLUMN_NAMES[kind] if record.get(name) is not None), None)
        if name is None:
            return []
        value = record[name]
        if name == "image_name" and not str(value).lower().endswith(_PICTURE_SUFFIXES):
            value = f"{value}.jpg"
        is_one = not isinstance(value, list) or _count_dimensions(value) == _DIMENSIONS.get(kind)
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
                return {"bytes": value.get("bytes"), "path": path and self._resolve(path), "sampling_rate": None}
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


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "path": None}


def _count_dimensions(value: Any) -> int | None:
    """Returns how deeply numbers are nested, `None` if there are no numbers."""
    depth = 0
    while isinstance(value, list | np.ndarray) and len(value):
        value, depth = value[0], depth + 1
    return depth if depth and isinstance(value, int | float | np.number) else None


def _check_source(source: Mapping[str, Any], where: str) -> None:
    unknown = set(source) - set(SOURCE_KEYS)
    if unknown or not isinstance(source.get("path"), str):
        raise ValueError(f"{where} must have a path and may have {', '.join(SOURCE_KEYS[1:])}, got {dict(source)}")
    weight = source.get("weight")
    if weight is not None and not weight > 0:
        raise ValueError(f"{where} ({source['path']}) must have a weight above 0, got {weight}")


def _check_no_split(source: Mapping[str, Any]) -> None:
    if source.get("split", "train") != "train":
        raise ValueError(f"{source['path']} has no splits, but the split {source['split']!r} is asked for")


def _media_folder(source: Mapping[str, Any]) -> str | None:
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
    for index, record in enumerate(_records_of(Path(path))):
        if not isinstance(record, Mapping):
            raise ValueError(f"{path}: record {index} must be a mapping, got {type(record).__name__}")
        yield to_row(record, f"{source}:{index}", source, folder)
    if index < 0:
        raise ValueError(f"{path} has no records")


def _records_of(path: Path) -> Iterator[Any]:
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


def _load_table(source: Mapping[str, Any], path: Path, streaming: bool) -> AnyDataset:
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
    if not any(name in columns for name in _CONVERSATION_NAMES):
        raise ValueError(f"{source} has no column {', '.join(_CONVERSATION_NAMES)}, only {', '.join(columns)}")
    for column, feature in (dataset.features or {}).items():
        if (undecoded := _undecoded(feature)) != feature:
            dataset = dataset.cast_column(column, undecoded)
    options = {"fn_kwargs": {"source": source, "folder": folder}, "features": ROW, "remove_columns": columns}
    if isinstance(dataset, IterableDataset):
        return dataset.map(_to_row_named_by_content, **options)
    return dataset.map(_to_row_named_by_index, with_indices=True, desc="Reading", **options)


def _to_row_named_by_index(record: Mapping[str, Any], index: int, source: str, folder: str | None) -> dict[str, Any]:
    return to_row(record, f"{source}:{index}", source, folder)


def _to_row_named_by_content(record: Mapping[str, Any], source: str, folder: str | None) -> dict[str, Any]:
    # An index would count anew in every shard, and thus differ with the number of processes.
    row = to_row(record, "", source, folder)
    return row if row["id"] else row | {"id": f"{source}:{_digest(repr(row))}"}


def _digest(text: str) -> str:
    """16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _undecoded(feature: Any) -> Any:
    """Returns a feature whose pictures, sounds and videos stay as they are stored."""
    if isinstance(feature, dict):
        return type(feature)({name: _undecoded(inner) for name, inner in feature.items()})
    if isinstance(feature, List):
        return List(_undecoded(feature.feature), length=feature.length)
    if isinstance(feature, datasets.Image | datasets.Audio | datasets.Video):
        return type(feature)(decode=False)
    return feature


def _split(dataset: AnyDataset, validation_share: float, seed: int) -> tuple[AnyDataset, AnyDataset]:
    if isinstance(dataset, Dataset):
        parts = dataset.train_test_split(test_size=validation_share, seed=seed)
        return parts["train"], parts["test"]

    def is_for_validation(name: str) -> bool:
        return int(_digest(f"{seed}:{name}"), 16) < validation_share * 16**16

    training = dataset.filter(lambda name: not is_for_validation(name), input_columns=["id"])
    return training, dataset.filter(is_for_validation, input_columns=["id"])


def _mix(parts: Sequence[AnyDataset], weights: list[float | None], seed: int) -> AnyDataset:
    mixed = parts[0]
    if len(parts) > 1 and any(weights):
        numbers = np.array([weight or 1.0 for weight in weights])
        probabilities = (numbers / numbers.sum()).tolist()
        mixed = datasets.interleave_datasets(
            list(parts), probabilities=probabilities, seed=seed, stopping_strategy="all_exhausted"
        )
    elif len(parts) > 1:
        mixed = datasets.interleave_datasets(list(parts), stopping_strategy="all_exhausted_without_replacement")
    return mixed.shuffle(seed=seed, buffer_size=_SHUFFLE_BUFFER) if isinstance(mixed, IterableDataset) else mixed


def _measure(row: Mapping[str, Any], collator: PandaGPTDataCollator) -> dict[str, Any]:
    try:
        sample = collator.tokenize(row)
    except (TypeError, ValueError):
        return {"length": 1, "truncated": False, "trained": True}
    return {"length": len(sample.input_ids), "truncated": sample.is_truncated, "trained": sample.num_trained > 0}
