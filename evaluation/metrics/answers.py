# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Short answers to open questions: exact match and VQA accuracy, for one question or a conversation of several."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import datasets
import numpy as np

from ..bootstrap import Estimator, from_means
from .base import TEXT, TEXTS, Metric, check_reference, check_text


_INPUTS = [
    {"predictions": TEXT, "references": TEXT},
    {"predictions": TEXT, "references": TEXTS},
    {"predictions": TEXTS, "references": datasets.Sequence(TEXTS)},
]


class ExactMatch(Metric):
    """The share of samples whose answer equals an accepted one after `normalise`; of a conversation, all answers.

    Args:
        predictions (`list[str]` or `list[list[str]]`): An answer a sample, or one for each turn of it.
        references (`list[str]`, `list[list[str]]` or `list[list[list[str]]]`): The accepted answers of a sample, or
            for each turn of it the list of accepted answers.

    Returns `exact_match`.
    """

    inputs = _INPUTS
    source = "Rajpurkar et al., SQuAD, EMNLP 2016, arXiv:1606.05250"

    def estimator(self, predictions: Any, references: Any) -> Estimator:
        scores = _score_turns(predictions, references, is_exact_match)
        return from_means({"exact_match": np.array([min(turns) for turns in scores], dtype=float)})


class VqaAccuracy(Metric):
    """The accuracy of the VQA challenge: an answer counts in full when three of the people asked gave it, averaged
    over leaving each of them out in turn, after `normalise_vqa`; of a conversation, the mean over its turns.

    Args:
        predictions (`list[str]` or `list[list[str]]`): An answer a sample, or one for each turn of it.
        references (`list[str]`, `list[list[str]]` or `list[list[list[str]]]`): The answers that people gave (10 in
            VQA), repeated as often as they were given, or for each turn of it such a list. With fewer than four, three
            others cannot agree: then they are accepted answers, of which any counts in full.

    Returns `vqa_accuracy`.
    """

    inputs = _INPUTS
    source = "Antol et al., VQA: Visual Question Answering, ICCV 2015, arXiv:1505.00468; visualqa.org/evaluation"

    def estimator(self, predictions: Any, references: Any) -> Estimator:
        scores = _score_turns(predictions, references, vqa_accuracy)
        return from_means({"vqa_accuracy": np.array([np.mean(turns) for turns in scores])})


def is_exact_match(prediction: str, answers: Sequence[str]) -> bool:
    """Whether the prediction equals one of the accepted answers after `normalise`."""
    return normalise(prediction) in {normalise(answer) for answer in answers}


def vqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """The VQA accuracy of one answer, from 0 to 1; see `VqaAccuracy`."""
    said = normalise_vqa(prediction)
    agreeing = sum(normalise_vqa(answer) == said for answer in answers)
    if len(answers) < 4:
        return float(agreeing > 0)
    others = [agreeing - 1] * agreeing + [agreeing] * (len(answers) - agreeing)
    return sum(min(count / 3, 1) for count in others) / len(answers)


_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def normalise(text: str) -> str:
    """What two answers must share to be the same: compatible characters made one (NFKC), no difference of case, no
    articles, apostrophes dropped and all other punctuation and white space one space, except within a number (`3.5`,
    `-5`; thousands lose their comma). What consists of nothing else (`"the"`, `"?"`) stays as it is. After SQuAD's
    rule, which would make `3.5` and `35` equal.
    """
    text = unicodedata.normalize("NFKC", text).casefold().strip().replace("’", "'")
    kept = re.sub(r"(?<=\d),(?=\d{3})", "", text).replace("'", "")
    kept = "".join(
        " " if unicodedata.category(sign)[0] == "P" and not _within_number(kept, place) else sign
        for place, sign in enumerate(kept)
    )
    return " ".join(_ARTICLES.sub(" ", kept).split()) or " ".join(kept.split()) or text


def _within_number(text: str, place: int) -> bool:
    """Whether the sign is a decimal point or a minus."""
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if text[place] == ".":
        return after.isdigit() and not before.isalpha()
    return text[place] == "-" and (after.isdigit() or after == ".") and not before.isalnum()


_DIGITS = {
    word: str(number) for number, word in enumerate("zero one two three four five six seven eight nine ten".split())
}
_DIGITS["none"] = "0"
_BARE_CONTRACTIONS = {
    contraction.replace("'", ""): contraction
    for contraction in (
        "ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mightn't mustn't needn't shan't "
        "shouldn't wasn't weren't won't wouldn't could've might've must've should've would've i'm i've you're you've "
        "you'll they're they've they'll they'd we've he's she's he'd it'll that's that'll there's what's what're "
        "where's who's who've how's when's why's let's somebody's someone's something's everybody's everyone's y'all"
    ).split()
}


def normalise_vqa(text: str) -> str:
    """An answer as the VQA challenge compares it: lower case; periods only in decimals; number words up to ten as
    digits; no articles; the apostrophe of a contraction put back (`dont`); other punctuation than apostrophes and
    colons a space, but nothing for the comma within a number. Bare contractions that are words of their own (`its`,
    `well`) stay as they are.
    """
    text = " ".join(text.lower().replace("’", "'").split())
    text = re.sub(r"(?<=\d),(?=\d)|\.(?!\d)", "", text)
    text = re.sub(r"""[;/\[\]"{}()=+\\_\-<>@`,?!]""", " ", text)
    words = [_DIGITS.get(word, word) for word in text.split() if word not in ("a", "an", "the")]
    return " ".join(_BARE_CONTRACTIONS.get(word, word) for word in words)


def _score_turns(predictions: Any, references: Any, score: Callable[[str, Sequence[str]], float]) -> list[list[float]]:
    """The score of every turn of every sample; a sample that is one answer is a conversation of one turn."""
    scores = []
    for index, (answers, expected) in enumerate(zip(predictions, references, strict=True)):
        if isinstance(answers, str):
            answers, expected = [answers], [expected]
        if not len(answers) or len(answers) != len(expected):
            raise ValueError(f"Sample {index}: expected an answer for each turn's references, got {answers!r}.")
        turns = zip(answers, expected, strict=True)
        scores.append(
            [score(check_text(answer, index, "answer"), check_reference(texts, index)) for answer, texts in turns]
        )
    return scores
