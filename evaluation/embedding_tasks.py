# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Tasks of ImageBind alone: zero-shot classification, and retrieval between every two modalities, text among them.

Two embeddings are compared by their inner product, as ImageBind does: each is of norm 1, or for videos and sounds the
mean of clips of norm 1. The logit scales are left out; they change no order.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from transformers.utils import logging

from .media import Embeddings
from .metrics import MeanAveragePrecision, Retrieval, TopKAccuracy
from .model import embed_texts, load_text_encoder
from .samples import Sample, all_labels, classes_of, list_of, spoken
from .steps import Outcome, Prediction, Run, Scores, about, scores_with_groups
from .templates import templates_of


logger = logging.get_logger(__name__)

BEST_SHOWN = 5


def zero_shot_classification(run: Run) -> Outcome:
    """Classes by the texts that their names make: top-1 and top-5 accuracy; with several labels a row, mean average
    precision."""
    templates = templates_of(run.settings.templates)
    encoder, processor = _text_encoder(run)
    samples, embeddings = run.encode(_check_medium)
    if not run.state.is_main_process:
        return Outcome([], {})
    labels, names = classes_of(run.records, run.settings) or _seen_classes(samples)
    for sample in samples:
        _place_labels(sample, labels, names)
    good = [sample for sample in samples if sample.error is None]
    classes = embed_classes(encoder, processor, names, templates, run.settings.batch_size)
    similarity = np.zeros((0, len(names)), dtype=np.float32)
    if good:
        similarity = (_of_samples(good, embeddings) @ classes.T).numpy()
    row_of = {sample.index: row for row, sample in enumerate(good)}
    several = any(len(sample.label) > 1 for sample in good)
    predictions = [_classified(sample, similarity, row_of, names) for sample in samples]

    def score(places: list[int]) -> Scores:
        chosen = [samples[place] for place in places]
        return (MeanAveragePrecision if several else TopKAccuracy)().intervals(
            predictions=similarity[[row_of[sample.index] for sample in chosen]],
            references=[sample.label if several else sample.label[0] for sample in chosen],
            resamples=run.settings.resamples,
            seed=run.settings.seed,
        )

    scores, groups = scores_with_groups(samples, run.settings.by, score)
    return Outcome(predictions, scores, groups, {"classes": len(names), "templates": len(templates)})


def embed_classes(
    encoder: Any, processor: Any, names: Sequence[str], templates: Sequence[str], batch_size: int
) -> torch.Tensor:
    """
    The embedding of each class: the mean over the prompts, scaled to norm 1, as CLIP does.

    Args:
        encoder ([`ImageBindModel`]), processor ([`ImageBindProcessor`]):
            What encodes text.
        names (`Sequence[str]`):
            Of the classes.
        templates (`Sequence[str]`):
            The prompts.
        batch_size (`int`):
            Texts that are encoded together.

    Returns:
        `torch.FloatTensor` of shape `(classes, projection_dim)`.
    """
    prompts = [template.replace("{}", name) for name in names for template in templates]
    embeds = embed_texts(encoder, processor, prompts, batch_size).unflatten(0, (len(names), len(templates)))
    return torch.nn.functional.normalize(embeds.mean(dim=1), dim=-1)


def retrieval(run: Run) -> Outcome:
    """Finding what belongs to a query of one modality among all of another: recall at 1, 5 and 10, and mean average
    precision, for every ordered pair of the modalities that the rows have."""
    text_encoder = cache(lambda: _text_encoder(run))

    def check(sample: Sample) -> None:
        if sample.texts:
            text_encoder()  # raises where there is none, before anything is encoded

    samples, embeddings = run.encode(check)
    if not run.state.is_main_process:
        return Outcome([], {})
    good = [sample for sample in samples if sample.error is None]
    kinds = list(dict.fromkeys(kind for sample in good for kind, _ in nodes_of(sample)))
    if len(kinds) < 2:
        raise ValueError(
            f"retrieval needs rows of at least two modalities (or one and text), the data have {kinds or 'none'}"
        )
    vectors = _vectors_of(good, embeddings)
    if texts := list(dict.fromkeys(text for sample in good for text in sample.texts)):
        embeds = embed_texts(*text_encoder(), texts, run.settings.batch_size)
        vectors["text"] = dict(zip(texts, embeds, strict=True))
    predictions: dict[int, Prediction] = {sample.index: {"ranks": {}} for sample in good}
    scores: Scores = {}
    groups = []
    for query, item in ((a, b) for a in kinds for b in kinds if a != b):
        found = _find(good, query, item, vectors)
        if found is None:
            continue
        similarity, positives, rows = found
        name = f"{query}_to_{item}"
        own = Retrieval().intervals(
            predictions=similarity, references=positives, resamples=run.settings.resamples, seed=run.settings.seed
        )
        scores |= {f"{name}_{metric}": value for metric, value in own.items()}
        groups.append({"by": {"query": query, "items": item}, "samples": len(positives), "scores": own})
        for sample in good:
            if (row := rows.get(sample.index)) is not None:
                best = similarity[row][positives[row]].max()
                predictions[sample.index]["ranks"][name] = int((similarity[row] > best).sum()) + 1
    return Outcome([about(sample, predictions.get(sample.index, {})) for sample in samples], scores, groups)


def nodes_of(sample: Sample) -> list[tuple[str, str]]:
    """What a sample has: kind and key of each medium, and "text" with each text."""
    return [*sample.media, *(("text", text) for text in sample.texts)]


def match(
    samples: Sequence[Sample], query: str, item: str
) -> tuple[list[str], list[str], list[list[int]], dict[int, int]] | None:
    """
    Which items of one modality belong to which queries of another: those that share a sample.

    Args:
        samples (`Sequence[Sample]`):
            The samples. The same medium or text in several of them is one query, or one item.
        query, item (`str`):
            The two modalities.

    Returns:
        `tuple`: keys of the queries, keys of the items, for each query the places of the items that belong to it, and
        by each sample's index the place of its first query; `None` where no sample has both.
    """
    items: dict[str, int] = {}
    positives: dict[str, list[int]] = {}
    first: dict[int, str] = {}
    for sample in samples:
        asking = [key for kind, key in nodes_of(sample) if kind == query]
        asked = [key for kind, key in nodes_of(sample) if kind == item]
        if not (asking and asked):
            continue
        first[sample.index] = asking[0]
        places = [items.setdefault(key, len(items)) for key in asked]
        for key in asking:
            known = positives.setdefault(key, [])
            known += [place for place in places if place not in known]
    if not positives:
        return None
    rows = {key: row for row, key in enumerate(positives)}
    return list(positives), list(items), list(positives.values()), {index: rows[key] for index, key in first.items()}


def _find(
    samples: Sequence[Sample], query: str, item: str, vectors: dict[str, dict[str, torch.Tensor]]
) -> tuple[np.ndarray, list[list[int]], dict[int, int]] | None:
    matched = match(samples, query, item)
    if matched is None:
        return None
    queries, items, positives, rows = matched
    asking = torch.stack([vectors[query][key] for key in queries])
    asked = torch.stack([vectors[item][key] for key in items])
    return (asking @ asked.T).numpy(), positives, rows


def _vectors_of(samples: Sequence[Sample], embeddings: Embeddings) -> dict[str, dict[str, torch.Tensor]]:
    keys: dict[str, dict[str, None]] = {}
    for sample in samples:
        for kind, key in sample.media:
            keys.setdefault(kind, {})[key] = None
    return {kind: dict(zip(own, embeddings.stack(own), strict=True)) for kind, own in keys.items()}


def _text_encoder(run: Run) -> tuple[Any, Any]:
    settings = run.settings
    return load_text_encoder(run.loaded, settings.text_encoder, settings.dtype, settings.device or run.state.device)


def _seen_classes(samples: Sequence[Sample]) -> tuple[list[Any], list[str]]:
    logger.warning("The data are streamed and do not name their classes: only those of the rows that were read count")
    return all_labels(sample.label for sample in samples)


def _check_medium(sample: Sample) -> None:
    if not sample.media:
        sample.error = "it has no medium to classify"


def _place_labels(sample: Sample, labels: Sequence[Any], names: Sequence[str]) -> None:
    """Puts the places of a sample's classes under its label, or notes why it has none."""
    if sample.error is not None:
        return
    try:
        sample.label = [_place_of(label, labels, names) for label in list_of(sample.label)]
    except ValueError as error:
        sample.error = str(error)
    if not sample.label:
        sample.error = "it has no label"


def _place_of(label: Any, labels: Sequence[Any], names: Sequence[str]) -> int:
    if label in labels:
        return labels.index(label)
    if isinstance(label, int) and 0 <= label < len(labels):
        return label
    if spoken(str(label)) in names:
        return names.index(spoken(str(label)))
    raise ValueError(f"its label {label!r} is none of the {len(labels)} classes")


def _of_samples(samples: Sequence[Sample], embeddings: Embeddings) -> torch.Tensor:
    """Each sample's embedding; several media of one are added up, each scaled to norm 1."""

    def vectors() -> Iterator[torch.Tensor]:
        for sample in samples:
            own = embeddings.stack(key for _, key in sample.media)
            yield own[0] if len(own) == 1 else torch.nn.functional.normalize(own, dim=-1).sum(dim=0)

    return torch.stack(list(vectors()))


def _classified(sample: Sample, similarity: np.ndarray, row_of: dict[int, int], names: Sequence[str]) -> Prediction:
    if sample.index not in row_of:
        return about(sample, {})
    row = similarity[row_of[sample.index]]
    best = np.argsort(-row, kind="stable")[:BEST_SHOWN]
    found = {
        "labels": [names[place] for place in sample.label],
        "predictions": [names[place] for place in best],
        "similarities": [round(float(row[place]), 6) for place in best],
    }
    return about(sample, found)
