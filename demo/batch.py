# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A file of questions, answered in batches, by one process or by several.

A line of the file is `{"question": "…", "image": "a.png", "audio": ["b.wav", "c.wav"]}` or a conversation as in
`chat_data.rows`, whose last question is asked: an answer that comes after it is left out. Relative paths begin at the
file's folder. The answers are a line each, in the order of the questions, with `line`, `id`, `question`, and `answer`
or the `error` that came instead.

Notable:
- Media are encoded first, each different one once; then questions of like length are answered together. If the memory
  does not hold a batch of answers it is halved; for media a smaller batch is for the user to choose.
- What a process has found it writes down after each batch, beside the answers. A run that was killed goes on there.
- A run that has ended leaves its settings there, so that another one asks only the questions that have no line among
  the answers.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from accelerate import PartialState
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from jinja2 import TemplateError
from transformers import set_seed

from chat_data.rows import COLUMN_NAMES, CONVERSATION_NAMES
from chat_data.sources import records_of
from demo.chat import KINDS, spoken_here
from evaluation.answering import Answerer
from evaluation.media import embed_media
from evaluation.model import fingerprint, load
from evaluation.parts import SETTINGS, Parts, settle
from evaluation.results import versions
from evaluation.samples import Sample, read_samples
from evaluation.settings import Settings
from evaluation.steps import Prediction, Run
from modeling_pandagpt.configuration_pandagpt import MODALITY_OF_MEDIA_TYPE
from processing.processing_imagebind import MODALITIES


MEDIA_NAMES = tuple(name for names in COLUMN_NAMES.values() for name in names)

# What stands in a line of the answers, in this order.
NAMES = ("line", "id", "question", "answer", "error")

# On these the answers depend. On the size of batches they do not, but for rounding and the draws of sampling.
WITH_EFFECT = ("model", "revision", "dtype", "max_new_tokens", "generation", "seed")


def answer_file(
    settings: Settings, system: str | None = None, reading: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Prediction]:
    """
    Answer a file of questions, or go on with it.

    Args:
        settings ([`Settings`]):
            `data` is the file of questions and `output` that of the answers; and the model, its options, the lengths.
        system (`str`, *optional*):
            What the model is told before the first question, where a conversation does not say it itself.
        reading (`dict[str, dict]`, *optional*):
            Options of the processors for all media of a kind, such as `{"depth": {"depth_unit": 0.001}}`.

    Returns:
        `list[dict]`: the lines of the file of answers; empty in other processes than the main one.

    Raises:
        OSError: when there is no such model or file.
        ValueError: when there are answers of a run with other settings, or the model answers no questions.
    """
    questions, output = Path(str(settings.data)), Path(settings.output)
    folder = output.with_name(f"{output.name}.parts")
    answered = _read_answers(output, folder)
    # Processes finish at different times: none may give up on the others.
    state = PartialState(cpu=settings.device == "cpu", timeout=timedelta(days=30))
    device = state.device if settings.device == "auto" and state.num_processes > 1 else settings.device
    loaded = load(str(settings.model), settings.revision, settings.dtype, device)
    model = loaded.require_answers()
    conditions = {
        **{name: getattr(settings, name) for name in WITH_EFFECT},
        "folder": str(questions.resolve().parent),  # of the media
        "system": system,
        "reading": reading,
        "questions": hashlib.sha256(questions.read_bytes()).hexdigest(),
        "model_state": fingerprint(str(settings.model), loaded.commit),
        "versions": versions(),
    }
    with state.main_process_first():
        if state.is_main_process:
            settle(folder, conditions)

    samples, embeddings = embed_media(
        _read_questions(questions, set(answered), settings, system, loaded.encoder.config.modalities),
        loaded.encoder,
        _readers(loaded.processor, reading or {}),
        Parts(folder, "media", state.process_index),
        state,
        settings.batch_size,
        settings.workers,
    )
    ask = _LastAnswerer(model, loaded.processor, embeddings, settings).ask
    for prediction in Run(settings, loaded, state, folder).predict(samples, ask):
        if "error" not in prediction and "answer" not in prediction:
            # On a shared folder that shows new files late; nothing that was found is lost.
            raise OSError(
                f"the answer to line {prediction['line']} is not in {folder} yet: give the same command again"
            )
        if "error" in prediction:
            prediction["error"] = spoken_here(prediction["error"].removeprefix("ValueError: "))
        answered[prediction["line"]] = {name: prediction[name] for name in NAMES if name in prediction}
    answers = [answered[line] for line in sorted(answered)]
    if state.is_main_process:
        hidden = output.with_name(f".{output.name}")
        hidden.write_text("".join(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers), "utf-8")
        hidden.replace(output)
    state.wait_for_everyone()
    if not state.is_main_process:
        return []
    for part in folder.glob("*.jsonl"):
        part.unlink()
    return answers


class _LastAnswerer(Answerer):
    """Answers the last question of each conversation, whose earlier answers stand as they were given."""

    def ask(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One answer for each; what cannot be answered together is asked in halves, until what fails is alone."""
        try:
            set_seed(self.settings.seed + samples[0].index)
            return [{"answer": answer} for answer in self._generate([sample.messages for sample in samples])]
        except (IndexError, RuntimeError, TemplateError, TypeError, ValueError) as error:
            if isinstance(error, RuntimeError) and not should_reduce_batch_size(error):
                raise
            reason = f"{type(error).__name__}: {error}"
        if len(samples) == 1:
            return [{"error": reason}]
        clear_device_cache(garbage_collection=True)
        half = len(samples) // 2
        return self.ask(samples[:half]) + self.ask(samples[half:])


def _readers(processor: Any, reading: Mapping[str, Mapping[str, Any]]) -> Any:
    """The processors of media, each with the options for its kind."""
    return SimpleNamespace(
        **{
            modality.processor: partial(getattr(processor, modality.processor), **reading.get(modality.name, {}))
            for modality in MODALITIES
        }
    )


def _read_answers(output: Path, folder: Path) -> dict[int, Prediction]:
    """The answers of a run that has ended, by line."""
    if not output.exists():
        return {}
    if not (folder / SETTINGS).is_file():
        raise ValueError(
            f"{output} exists, and {folder / SETTINGS}, how it came about, does not: give another --output"
        )
    try:
        return {answer["line"]: dict(answer) for answer in records_of(output)}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{output} has a line that is no answer of ours: give another --output") from error


def _read_questions(
    path: Path, answered: set[int], settings: Settings, system: str | None, modalities: Sequence[str]
) -> Iterator[tuple[Sample, dict[str, Any]]]:
    """The questions that are not answered yet, and their undecoded media by key."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip() and number not in answered:
                sample, media = _read(line, str(path.parent), settings)
                sample.index = sample.columns["line"] = number
                sample.columns.setdefault("id", number)
                _check_kinds(sample, modalities)
                if system is not None and [role for role, _ in sample.messages[:1]] == ["user"]:
                    sample.messages.insert(0, ("system", [("text", system)]))
                yield sample, {} if sample.error else media


def _read(line: bytes, folder: str, settings: Settings) -> tuple[Sample, dict[str, Any]]:
    sample, columns = Sample(0, ""), {}
    try:
        record = json.loads(line.strip())
        if not isinstance(record, dict):
            raise TypeError(f"it must be an object with a question or messages, got {type(record).__name__}")
        echoed = ("id",) if any(name in record for name in CONVERSATION_NAMES) else ("id", "question")
        columns = {name: record[name] for name in echoed if record.get(name) is not None}
        ((sample, media),) = read_samples([_as_conversation(record)], folder, settings)
    except json.JSONDecodeError as error:
        sample.error = f"it is not JSON: {error.msg} (column {error.colno})"
        return sample, {}
    except (RecursionError, TypeError, ValueError) as error:
        sample.error, sample.columns = str(error), columns
        return sample, {}
    while sample.messages and sample.messages[-1][0] == "assistant":
        sample.messages.pop()
    asked = next((blocks for role, blocks in reversed(sample.messages) if role == "user"), [])
    columns["question"] = " ".join(content for kind, content in asked if kind == "text")
    sample.columns = columns
    return sample, media


def _as_conversation(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as chat data have it, which ends with the answer that is to be given."""
    name = next((name for name in CONVERSATION_NAMES if name in record), None)
    media = {name: record[name] for name in MEDIA_NAMES if name in record}
    if name is not None:  # chat data have columns of their own beside it
        turns = record[name]
    elif unknown := sorted(set(record) - {"id", "question", *MEDIA_NAMES}):
        raise ValueError(f"it has the unknown field {unknown[0]!r}, expected id, question, {', '.join(KINDS)}")
    elif not isinstance(record.get("question"), str) or not record["question"].strip():
        raise ValueError("it has neither a question nor messages")
    else:
        turns = [{"role": "user", "content": record["question"]}]
    if not isinstance(turns, list):
        raise TypeError(f"{name} must be a list of turns, got {type(turns).__name__}")
    return {"messages": [*turns, {"role": "assistant", "content": ""}], **media}


def _check_kinds(sample: Sample, modalities: Sequence[str]) -> None:
    """Notes why a sample cannot be asked: nothing is, or about what the model has no encoder for."""
    if sample.error is None and (
        not sample.messages or sample.messages[-1][0] != "user" or not sample.messages[-1][1]
    ):
        sample.error = "it has no question of a user"
    for kind, _ in sample.media:
        if MODALITY_OF_MEDIA_TYPE[kind] not in modalities:
            sample.error = sample.error or f"the model has no encoder for {kind}"
