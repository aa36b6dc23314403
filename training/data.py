# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Data sets to train on: several sources of `chat_data` mixed, a part kept back for validation, lengths, shards."""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import numpy as np
from datasets import Dataset, Features, IterableDataset, List, Value
from datasets.fingerprint import Hasher
from transformers.utils import logging

from chat_data.sources import AnyDataset, check_source, digest, load_source
from processing import PandaGPTProcessor

from .collator import BROKEN, PandaGPTDataCollator


logger = logging.get_logger(__name__)

_SHUFFLE_BUFFER = 1000
_EMBEDDED = ["id", "source", "messages", "media_embeds", "media_types"]


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
        `tuple`: the training data and the validation data (`None` if `validation_share` is 0), of the schema `ROW`, or
            with `media_embeds` if the sources are embeddings. What these were made with is not among the columns:
            compare each source, with `training.embeddings.check_compatible`.

    Raises:
        `ValueError`: if a source or a share makes no sense, a source cannot be read as data to train on, or some of
            the sources are embeddings and some are not.
    """
    if not sources:
        raise ValueError("no source of data is given: name at least one, as {'path': …}")
    if not 0 <= validation_share < 1:
        raise ValueError(f"validation_share must be at least 0 and below 1, got {validation_share}")
    for position, source in enumerate(sources):
        check_source(source, f"source {position}")
    loaded = _alike([load_source(source, streaming) for source in sources], [source["path"] for source in sources])
    weights = [source.get("weight") for source in sources]
    if not validation_share:
        return _mix(loaded, weights, seed), None
    training, validation = zip(*(_split(dataset, validation_share, seed) for dataset in loaded), strict=True)
    return _mix(training, weights, seed), datasets.concatenate_datasets(list(validation))


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

    Raises:
        `ValueError`: if no sample is left.
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
    if not len(kept):
        raise ValueError(
            f"max_length {max_length} cuts the answers of all {len(chosen)} samples away: choose a larger one"
        )
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


def _split(dataset: AnyDataset, validation_share: float, seed: int) -> tuple[AnyDataset, AnyDataset]:
    if isinstance(dataset, Dataset):
        parts = dataset.train_test_split(test_size=validation_share, seed=seed)
        return parts["train"], parts["test"]

    def is_for_validation(name: str) -> bool:
        return int(digest(f"{seed}:{name}"), 16) < validation_share * 16**16

    training = dataset.filter(lambda name: not is_for_validation(name), input_columns=["id"])
    return training, dataset.filter(is_for_validation, input_columns=["id"])


def _alike(loaded: list[AnyDataset], names: list[str]) -> list[AnyDataset]:
    """Leaves of embeddings what training needs, of one type: each source has a record of its own, and may be float16
    or float32."""
    is_embedded = ["media_embeds" in (dataset.column_names or next(iter(dataset))) for dataset in loaded]
    if not any(is_embedded):
        return loaded
    if not all(is_embedded):
        embedded, media = (
            [name for name, is_one in zip(names, is_embedded, strict=True) if is_one == wanted]
            for wanted in (True, False)
        )
        raise ValueError(
            f"{', '.join(embedded)} are embeddings, but {', '.join(media)} are media: compute all embeddings with "
            "`pandagpt embed`, or train in two runs, the second on from the first one's adapter"
        )
    loaded = [dataset.select_columns(_EMBEDDED) for dataset in loaded]
    if all(dataset.features == loaded[0].features for dataset in loaded):
        return loaded
    return [dataset.cast_column("media_embeds", List(List(Value("float32")))) for dataset in loaded]


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
    except BROKEN:
        return {"length": 1, "truncated": False, "trained": True}
    return {"length": len(sample.input_ids), "truncated": sample.is_truncated, "trained": sample.num_trained > 0}
