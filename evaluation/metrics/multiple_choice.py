# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Questions with options: the answer's letter read from a text, or the likeliest option."""

import re
from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import Any

import numpy as np

from ..bootstrap import Estimator, from_means
from .base import INDEX, INDICES, NUMBERS, TEXT, TEXTS, Metric, check_index, check_text


class MultipleChoice(Metric):
    """The share of samples whose answer names the right option, read by `parse_option`. An answer that names none, or
    more than one, is wrong; `unparseable` says how many there are, and `chance` what a guess would score.

    Args:
        predictions (`list[str]`): An answer a sample.
        references (`list[int]`): The number of the right option, from 0.
        options (`list[list[str]]`): The options of each sample, of which the first is A.

    Returns `accuracy`, `unparseable` and `chance`.
    """

    inputs = {"predictions": TEXT, "references": INDEX, "options": TEXTS}
    source = "Lu et al., Learn to Explain (ScienceQA), NeurIPS 2022, arXiv:2209.09513"

    def estimator(self, predictions: Any, references: Any, options: Any) -> Estimator:
        right, read = [], []
        for index, (answer, reference, texts) in enumerate(zip(predictions, references, options, strict=True)):
            _check_options(texts, index)
            option = parse_option(check_text(answer, index, "answer"), texts)
            read.append(option is not None)
            right.append(option == check_index(reference, len(texts), index, "right option"))
        chance = np.array([1 / len(texts) for texts in options])
        return from_means({"accuracy": np.array(right), "unparseable": ~np.array(read), "chance": chance})


class MultipleChoiceLikelihood(Metric):
    """The share of samples whose right option is the likeliest, by its whole log-likelihood and by that per unit of
    length. Where options tie, the right one counts by expectation over them.

    Args:
        predictions (`list[list[float]]`): The log-likelihood of each option, summed over its tokens.
        references (`list[int]`): The number of the right option, from 0.
        lengths (`list[list[int]]`): The length of each option, in tokens or in characters.

    Returns `accuracy`, `accuracy_normalised` and `chance`.
    """

    inputs = {"predictions": NUMBERS, "references": INDEX, "lengths": INDICES}
    source = "Brown et al., Language Models are Few-Shot Learners, NeurIPS 2020, arXiv:2005.14165 (section 2.4)"

    def estimator(self, predictions: Any, references: Any, lengths: Any) -> Estimator:
        plain, normalised = [], []
        for index, (scores, reference, sizes) in enumerate(zip(predictions, references, lengths, strict=True)):
            _check_options(scores, index)
            if len(sizes) != len(scores) or min(sizes) < 1:
                raise ValueError(f"Sample {index}: expected {len(scores)} lengths of at least 1, got {sizes!r}.")
            values = np.asarray(scores, dtype=float)
            if np.isnan(values).any():
                raise ValueError(f"Sample {index}: its log-likelihoods hold NaN.")
            right = check_index(reference, len(values), index, "right option")
            plain.append(_share_of_best(values, right))
            normalised.append(_share_of_best(values / np.asarray(sizes), right))
        chance = np.array([1 / len(scores) for scores in predictions])
        columns = {"accuracy": np.array(plain), "accuracy_normalised": np.array(normalised), "chance": chance}
        return from_means(columns)


def parse_option(answer: str, options: Sequence[str]) -> int | None:
    """The number of the option that an answer names, or None if it names none, or several.

    The first of these that finds a letter decides, and several different letters within it are no answer:
    1. the answer is a letter alone (`B`, `(b)`, `**B**`, `B.`);
    2. a letter after `answer`, `option` or `choice` (`The answer is B`, `Answer: (B) dog`);
    3. a letter in front with a sign after it (`B. dog`, `B) dog`), or a capital one (`B dog`) that is no word of its
       own, as A and I are;
    4. letters in brackets anywhere (`(B) dog`, `I think it is (B).`).
    Then the options' texts: the one that the answer is, or else the only one that stands in it as whole words and not
    just within a longer option that stands there too. Letters beyond the last option are none.
    """
    letters = ascii_uppercase[: len(options)]
    for found in _named_letters(answer.strip(), letters):
        if found:
            return letters.index(found.pop()) if len(found) == 1 else None
    return _named_text(answer, options)


def _named_letters(answer: str, letters: str) -> Iterator[set[str]]:
    """The letters that each rule finds, rule by rule."""
    letter, capital = f"[{letters}{letters.lower()}]", f"[{letters}]"
    no_word = f"[{letters.replace('A', '').replace('I', '') or letters}]"
    verb = r"\s+(?:is|would be|must be|should be)"
    rules = (
        rf"^[\W_]*({letter})[\W_]*$",
        # "a" is the letter only where a sign or the end follows, "A" also after a verb.
        rf"\b(?i:answer|option|choice)\b(?i:{verb})?\s*:?[\s*\"']*"
        rf"(?:[(\[]({letter})[)\]]|({letter})(?=[\W_]*$|[.,:;)*\"'\n])|(?:({no_word})|(?<=\sis\s)({capital}))(?=\s))",
        rf"^[*\s]*({letter})[ \t*]*[.):,\n]|^({no_word})\s(?!or\b|and\b)",
        rf"[(\[]({letter})[)\]]",
    )
    for rule in rules:
        yield {letter.upper() for match in re.finditer(rule, answer) for letter in match.groups() if letter}


def _named_text(answer: str, options: Sequence[str]) -> int | None:
    said = _words(answer)
    exact = [number for number, option in enumerate(options) if option.strip() == answer.strip() != ""]
    if len(exact) == 1:
        return exact[0]
    texts = [_words(option) for option in options]
    if said.strip() and texts.count(said) == 1:
        return texts.index(said)
    rest, found = said, []
    for number in sorted(range(len(texts)), key=lambda number: -len(texts[number])):
        if texts[number].strip() and texts[number] in rest:
            rest = rest.replace(texts[number], " | ")
            found.append(number)
    return found[0] if len(found) == 1 and texts.count(texts[found[0]]) == 1 else None


def _words(text: str) -> str:
    """The text's words in small letters, each between spaces."""
    return " ".join(["", *re.findall(r"[^\W_]+", text.casefold()), ""])


def _share_of_best(scores: np.ndarray, right: int) -> float:
    best = scores == scores.max()
    return float(best[right]) / best.sum()


def _check_options(options: Any, sample: int) -> None:
    if not 2 <= len(options) <= 26:
        raise ValueError(f"Sample {sample}: expected from 2 to 26 options, got {options!r}.")
