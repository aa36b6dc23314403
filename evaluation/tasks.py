# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The tasks: each takes a [`Run`] and gives an [`Outcome`]."""

from collections.abc import Callable, Sequence
from typing import Any

from .answering import Answerer
from .bootstrap import bootstrap, from_means
from .embedding_tasks import retrieval, zero_shot_classification
from .metrics import (
    Bleu,
    Cider,
    ExactMatch,
    Mme,
    MultipleChoice,
    MultipleChoiceLikelihood,
    RougeL,
    VqaAccuracy,
    YesNo,
)
from .metrics.multiple_choice import parse_option
from .metrics.yes_no import parse_yes_no
from .modality_report import modality_report
from .samples import Sample
from .settings import Settings
from .steps import (
    Outcome,
    Prediction,
    Run,
    Scores,
    all_right,
    answer_openly,
    check_answer,
    scores_with_groups,
    word_of,
)


def open_questions(run: Run) -> Outcome:
    """Questions, answered turn by turn, by exact match and VQA accuracy."""
    return _ask(run, answer_openly, _score_open_questions)


def captioning(run: Run) -> Outcome:
    """Descriptions, by BLEU, ROUGE-L and CIDEr."""
    return _ask(run, answer_openly, _score_captions)


def yes_no(run: Run) -> Outcome:
    """Questions to be answered with yes or no, as POPE, MME (`mme`) or HallusionBench (`together`) score them."""
    return _ask(run, _answer_yes_no, _score_yes_no)


def multiple_choice(run: Run) -> Outcome:
    """Questions with options, by the option that the answer names, or by the likeliest one."""
    if run.settings.choose_by == "likelihood":
        return _ask(run, _answer_by_likelihood, _score_likelihoods)
    return _ask(run, _answer_by_letter, _score_letters)


Score = Callable[[list[Sample], list[Prediction], Settings], Scores]


def _ask(run: Run, answer: Callable[[Answerer, list[Sample]], list[Prediction]], score: Score) -> Outcome:
    model = run.loaded.require_answers()
    samples, embeddings = run.encode(lambda sample: check_answer(sample, run.settings))
    answerer = Answerer(model, run.loaded.processor, embeddings, run.settings)  # type: ignore[arg-type]
    predictions = run.predict(samples, lambda batch: answer(answerer, batch))
    if not run.state.is_main_process:
        return Outcome([], {})

    def score_places(places: list[int]) -> Scores:
        chosen = [samples[place] for place in places]
        own = [predictions[place] for place in places]
        return score(chosen, own, run.settings) | _together(chosen, own, run.settings)

    return Outcome(predictions, *scores_with_groups(samples, run.settings.by, score_places))


def _together(samples: Sequence[Sample], predictions: Sequence[Prediction], settings: Settings) -> Scores:
    scores: Scores = {}
    for name, columns in settings.together.items():
        keys = [tuple(sample.columns[column] for column in columns) for sample in samples]
        scores |= all_right((prediction["right"] for prediction in predictions), keys, name, settings)
    return scores


def _intervals(metric: Any, settings: Settings, **inputs: Any) -> Scores:
    return metric.intervals(**inputs, resamples=settings.resamples, seed=settings.seed)


def _score_open_questions(samples: list[Sample], predictions: list[Prediction], settings: Settings) -> Scores:
    inputs = {
        "predictions": [prediction["answers"] for prediction in predictions],
        "references": [prediction["references"] for prediction in predictions],
    }
    return _intervals(ExactMatch(), settings, **inputs) | _intervals(VqaAccuracy(), settings, **inputs)


def _score_captions(samples: list[Sample], predictions: list[Prediction], settings: Settings) -> Scores:
    inputs = {
        "predictions": [prediction["answers"][-1] for prediction in predictions],
        "references": [prediction["references"][-1] for prediction in predictions],
        "tokenizer": settings.tokenizer,
    }
    scores: Scores = {}
    for metric in (Bleu(), RougeL(), Cider()):
        scores |= _intervals(metric, settings, **inputs)
    return scores


def _answer_yes_no(answerer: Answerer, samples: list[Sample]) -> list[Prediction]:
    return [
        {
            "answer": answers[-1],
            "reference": word_of(sample),
            "right": parse_yes_no(answers[-1]) is (word_of(sample) == "yes"),
        }
        for sample, answers in zip(samples, answerer.answer(samples), strict=True)
    ]


def _score_yes_no(samples: list[Sample], predictions: list[Prediction], settings: Settings) -> Scores:
    if settings.together:
        # As HallusionBench counts, and as the groups do: what says neither is wrong, not the yes of POPE.
        columns: dict[str, Any] = {
            "accuracy": [prediction["right"] for prediction in predictions],
            "unparseable": [parse_yes_no(prediction["answer"]) is None for prediction in predictions],
        }
        return bootstrap(*from_means(columns), resamples=settings.resamples, seed=settings.seed)
    inputs: dict[str, Any] = {
        "predictions": [prediction["answer"] for prediction in predictions],
        "references": [prediction["reference"] for prediction in predictions],
    }
    if not settings.mme:
        return _intervals(YesNo(), settings, **inputs)
    inputs["images"] = [str(sample.columns[settings.mme["image"]]) for sample in samples]
    inputs["categories"] = [str(sample.columns[settings.mme["category"]]) for sample in samples]
    return _intervals(Mme(), settings, **inputs)


def _answer_by_letter(answerer: Answerer, samples: list[Sample]) -> list[Prediction]:
    return [
        {
            "answer": answers[-1],
            "options": sample.options,
            "reference": sample.label,
            "right": parse_option(answers[-1], sample.options) == sample.label,
        }
        for sample, answers in zip(samples, answerer.answer(samples), strict=True)
    ]


def _score_letters(samples: list[Sample], predictions: list[Prediction], settings: Settings) -> Scores:
    return _intervals(
        MultipleChoice(),
        settings,
        predictions=[prediction["answer"] for prediction in predictions],
        references=[sample.label for sample in samples],
        options=[sample.options for sample in samples],
    )


def _answer_by_likelihood(answerer: Answerer, samples: list[Sample]) -> list[Prediction]:
    return [
        {
            "log_likelihoods": values,
            "lengths": lengths,
            "options": sample.options,
            "reference": sample.label,
            "right": values.index(max(values)) == sample.label,
        }
        for sample, (values, lengths) in zip(samples, answerer.likelihoods(samples), strict=True)
    ]


def _score_likelihoods(samples: list[Sample], predictions: list[Prediction], settings: Settings) -> Scores:
    return _intervals(
        MultipleChoiceLikelihood(),
        settings,
        predictions=[prediction["log_likelihoods"] for prediction in predictions],
        references=[sample.label for sample in samples],
        lengths=[prediction["lengths"] for prediction in predictions],
    )


TASKS: dict[str, Callable[[Run], Outcome]] = {
    "zero_shot_classification": zero_shot_classification,
    "retrieval": retrieval,
    "captioning": captioning,
    "multiple_choice": multiple_choice,
    "yes_no": yes_no,
    "open_questions": open_questions,
    "modality_report": modality_report,
}
