# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Questions to answer with yes or no, as POPE and MME score them."""

import re
from typing import Any

import numpy as np

from ..bootstrap import Estimator, from_totals
from .base import TEXT, Metric, check_text


PERCEPTION = "existence count position color posters celebrity scene landmark artwork ocr".split()
COGNITION = "commonsense_reasoning numerical_calculation text_translation code_reasoning".split()


class YesNo(Metric):
    """Accuracy, precision, recall and F1 of yes, and the share of yes, as POPE scores hallucination.

    As there, an answer is no if its first sentence has the word `No`, `no` or `not` (commas aside), and yes otherwise:
    what says neither counts as yes, and `unparseable` tells how many these are. A ratio without any case is 0.

    Args:
        predictions (`list[str]`): An answer a sample.
        references (`list[str]`): `yes` or `no`.

    Returns `accuracy`, `precision`, `recall`, `f1`, `yes_ratio` and `unparseable`.
    """

    inputs = {"predictions": TEXT, "references": TEXT}
    source = "Li et al., Evaluating Object Hallucination in Large Vision-Language Models, EMNLP 2023, arXiv:2305.10355"

    def estimator(self, predictions: Any, references: Any) -> Estimator:
        answers = [check_text(answer, index, "answer") for index, answer in enumerate(predictions)]
        truth = np.array([_is_yes(reference, index) for index, reference in enumerate(references)])
        said = np.array([not _says_no_in_pope(answer) for answer in answers])
        neither = said & np.array([not re.search(r"\byes\b", answer.lower()) for answer in answers])
        cells = [said & truth, said & ~truth, ~said & truth, ~said & ~truth, neither]
        return from_totals(np.stack(cells, axis=1).astype(float), _pope)


class Mme(Metric):
    """MME's accuracy over questions, accuracy+ over pictures, all of whose questions must be answered right, and its
    points: the sum over categories of both, times 100, in all and for the categories of perception and of cognition.
    An answer is read by `parse_yes_no`; what says neither is wrong. Intervals draw pictures within categories.

    Args:
        predictions (`list[str]`): An answer a sample.
        references (`list[str]`): `yes` or `no`.
        images (`list[str]`): The picture that each question is about; MME has two questions a picture.
        categories (`list[str]`): The category of each question, such as `existence`.

    Returns `accuracy`, `accuracy_plus` (both over all categories together), `score`, `unparseable`, and `perception`
    and `cognition` where there are such categories.
    """

    inputs = {"predictions": TEXT, "references": TEXT, "images": TEXT, "categories": TEXT}
    source = "Fu et al., MME: A Comprehensive Evaluation Benchmark, arXiv:2306.13394"

    def estimator(self, predictions: Any, references: Any, images: Any, categories: Any) -> Estimator:
        pictures: dict[tuple[str, str], list[tuple[bool, bool]]] = {}
        for index, sample in enumerate(zip(predictions, references, images, categories, strict=True)):
            answer, reference, image, category = sample
            said, key = parse_yes_no(check_text(answer, index, "answer")), (str(category).lower(), str(image))
            pictures.setdefault(key, []).append((said is _is_yes(reference, index), said is None))
        names, strata = np.unique([category for category, _ in pictures], return_inverse=True)
        rows = np.zeros((len(pictures), len(names), 5))
        for picture, (category, answers) in enumerate(zip(strata, pictures.values(), strict=True)):
            right, unread = zip(*answers, strict=True)
            rows[picture, category] = [sum(right), len(right), all(right), 1, sum(unread)]

        def score(totals: np.ndarray) -> dict[str, np.ndarray]:
            return _mme(totals.reshape(len(totals), len(names), 5), list(names))

        return from_totals(rows.reshape(len(rows), -1), score, strata)


def parse_yes_no(answer: str) -> bool | None:
    """Whether an answer says yes: its words, whatever their case, hold `yes` and not `no`, or the reverse (False);
    None if both or neither."""
    words = set(re.findall(r"[^\W_]+", answer.lower()))
    return None if ("yes" in words) == ("no" in words) else "yes" in words


def _says_no_in_pope(answer: str) -> bool:
    words = answer.split(".")[0].replace(",", "").split(" ")
    return not {"No", "no", "not"}.isdisjoint(words)


def _is_yes(reference: Any, sample: int) -> bool:
    word = check_text(reference, sample, "reference").strip().lower()
    if word not in ("yes", "no"):
        raise ValueError(f"Sample {sample}: expected yes or no as its reference, got {reference!r}.")
    return word == "yes"


def _pope(totals: np.ndarray) -> dict[str, np.ndarray]:
    true_yes, false_yes, false_no, true_no, neither = totals.T
    samples = true_yes + false_yes + false_no + true_no
    return {
        "accuracy": (true_yes + true_no) / samples,
        "precision": _ratio(true_yes, true_yes + false_yes),
        "recall": _ratio(true_yes, true_yes + false_no),
        "f1": _ratio(2 * true_yes, 2 * true_yes + false_yes + false_no),
        "yes_ratio": (true_yes + false_yes) / samples,
        "unparseable": neither / samples,
    }


def _mme(totals: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """From sums (resamples, categories, 5) of right answers, questions, pictures all right, pictures, and unread."""
    right, questions, all_right, pictures, unread = np.moveaxis(totals, -1, 0)
    points = 100 * (right / questions + all_right / pictures)
    scores = {
        "accuracy": right.sum(1) / questions.sum(1),
        "accuracy_plus": all_right.sum(1) / pictures.sum(1),
        "score": points.sum(1),
        "unparseable": unread.sum(1) / questions.sum(1),
    }
    for group, members in (("perception", PERCEPTION), ("cognition", COGNITION)):
        columns = [place for place, name in enumerate(names) if name in members]
        if columns:
            scores[group] = points[:, columns].sum(1)
    return scores


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)
