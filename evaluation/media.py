# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Every different medium of a data set is read and encoded once; from then on there are embeddings alone."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from chat_data.rows import MEDIA_COLUMNS, media_of
from modeling_pandagpt.configuration_pandagpt import MEDIA_TYPES, MODALITY_OF_MEDIA_TYPE
from modeling_pandagpt.modeling_pandagpt import MEDIA_INPUTS
from processing.processing_imagebind import MODALITIES, MediaProcessorMixin

from .parts import Parts
from .samples import Sample


# A video is 15 clips by default, a sound 3: about as much memory as so many pictures.
_WEIGHTS = {"video": 15, "audio": 3}


@dataclass
class _Job:
    """Media of one kind that are encoded together."""

    number: int
    kind: str
    media: list[tuple[str, Any]]  # by key


class _Reader(Dataset):
    """Reads the media of a job: the work of the workers."""

    def __init__(self, processor: MediaProcessorMixin):
        self.processor = processor

    def __getitem__(self, job: _Job) -> tuple[str, dict[str, torch.Tensor], dict[str, str]]:  # type: ignore[override]
        values, errors = {}, {}
        for key, medium in job.media:
            try:
                values[key] = self._read(job.kind, medium)
            except Exception as error:  # whatever a decoder says of a broken file
                errors[key] = f"{type(error).__name__}: {error}"
        return job.kind, values, errors

    def _read(self, kind: str, medium: Any) -> torch.Tensor:
        row = {"messages": [{"content": [{"type": kind}]}], MEDIA_COLUMNS[kind]: [medium]}
        ((_, readable),) = media_of(row)
        place = MEDIA_TYPES.index(kind)
        return getattr(self.processor, MODALITIES[place].processor)([readable], return_tensors="pt")[
            MEDIA_INPUTS[place]
        ]


class Embeddings:
    """
    The embeddings of media by key, and why some could not be read.

    Args:
        found (`dict[str, Any]`): as the parts hold them.
    """

    def __init__(self, found: dict[str, Any]):
        self.errors = {key: value["error"] for key, value in found.items() if "error" in value}
        self._vectors = {key: _unpack(value["embedding"]) for key, value in found.items() if "embedding" in value}

    def __getitem__(self, key: str) -> np.ndarray:
        """`np.ndarray` of shape `(projection_dim,)`, float32."""
        return self._vectors[key]

    def stack(self, keys: Iterable[str]) -> torch.Tensor:
        """`torch.FloatTensor` of shape `(keys, projection_dim)`."""
        return torch.from_numpy(np.stack([self._vectors[key] for key in keys]))


def embed_media(
    samples: Iterable[tuple[Sample, dict[str, Any]]],
    encoder: Any,
    processor: MediaProcessorMixin,
    parts: Parts,
    state: PartialState,
    batch_size: int,
    workers: int,
) -> tuple[list[Sample], Embeddings]:
    """
    Embed the media of all samples.

    Args:
        samples (`Iterable[tuple[Sample, dict]]`):
            As [`read_samples`] gives them; read once.
        encoder ([`ImageBindModel`]), processor (`PandaGPTProcessor` or `ImageBindProcessor`):
            What reads and encodes.
        parts ([`Parts`]):
            Where embeddings are kept while the run lasts.
        state (`PartialState`):
            Which process this is.
        batch_size (`int`):
            Pictures that are encoded together.
        workers (`int`):
            Processes that read media.

    Returns:
        `tuple[list[Sample], Embeddings]`: the samples, those with a medium that cannot be read with its reason as
        their error.
    """
    seen: list[Sample] = []
    jobs = (
        job
        for job in _jobs_of(samples, seen, batch_size)
        if job.number % state.num_processes == state.process_index
        and not all(key in parts.done for key, _ in job.media)
    )
    loader = DataLoader(_Reader(processor), sampler=jobs, batch_size=None, num_workers=workers)  # type: ignore[arg-type]
    with tqdm(desc="Encoding", unit=" media", disable=not state.is_main_process) as bar:
        for kind, values, errors in loader:
            found = [(key, {"error": error}) for key, error in errors.items()]
            if values:
                found += zip(values, _encode(encoder, kind, torch.cat(list(values.values()))), strict=True)
            parts.append(found)
            bar.update(len(found))
    state.wait_for_everyone()
    embeddings = Embeddings(parts.read())
    for sample in seen:
        broken = next((key for _, key in sample.media if key in embeddings.errors), None)
        if broken is not None:
            sample.error = embeddings.errors[broken]
    return seen, embeddings


def _jobs_of(samples: Iterable[tuple[Sample, dict[str, Any]]], seen: list[Sample], batch_size: int) -> Iterator[_Job]:
    """Puts each new medium with others of its kind, in the data's order, and keeps the samples."""
    known: set[str] = set()
    waiting: dict[str, list[tuple[str, Any]]] = {kind: [] for kind in MEDIA_TYPES}
    number = 0
    for sample, media in samples:
        seen.append(sample)
        for key, medium in media.items():
            kind = key.partition(":")[0]
            if key not in known:
                known.add(key)
                waiting[kind].append((key, medium))
            if len(waiting[kind]) >= max(1, batch_size // _WEIGHTS.get(kind, 1)):
                yield _Job(number, kind, waiting[kind])
                waiting[kind], number = [], number + 1
    for kind, media_left in waiting.items():
        if media_left:
            yield _Job(number, kind, media_left)
            number += 1


@torch.inference_mode()
def _encode(encoder: Any, kind: str, values: torch.Tensor) -> list[dict[str, str]]:
    encoded = encoder.encode(MODALITY_OF_MEDIA_TYPE[kind], values.to(encoder.device))
    return [{"embedding": _pack(embed)} for embed in encoded.pooler_output.float().cpu().numpy()]


def _pack(embed: np.ndarray) -> str:
    return base64.b64encode(embed.astype("<f4").tobytes()).decode("ascii")


def _unpack(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f4")
