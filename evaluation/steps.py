# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What every task is made of: read and encode the data, then answer in batches; and what comes of a task."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import PartialState
from tqdm import tqdm

from .answering import Answerer
from .bootstrap import bootstrap, from_means
from .media import Embeddings, embed_media
from .metrics.answers import is_exact_match
from .model import Loaded
from .parts import Parts
from .samples import Sample, load_records, read_samples
from .settings import Settings


Scores = dict[str, dict[str, float]]
Prediction = dict[str, Any]


@dataclass
class Outcome:
    """
    What a task gives; only the main process scores.

    Args:
        predictions (`list[dict]`): one for each row, in the data's order.
        scores (`Scores`): by name, `{"value", "low", "high"}`.
        groups (`list[dict]`): `{"by": {column: value}, "samples": n, "scores": …}`.
        more (`dict`): what else stands in the report, such as a matrix.
    """

    predictions: list[Prediction]
    scores: Scores
    groups: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Run:
    """
    One run of evaluation.

    Args:
        settings ([`Settings`]): what is asked.
        loaded ([`Loaded`]): what is evaluated.
        state (`PartialState`): which process of how many this is.
        folder (`Path`): where parts are kept until the run has ended.
    """

    settings: Settings
    loaded: Loaded
    state: PartialState
    folder: Path
    records: Any = None

    def encode(self, check: Callable[[Sample], None]) -> tuple[list[Sample], Embeddings]:
        """
        Read all rows and embed their media.

        Args:
            check (`Callable`):
                Sees each good sample as it is read, so that it raises before the work is done, or notes an error.

        Returns:
            `tuple[list[Sample], Embeddings]`: as [`embed_media`] gives them.
        """
        self.records, folder = load_records(self.settings)

        def checked() -> Iterator[tuple[Sample, dict[str, Any]]]:
            for sample, media in read_samples(self.records, folder, self.settings):
                if sample.error is None:
                    check(sample)
                yield sample, media

        return embed_media(
            checked(),
            self.loaded.encoder,
            self.loaded.processor,
            Parts(self.folder, "media", self.state.process_index),
            self.state,
            self.settings.batch_size,
            self.settings.workers,
        )

    def predict(
        self, samples: Sequence[Sample], answer: Callable[[list[Sample]], list[Prediction]], kind: str = "answers"
    ) -> list[Prediction]:
        """
        Answer samples in batches of similar length, shared among the processes.

        Args:
            samples (`Sequence[Sample]`):
                Those to answer; their indices differ.
            answer (`Callable`):
                Answers a batch.
            kind (`str`, *optional*, defaults to `"answers"`):
                Name of the parts.

        Returns:
            `list[Prediction]`: in the order of the samples. Broken ones have an `error` instead of an answer.
        """
        parts = Parts(self.folder, kind, self.state.process_index)
        good = sorted((sample for sample in samples if sample.error is None), key=lambda s: (s.length, s.index))
        size = self.settings.batch_size
        batches = [good[start : start + size] for start in range(0, len(good), size)]
        todo = [
            batch
            for batch in batches[self.state.process_index :: self.state.num_processes]
            if not all(str(sample.index) in parts.done for sample in batch)
        ]
        with tqdm(desc="Answering", unit=" rows", total=sum(map(len, todo)), disable=not self._is_main) as bar:
            for batch in todo:
                names = [str(sample.index) for sample in batch]
                parts.append(zip(names, answer(batch), strict=True))
                bar.update(len(batch))
        self.state.wait_for_everyone()
        found = parts.read()
        return [about(sample, found.get(str(sample.index), {})) for sample in samples]

    @property
    def _is_main(self) -> bool:
        return self.state.is_main_process


def about(sample: Sample, found: Prediction) -> Prediction:
    """A sample's line of the predictions."""
    error = {} if sample.error is None else {"error": sample.error}
    return {"index": sample.index, "id": sample.id, **sample.columns, **found, **error}


def answer_openly(answerer: Answerer, samples: list[Sample]) -> list[Prediction]:
    """Answers to questions whose answers are texts; right are those of which every turn is."""
    return [
        {
            "answers": answers,
            "references": sample.references,
            "right": all(map(is_exact_match, answers, sample.references)),
        }
        for sample, answers in zip(samples, answerer.answer(samples), strict=True)
    ]


def check_answer(sample: Sample, settings: Settings) -> None:
    """Notes why a sample cannot be judged."""
    if not all(any(answer.strip() for answer in turn) for turn in sample.references):
        sample.error = "it has no answer to compare with"
    elif settings.task == "multiple_choice" and sample.label is None:
        sample.error = "it has no options, or no answer among them"
    elif settings.task == "yes_no" and word_of(sample) not in ("yes", "no"):
        sample.error = f"its answer is {sample.references[-1][0]!r}, expected yes or no"


def word_of(sample: Sample) -> str:
    """The reference of a question to be answered with yes or no."""
    answer = sample.references[-1][0].strip().strip(".").lower()
    return {"true": "yes", "1": "yes", "false": "no", "0": "no"}.get(answer, answer)


def scores_with_groups(
    samples: Sequence[Sample], by: Sequence[str], score: Callable[[list[int]], Scores]
) -> tuple[Scores, list[dict[str, Any]]]:
    """
    Score all good samples, and each group of them.

    Args:
        samples (`Sequence[Sample]`):
            All samples.
        by (`Sequence[str]`):
            Columns whose values make the groups.
        score (`Callable`):
            Scores the samples at the given places.

    Returns:
        `tuple[Scores, list[dict]]`: the scores of all, and the groups in the order in which they first occur.

    Raises:
        ValueError: when no sample could be read.
    """
    good = [place for place, sample in enumerate(samples) if sample.error is None]
    if not good:
        raise ValueError(f"none of the {len(samples)} rows could be evaluated, the first because {samples[0].error}")
    groups: dict[tuple, list[int]] = {}
    if by:
        for place in good:
            groups.setdefault(tuple(samples[place].columns.get(name) for name in by), []).append(place)
    return score(good), [
        {"by": dict(zip(by, values, strict=True)), "samples": len(places), "scores": score(places)}
        for values, places in groups.items()
    ]


def all_right(right: Iterable[bool], keys: Iterable[tuple], name: str, settings: Settings) -> Scores:
    """The share of groups all of whose answers are right."""
    groups: dict[tuple, bool] = {}
    for key, is_right in zip(keys, right, strict=True):
        groups[key] = groups.get(key, True) and is_right
    estimator = from_means({name: list(groups.values())})  # type: ignore[dict-item]
    return bootstrap(*estimator, resamples=settings.resamples, seed=settings.seed)
