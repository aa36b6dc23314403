# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Renderings of many individuals, read by the model's own processors and kept in memory.

A pool saves what files would cost: drawing, writing and reading again. What it holds is what the processors make of
the files, but for the coding of videos and the rounding of sounds.
"""

import contextlib
import functools
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from modeling_pandagpt.configuration_pandagpt import MEDIA_TYPES
from modeling_pandagpt.modeling_pandagpt import MEDIA_INPUTS
from processing.processing_imagebind import MODALITIES
from training.tiny_world.models import media_processors
from training.tiny_world.render import RENDERERS
from training.tiny_world.world import Instance


# The model's input of each kind of media.
INPUT_OF = dict(zip(MEDIA_TYPES, MEDIA_INPUTS, strict=True))

_RATES = {"audio": 16_000, "imu": 400}  # samples a second, of the renderers
_CHUNK = 96  # individuals a worker gets at a time
_FEW = 2000  # individuals that are rendered before workers have started


def render_pools(
    individuals: Sequence[Instance], modalities: Sequence[str], rendering: int = 0, workers: int = 2
) -> dict[str, torch.Tensor]:
    """
    Render every individual once in each of some modalities.

    Args:
        individuals (`Sequence[Instance]`):
            Whom.
        modalities (`Sequence[str]`):
            Of `"image"`, `"video"`, `"audio"`, `"thermal"`, `"depth"` and `"imu"`.
        rendering (`int`, *optional*, defaults to 0):
            Which of an individual's renderings, in each of which it stands elsewhere.
        workers (`int`, *optional*, defaults to 2):
            Processes that render.

    Returns:
        `dict[str, torch.HalfTensor]`: by modality the encoder's input, of shape `(individuals, ...)`.
    """
    chunks = [individuals[start : start + _CHUNK] for start in range(0, len(individuals), _CHUNK)]
    with contextlib.ExitStack() as stack:
        apply: Callable[..., Any] = map
        if len(individuals) > _FEW:
            context = multiprocessing.get_context("spawn")  # a fork would inherit the locks of torch's threads
            executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
            apply = stack.enter_context(executor).map
        rendered = {
            modality: apply(functools.partial(_render_chunk, modality, rendering), chunks) for modality in modalities
        }
        return {
            modality: torch.from_numpy(np.concatenate(list(tqdm(arrays, f"rendering: {modality}", len(chunks)))))
            for modality, arrays in rendered.items()
        }


def _start_worker() -> None:
    torch.set_num_threads(1)


@functools.cache
def _processors() -> dict:
    return media_processors()


def _render_chunk(modality: str, rendering: int, individuals: Sequence[Instance]) -> np.ndarray:
    media: list = [RENDERERS[modality](one, one.rng(modality, rendering)) for one in individuals]
    if modality in _RATES:
        media = [(samples, _RATES[modality]) for samples in media]
    # The renderer draws the two frames alone that the processor would take from a file.
    options = {"do_sample_frames": False} if modality == "video" else {}
    kind = next(kind for kind in MODALITIES if kind.name == modality)
    return _processors()[kind.processor](media, return_tensors="np", **options)[INPUT_OF[modality]].astype(np.float16)
