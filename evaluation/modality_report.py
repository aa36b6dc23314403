# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""How much of a model trained on pictures carries over to the other modalities ("emergent"), as numbers.

The data are chat data whose rows each ask about one medium. Rows about the same thing have the same `sample`, by
default the folder that their media lie in, and one medium of each kind at most. Asked are
- the rows as they are, by modality;
- the rows of each modality with the medium of another one summed in, where the thing has both;
- controls: the medium of another thing of the same modality (`shuffled`, where there is another one), which leaves
  what the question alone tells, and the model with a projector that was never trained (`untrained`).
Beside the answers stand, for each modality, how far its embeddings lie from the pictures' of the same things (gap and
mean cosine), and for every two modalities how often one finds the other (recall at 1).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch

from modeling_pandagpt.configuration_pandagpt import MEDIA_TYPES

from .answering import Answerer
from .media import Embeddings
from .metrics import ExactMatch, ModalityGap, Retrieval, VqaAccuracy
from .samples import Sample
from .settings import Settings
from .steps import Outcome, Prediction, Run, Scores, answer_openly, check_answer, scores_with_groups


ANCHOR = "image"


def modality_report(run: Run) -> Outcome:
    """Accuracy by modality and by pairs, its controls, the gap to pictures and the retrieval matrix."""
    model = run.loaded.require_answers()
    things: dict[str, dict[str, str]] = {}

    def check(sample: Sample) -> None:
        check_answer(sample, run.settings)
        _add(things, sample)

    samples, embeddings = run.encode(check)
    asked = list(_asked(samples, run.settings))
    answerer = Answerer(model, run.loaded.processor, embeddings, run.settings)  # type: ignore[arg-type]

    def answer(batch: list[Sample]) -> list[Prediction]:
        return answer_openly(answerer, batch)

    predictions = run.predict(asked, answer)
    if run.settings.untrained_projector:
        plain = [sample for sample in asked if _is_plain(sample)]
        controls = [_with(sample, len(asked) + i, sample.media, "untrained") for i, sample in enumerate(plain)]
        with _untrained(model, run.settings.seed):
            predictions += run.predict(controls, answer, "untrained")
        asked += controls
    if not run.state.is_main_process:
        return Outcome([], {})
    return _report(run.settings, asked, predictions, embeddings)


def _report(settings: Settings, asked: list[Sample], predictions: list[Prediction], embeddings: Embeddings) -> Outcome:
    def score(places: list[int]) -> Scores:
        inputs = {
            "predictions": [predictions[place]["answers"] for place in places],
            "references": [predictions[place]["references"] for place in places],
            "resamples": settings.resamples,
            "seed": settings.seed,
        }
        return ExactMatch().intervals(**inputs) | VqaAccuracy().intervals(**inputs)

    plain = [place for place, sample in enumerate(asked) if _is_plain(sample)]
    scores, _ = scores_with_groups([asked[place] for place in plain], [], lambda p: score([plain[i] for i in p]))
    _, groups = scores_with_groups(asked, ["modality", "control", *settings.by], score)
    things = _things([asked[place] for place in plain])
    for group in groups:
        if group["by"]["control"] == "none" and not settings.by:
            group["scores"] |= _gap(group["by"]["modality"], things, embeddings, settings)
    return Outcome(predictions, scores, groups, {"retrieval": _retrieval_matrix(things, embeddings, settings)})


def _asked(samples: Sequence[Sample], settings: Settings) -> Iterator[Sample]:
    """The rows as they are, the pairs and the shuffled ones, numbered anew."""
    good = [sample for sample in samples if sample.error is None]
    things = _things(good)
    for sample in samples:
        kinds = "+".join(kind for kind, _ in sample.media) or "text"
        sample.columns |= {"modality": kinds, "control": "none"}
        yield sample
    more = [*(_pairs(good, things) if settings.pairs else ()), *_shuffled(good, settings.seed)]
    for number, (sample, media, control) in enumerate(more, start=len(samples)):
        yield _with(sample, number, media, control)


def _is_plain(sample: Sample) -> bool:
    return sample.columns["control"] == "none" and "+" not in sample.columns["modality"]


def _things(samples: Iterable[Sample]) -> dict[str, dict[str, str]]:
    """For everything that rows are about, the key of its medium of each kind."""
    things: dict[str, dict[str, str]] = {}
    for sample in samples:
        _add(things, sample)
    return things


def _add(things: dict[str, dict[str, str]], sample: Sample) -> None:
    for kind, key in sample.media if sample.error is None else ():
        known = things.setdefault(sample.sample, {}).setdefault(kind, key)
        if known != key:
            raise ValueError(
                f"the row {sample.id} asks about {key}, but {known} is the {kind} of the same thing "
                f"({sample.sample}): put each thing's media into a folder of its own, or say in a column `sample` "
                "what each row is about"
            )


def _pairs(samples: Sequence[Sample], things: dict[str, dict[str, str]]) -> Iterator[tuple[Sample, list, str]]:
    """For every two kinds, the questions about the first, with the second kind's medium of the same thing."""
    for first, second in combinations(MEDIA_TYPES, 2):
        for sample in samples:
            if [kind for kind, _ in sample.media] == [first] and second in things[sample.sample]:
                yield sample, [*sample.media, (second, things[sample.sample][second])], "none"


def _shuffled(samples: Sequence[Sample], seed: int) -> Iterator[tuple[Sample, list, str]]:
    """Each question with the medium of another thing: the next one in a random order of all that have the kind."""
    things = _things(samples)
    generator = np.random.default_rng(seed)
    other: dict[tuple[str, str], str] = {}
    for kind in MEDIA_TYPES:
        names = [name for name, media in things.items() if kind in media]
        if len(names) < 2:
            continue
        order = generator.permutation(len(names))
        for place, following in zip(order, np.roll(order, -1), strict=True):
            other[names[place], kind] = things[names[following]][kind]
    for sample in samples:
        for kind, _ in sample.media if len(sample.media) == 1 else ():
            if (sample.sample, kind) in other:
                yield sample, [(kind, other[sample.sample, kind])], "shuffled"


def _with(sample: Sample, index: int, media: Sequence[tuple[str, str]], control: str) -> Sample:
    """The same question about other media, which stand where the first one stood."""
    messages, is_placed = [], False
    for role, blocks in sample.messages:
        own = [block for block in blocks if block[0] == "text"]
        if len(own) < len(blocks) and not is_placed:
            place = next(place for place, block in enumerate(blocks) if block[0] != "text")
            own[place:place] = media
            is_placed = True
        messages.append((role, own))
    columns = sample.columns | {"modality": "+".join(kind for kind, _ in media), "control": control}
    return replace(sample, index=index, messages=messages, columns=columns)


@contextmanager
def _untrained(model: Any, seed: int) -> Iterator[None]:
    """The model with a projector as it is before training: uniform as `torch.nn.Linear` begins."""
    # An adapter keeps a trained copy beside the base's: both are replaced.
    parameters = dict(model.model.projector.named_parameters())
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    hidden_size, projection_dim = next(p.shape for name, p in parameters.items() if name.endswith("weight"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = torch.nn.Linear(projection_dim, hidden_size).state_dict()
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(fresh[name.rpartition(".")[2]])
    try:
        yield
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(before[name])


def _gap(modality: str, things: dict[str, dict[str, str]], embeddings: Embeddings, settings: Settings) -> Scores:
    """How far a modality's embeddings lie from the pictures' of the same things; nothing for pictures and pairs."""
    both = [media for media in things.values() if modality in media and ANCHOR in media]
    if modality == ANCHOR or not both:
        return {}
    return ModalityGap().intervals(
        predictions=embeddings.stack(media[modality] for media in both).numpy(),
        references=embeddings.stack(media[ANCHOR] for media in both).numpy(),
        resamples=settings.resamples,
        seed=settings.seed,
    )


def _retrieval_matrix(things: dict[str, dict[str, str]], embeddings: Embeddings, settings: Settings) -> dict[str, Any]:
    """Recall at 1 of every modality (rows) that looks for every other one (columns), with the number of things."""
    kinds = [kind for kind in MEDIA_TYPES if any(kind in media for media in things.values())]
    recall: list[list[float | None]] = [[None] * len(kinds) for _ in kinds]
    count = [[0] * len(kinds) for _ in kinds]
    for row, query in enumerate(kinds):
        for column, item in enumerate(kinds):
            both = [media for media in things.values() if query in media and item in media]
            count[row][column] = len(both)
            if query == item or not both:
                continue
            asking = embeddings.stack(media[query] for media in both)
            asked = embeddings.stack(media[item] for media in both)
            own = [[place] for place in range(len(both))]
            estimator = Retrieval().estimator((asking @ asked.T).numpy(), own, k=(1,))
            recall[row][column] = estimator.values()["recall_at_1"]
    return {"modalities": kinds, "recall_at_1": recall, "samples": count}
