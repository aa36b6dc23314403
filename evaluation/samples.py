# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""From records of a data set to samples: a conversation, what is right, and which media belong to it.

A record is chat data as training reads it, or any table whose columns a recipe names. Media stay undecoded: a sample
holds their keys, and each different medium is handed on once, under its key, to be encoded.
"""

import ast
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset, IterableDataset

from chat_data.rows import CONVERSATION_NAMES, MEDIA_COLUMNS, public_id, stored_media_of, to_row
from chat_data.sources import load_table, media_folder, records_of, undecoded

from .metrics.answers import normalise
from .settings import Settings


FIELDS = ("id", "sample", "question", "options", "answer", "label", "text")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# A part of a message: ("text", what it says) or (kind of medium, its key).
Block = tuple[str, str]


@dataclass
class Sample:
    """
    One row as it is asked and judged.

    Args:
        index (`int`): its place among the rows that are evaluated.
        id (`str`): its name.
        messages (`list[tuple[str, list[Block]]]`): role and blocks of every turn, the reference answers among them.
        references (`list[list[str]]`): what each of the assistant's turns may say.
        options (`list[str]`): of a multiple choice question.
        label (`Any`): the right option's place, or the class or classes.
        texts (`list[str]`): what describes it, for retrieval.
        sample (`str`): what rows about the same thing share.
        columns (`dict`): what predictions keep of the record.
        error (`str`, *optional*): why it cannot be asked.
    """

    index: int
    id: str
    messages: list[tuple[str, list[Block]]] = field(default_factory=list)
    references: list[list[str]] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    label: Any = None
    texts: list[str] = field(default_factory=list)
    sample: str = ""
    columns: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def media(self) -> list[Block]:
        """`list[Block]`: kind and key of every medium, in order."""
        return [block for _, blocks in self.messages for block in blocks if block[0] != "text"]

    @property
    def length(self) -> int:
        """`int`: characters of text, by which samples are put into batches."""
        return sum(len(content) for _, blocks in self.messages for kind, content in blocks if kind == "text")


def load_records(settings: Settings) -> tuple[Any, str | None]:
    """
    Open the data.

    Args:
        settings ([`Settings`]):
            Which data.

    Returns:
        `tuple`: an iterable of records with undecoded media (a `Dataset`, an `IterableDataset` or a list), and the
        folder that relative paths begin at.

    Raises:
        ValueError: when there is no such data.
    """
    path = Path(str(settings.data)).expanduser()
    split = settings.split or "train"
    if path.is_dir() and (path / f"{split}.jsonl").is_file():
        path = path / f"{split}.jsonl"
    source = {"path": str(path) if path.exists() else settings.data, "images": settings.images}
    folder = media_folder(source)
    if path.suffix in (".json", ".jsonl") and path.is_file():
        return (records_of(path) if settings.streaming else list(records_of(path))), folder
    source |= {"name": settings.name, "split": settings.split, "revision": settings.data_revision}
    return undecoded(load_table(source, path, settings.streaming)), folder


def classes_of(records: Any, settings: Settings) -> tuple[list[Any], list[str]] | None:
    """
    The classes, as labels say them and as their names: those of the recipe, of the data set's features, or all labels.

    Args:
        records (`Any`):
            What [`load_records`] gives.
        settings ([`Settings`]):
            Its `classes` and its column of labels.

    Returns:
        `tuple[list, list[str]]`, or `None` where only the rows themselves, which are streamed, would tell.

    Raises:
        ValueError: when the file of classes does not exist.
    """
    names = settings.classes or []
    if isinstance(names, str):
        if not Path(names).is_file():
            raise ValueError(f"there is no file of classes {names}")
        names = [line.strip() for line in Path(names).read_text(encoding="utf-8").splitlines() if line.strip()]
    column = settings.columns.get("label", "label")
    feature: Any = (getattr(records, "features", None) or {}).get(column)
    in_features = getattr(getattr(feature, "feature", feature), "names", None)
    if names or in_features:
        chosen = [str(name) for name in names or in_features or []]
        return chosen, [spoken(name) for name in chosen]
    if isinstance(records, IterableDataset | Iterator):
        return None
    return all_labels(record.get(column) for record in _only(records, column, settings.where))


def all_labels(labels: Iterable[Any]) -> tuple[list[Any], list[str]]:
    """The classes that occur among labels, and their names."""
    found = sorted({each for label in labels if label is not None for each in list_of(label)}, key=str)
    return found, [spoken(str(name)) for name in found]


def spoken(name: str) -> str:
    """A class's name as one says it: the first of several, and words instead of underscores."""
    return name.split(",")[0].replace("_", " ").strip()


def _only(records: Any, column: str, where: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The records that are wanted, of a table only the columns that are needed."""
    if isinstance(records, Dataset):
        records = records.select_columns([name for name in (column, *where) if name in records.column_names])
    return (record for record in records if _is_wanted(record, where))


def read_samples(
    records: Any, folder: str | None, settings: Settings
) -> Iterator[tuple[Sample, dict[str, Mapping[str, Any]]]]:
    """
    Read records as samples, in order.

    Args:
        records (`Iterable[Mapping]`):
            What [`load_records`] gives.
        folder (`str`, *optional*):
            Where relative paths of media begin.
        settings ([`Settings`]):
            Columns, filter, prompt, limit.

    Yields:
        `tuple[Sample, dict]`: the sample, broken ones with their `error`, and its undecoded media by key.

    Raises:
        ValueError: when no row is left, or the data lack a column that is asked for.
    """
    index = -1
    kept = (record for record in records if _is_wanted(record, settings.where))
    for index, record in enumerate(itertools.islice(kept, settings.limit)):
        if index == 0:
            _check_columns(record, settings)
        yield _read(record, index, folder, settings)
    if index < 0:
        raise ValueError(f"{settings.data} has no rows{f' where {settings.where}' if settings.where else ''}")


def _is_wanted(record: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    return all(record.get(name) == value for name, value in where.items())


def _check_columns(record: Mapping[str, Any], settings: Settings) -> None:
    named = [
        column for value in settings.columns.values() for column in ([value] if isinstance(value, str) else value)
    ]
    for column in [*named, *settings.kept_columns]:
        if column not in record:
            raise ValueError(f"{settings.data} has no column {column!r}, only {', '.join(record)}")


def _read(
    record: Mapping[str, Any], index: int, folder: str | None, settings: Settings
) -> tuple[Sample, dict[str, Mapping[str, Any]]]:
    source = str(settings.data)
    fields = _fields_of(record, settings.columns)
    columns = {name: record[name] for name in settings.kept_columns if name in record}
    sample = Sample(index, str(fields.get("id", index)), columns=columns)
    try:
        sample.options = _options_of(fields)
        fields["answer"], sample.label = _answer_of(fields, sample.options, settings)
        sample.texts = [str(text) for text in list_of(fields.get("text"))]
        is_chat = any(record.get(name) for name in CONVERSATION_NAMES)
        chat = record if is_chat else _as_chat(fields, sample.options, settings)
        row = to_row(chat, f"{source}:{index}", source, folder)
        sample.id = public_id(row)
        if row["error"]:
            raise ValueError(row["error"])
        sample.messages, media = _with_keys(row)
        sample.sample = str(fields.get("sample") or _folder_of(sample.media) or sample.id)
        sample.references = _references_of(sample, record.get("answers") if is_chat else fields["answer"])
        if is_chat and sample.options and sample.label is None:
            sample.label = _place_of(sample.references[-1][0], sample.options, settings.answer_is)
    except (TypeError, ValueError, KeyError) as error:
        sample.error = str(error)
        return sample, {}
    return sample, media


def _fields_of(record: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    """What the recipe's columns hold; without any, the columns of the names that we know."""
    if not columns:
        return {name: record[name] for name in (*FIELDS, *MEDIA_COLUMNS, "videos", "images") if name in record}
    return {
        name: record[column] if isinstance(column, str) else [record[each] for each in column]
        for name, column in columns.items()
    }


def list_of(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _options_of(fields: Mapping[str, Any]) -> list[str]:
    options = fields.get("options")
    if isinstance(options, str):
        options = ast.literal_eval(options)  # as MMMU writes its lists
    texts = ["" if option is None else str(option) for option in list_of(options)]
    while texts and not texts[-1].strip():  # one within has a letter of its own
        texts.pop()
    return texts


def _answer_of(fields: Mapping[str, Any], options: Sequence[str], settings: Settings) -> tuple[Any, Any]:
    """Returns the answer as text (or texts), and the label: the right option's place, or the class."""
    answer, label = fields.get("answer"), fields.get("label")
    if options and answer is not None:
        place = _place_of(answer, options, settings.answer_is)
        return options[place], place
    return answer, label


def _place_of(answer: Any, options: Sequence[str], answer_is: str | None) -> int:
    text = str(answer).strip()
    letters = list(LETTERS[: len(options)])
    if answer_is == "index" or (answer_is is None and isinstance(answer, int)):
        known = [str(place) for place in range(len(options))]
    elif answer_is == "letter" or (answer_is is None and text.upper() in letters):
        text, known = text.upper(), letters
    else:
        text, known = normalise(text), [normalise(option) for option in options]
    place = known.index(text) if text in known else -1
    if not text or place < 0:
        raise ValueError(f"the answer {answer!r} is none of its {len(options)} options")
    return place


def _as_chat(fields: Mapping[str, Any], options: Sequence[str], settings: Settings) -> dict[str, Any]:
    """One question about the media, which stand before it, as chat data has them."""
    letters = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    lines = settings.prompt or ["{question}", "{options}"]
    values = {name: "" if value is None else value for name, value in fields.items()} | {"options": letters}
    values.setdefault("question", "")
    question = "\n".join(line.format_map(values) for line in lines if _is_filled(line, values))
    answer = list_of(fields.get("answer"))
    turns = [("user", question), ("assistant", str(answer[0]) if answer else "")]
    media = {name: value for name, value in fields.items() if name in (*MEDIA_COLUMNS, "videos", "images")}
    named = {"id": fields["id"]} if fields.get("id") is not None else {}
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
    return {**named, **media, "messages": messages}


def _is_filled(line: str, values: Mapping[str, Any]) -> bool:
    names = [name for name in values if f"{{{name}}}" in line]
    return not names or any(str(values[name]).strip() for name in names)


def _with_keys(row: Mapping[str, Any]) -> tuple[list[tuple[str, list[Block]]], dict[str, Mapping[str, Any]]]:
    """Returns the turns with a key in the place of every medium, and the media by key."""
    named = [(_key_of(kind, medium), medium) for kind, medium in stored_media_of(row)]
    keys = (key for key, _ in named)
    messages = []
    for message in row["messages"]:
        blocks = message["content"]
        own = [(block["type"], block["text"] if block["type"] == "text" else next(keys)) for block in blocks]
        messages.append((message["role"], own))
    return messages, dict(named)


def _key_of(kind: str, medium: Mapping[str, Any]) -> str:
    data = medium.get("bytes")
    name = medium["path"] if data is None else f"{hashlib.sha256(data).hexdigest()}@{medium.get('sampling_rate')}"
    return f"{kind}:{name}"


def _folder_of(media: Sequence[Block]) -> str | None:
    """The folder of the first medium that lies in a file: files about the same thing lie together."""
    paths = [Path(key.partition(":")[2]) for _, key in media]
    return next((str(path.parent) for path in paths if len(path.parts) > 1), None)


def _references_of(sample: Sample, answers: Any) -> list[list[str]]:
    """What each of the assistant's turns may say: its own text, or what the data accept."""
    turns = [
        "".join(content for kind, content in blocks if kind == "text")
        for role, blocks in sample.messages
        if role == "assistant"
    ]
    accepted = list_of(answers)
    if not accepted:
        return [[turn] for turn in turns]
    if len(turns) == 1 and not isinstance(accepted[0], list):
        return [[str(answer) for answer in accepted]]
    if len(accepted) != len(turns):
        raise ValueError(f"it accepts answers to {len(accepted)} turns, but has {len(turns)}")
    return [[str(answer) for answer in list_of(turn)] for turn in accepted]
