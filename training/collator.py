# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""From rows of `training.data` to a batch for the model: ids, labels on the answers, decoded media or embeddings.

Notable:
- `max_length` is the original's: it counts the tokens after the slot of the first question, which is thus never cut
  away. What is cut is the end; a slot of a later turn that lies beyond goes with its turn.
- Media are read here, so in the workers, and by our own processors, never by the decoders of `datasets`.
- A batch keeps its size. A sample that cannot be read, or whose answers are cut away entirely, is counted, and
  another one stands in for it without labels, so that it adds nothing to the loss.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Any

import numpy as np
import torch
from jinja2 import TemplateError
from torch.nn.utils.rnn import pad_sequence
from transformers.utils import logging

from chat_data.rows import media_of
from processing import PandaGPTProcessor
from processing.processing_imagebind import MODALITIES


logger = logging.get_logger(__name__)

_ARGUMENTS = {modality.name: modality.argument for modality in MODALITIES}

IGNORED = -100

# What a broken sample raises, in reading its messages or its media.
BROKEN = (ValueError, TypeError, OSError, TemplateError)

# The share of broken samples is judged as if at least so many had been seen: one early mishap stops no run.
_FEWEST_JUDGED = 1000


@dataclass
class Sample:
    """One row as the model takes it: `media_types` and `media_slots` as in the processor, media of every kind stacked,
    or `media_embeds` (media, projection_dim)."""

    input_ids: list[int]
    labels: list[int]
    media_types: list[int] = field(default_factory=list)
    media_slots: list[int] = field(default_factory=list)
    is_truncated: bool = False
    media: dict[str, torch.Tensor] = field(default_factory=dict)
    media_embeds: torch.Tensor | None = None

    @property
    def num_trained(self) -> int:
        return sum(label != IGNORED for label in self.labels)

    def without_labels(self) -> "Sample":
        return replace(self, labels=[IGNORED] * len(self.labels))


class PandaGPTDataCollator:
    """
    Makes batches of the rows that [`training.data.load_datasets`] gives.

    Args:
        processor (`PandaGPTProcessor`): tokenises, and reads the media.
        max_length (`int`): the most tokens after the last slot of the first question, the original's `max_tgt_len`; in
            a row whose first question has no medium, the most tokens in all.
        max_broken_share (`float`, *optional*, defaults to 0.01): the share of samples that may be broken, in each
            worker, judged as if at least 1000 had been seen; one more is an error. 0 allows none.

    Raises:
        `ValueError`: if a number is out of range, the processor's chat template does not mark the assistant's
            segments, or, when called, too many samples are broken or a batch has media and embeddings of media.
    """

    def __init__(self, processor: PandaGPTProcessor, max_length: int, max_broken_share: float = 0.01) -> None:
        if max_length < 1:
            raise ValueError(f"max_length must be at least 1, got {max_length}")
        if not 0 <= max_broken_share <= 1:
            raise ValueError(f"max_broken_share must lie between 0 and 1, got {max_broken_share}")
        if "generation" not in str(processor.chat_template or ""):
            raise ValueError(
                "the chat template does not mark what the assistant says, so that no label can be set: put it between "
                "{% generation %} and {% endgeneration %}, as in processing/chat_templates/chatml.jinja"
            )
        self.processor = processor
        self.max_length = max_length
        self.max_broken_share = max_broken_share
        self.num_seen = self.num_broken = self.num_dropped = 0
        self._reported: set[str] = set()
        self._stand_in = Sample([processor.tokenizer.pad_token_id], [IGNORED])
        self._text_side = processor.text_side()

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """
        Args:
            rows (`list[dict]`): as [`chat_data.rows.ROW`] says, or with `media_embeds` and `media_types`.

        Returns:
            `dict[str, torch.Tensor]` with `input_ids`, `attention_mask` and `labels` (batch, length), padded on the
            right; where there are media, `media_types` and `media_slots` (batch, media), and the media as the
            processor gives them or `media_embeds` (batch, media, projection_dim).
        """
        found = [self._read_or_skip(row) for row in rows]
        good = [sample for sample in found if sample is not None]
        if good:
            self._stand_in = good[-1].without_labels()
        return _stack([sample or self._stand_in for sample in found], self.processor.tokenizer.pad_token_id)

    def tokenize(self, row: Mapping[str, Any]) -> Sample:
        """Returns a row's ids and labels, cut to `max_length`, without reading its media.

        Raises:
            `ValueError`: if the row is broken, or nobody answers in it.
        """
        if row.get("error"):
            raise ValueError(row["error"])
        messages = [
            {"role": message["role"], "content": [_without_medium(block) for block in message["content"]]}
            for message in row["messages"]
        ]
        output = self._text_side.apply_chat_template(
            messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        ids, is_answer = output["input_ids"][0], output["assistant_masks"][0]
        if 1 not in is_answer:
            raise ValueError("it has no assistant turn, so nothing to learn from")
        is_slot = self.processor.create_mm_token_type_ids([ids])[0]
        slots = [position for position, kind in enumerate(is_slot) if kind]
        opening = [position for position in slots if position < is_answer.index(1)]
        length = self.max_length + (opening[-1] + 1 if opening else 0)
        labels = [
            token if answer and not slot else IGNORED
            for token, answer, slot in zip(ids, is_answer, is_slot, strict=True)
        ]
        kept_slots = sum(position < length for position in slots)
        media_slots = [slot for slot in output.get("media_slots", [[]])[0] if slot <= kept_slots]
        return Sample(
            input_ids=ids[:length],
            labels=labels[:length],
            media_types=output.get("media_types", [[]])[0][: len(media_slots)],
            media_slots=media_slots,
            is_truncated=len(ids) > length,
        )

    def describe(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Returns a batch for reading: each sample's text with its trained part between ⟦ and ⟧, the shapes of the
        tensors, and how many of the samples are truncated, dropped or broken."""
        lines, truncated = [], 0
        broken, dropped = self.num_broken, self.num_dropped
        batch = self(rows)
        for row in rows:
            try:
                sample = self.tokenize(row)
            except BROKEN as error:
                lines += [f"{row['id']}: broken: {error}", ""]
                continue
            truncated += sample.is_truncated
            kinds = [MODALITIES[type_id - 1].name for type_id in sample.media_types] or ["text"]
            lengths = f"{len(sample.input_ids)} tokens, {sample.num_trained} trained"
            lines.append(f"{row['id']}: {'+'.join(kinds)}, {lengths}{', truncated' * sample.is_truncated}")
            lines += [self._marked_text(sample), ""]
        lines += [f"{name} {tuple(values.shape)}" for name, values in batch.items()]
        counts = {"truncated": truncated, "dropped": self.num_dropped - dropped, "broken": self.num_broken - broken}
        shares = [f"{count} {what} ({count / len(rows):.0%})" for what, count in counts.items()]
        return "\n".join([*lines, f"of {len(rows)} samples {', '.join(shares)}"])

    def _marked_text(self, sample: Sample) -> str:
        # A run of tokens alone would be decoded without the space before it: each is what it adds to those before.
        marked, end, before = "", 0, ""
        for is_trained, run in groupby(sample.labels, key=lambda label: label != IGNORED):
            end += len(list(run))
            text = self.processor.tokenizer.decode(sample.input_ids[:end])
            added, before = text[len(before) :], text
            marked += f"⟦{added}⟧" if is_trained else added
        return marked

    def _read_or_skip(self, row: Mapping[str, Any]) -> Sample | None:
        self.num_seen += 1
        try:
            sample = self.tokenize(row)
            if sample.num_trained:
                return self._read_media(row, sample)
            self._count_dropped(row["id"])
        except BROKEN as error:
            self._count_broken(row["id"], error)
        return None

    def _count_dropped(self, name: str) -> None:
        self.num_dropped += 1
        if self.num_dropped & (self.num_dropped - 1) == 0:  # at 1, 2, 4, 8, ...: there may be very many
            logger.warning(
                "%d of %d samples are dropped, the last is %s: max_length cuts its answers away",
                *(self.num_dropped, self.num_seen, name),
            )

    def _count_broken(self, name: str, error: Exception) -> None:
        self.num_broken += 1
        if name not in self._reported:
            self._reported.add(name)
            logger.warning("sample %s is skipped (%d of %d): %s", name, self.num_broken, self.num_seen, error)
        if self.num_broken > self.max_broken_share * max(self.num_seen, _FEWEST_JUDGED):
            raise ValueError(
                f"{self.num_broken} of {self.num_seen} samples are broken, more than max_broken_share="
                f"{self.max_broken_share} allows; the last is {name}: {error}"
            ) from error

    def _read_media(self, row: Mapping[str, Any], sample: Sample) -> Sample:
        if row.get("media_embeds") is not None:
            return replace(sample, media_embeds=_embeds_of(row, sample.media_types))
        media: dict[str, list] = {}
        for kind, medium in islice(media_of(row), len(sample.media_types)):
            media.setdefault(_ARGUMENTS[kind], []).append(medium)
        return replace(sample, media=dict(self.processor(**media, return_tensors="pt")) if media else {})


def _without_medium(block: Mapping[str, Any]) -> dict[str, Any]:
    # A medium's block must hold something; the text side never looks at it.
    return {"type": "text", "text": block["text"]} if block["type"] == "text" else {"type": block["type"], "path": "-"}


def _embeds_of(row: Mapping[str, Any], media_types: list[int]) -> torch.Tensor:
    given = list(row["media_types"])
    if given[: len(media_types)] != media_types or len(given) != len(row["media_embeds"]):
        raise ValueError(
            f"it has {len(row['media_embeds'])} media_embeds of the media_types {given} for media blocks of the types "
            f"{media_types}"
        )
    return torch.tensor(np.array(row["media_embeds"][: len(media_types)], dtype=np.float32))


def _stack(samples: list[Sample], pad_token_id: int) -> dict[str, torch.Tensor]:
    ids = [torch.tensor(sample.input_ids) for sample in samples]
    batch = {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=pad_token_id),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
        "labels": pad_sequence(
            [torch.tensor(sample.labels) for sample in samples], batch_first=True, padding_value=IGNORED
        ),
    }
    if any(sample.media_types for sample in samples):
        for name in ("media_types", "media_slots"):
            rows = [torch.tensor(getattr(sample, name), dtype=torch.long) for sample in samples]
            batch[name] = pad_sequence(rows, batch_first=True)
    return batch | _stack_media(samples)


def _stack_media(samples: list[Sample]) -> dict[str, torch.Tensor]:
    embeds = [sample.media_embeds for sample in samples]
    some = next((row for row in embeds if row is not None and len(row)), None)
    if some is not None:
        if any(sample.media for sample in samples):
            raise ValueError("a batch has both media and media_embeds: train on sources of one kind at a time")
        rows = [row if row is not None and len(row) else some[:0] for row in embeds]
        return {"media_embeds": pad_sequence(rows, batch_first=True)}
    names = dict.fromkeys(name for sample in samples for name in sample.media)
    return {name: torch.cat([sample.media[name] for sample in samples if name in sample.media]) for name in names}
