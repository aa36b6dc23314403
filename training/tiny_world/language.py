# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What is said about the world: captions, and questions in several wordings with one exact answer each."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.tiny_world.world import COLOURS, KINDS, SIZES, SPEEDS, Instance


QUESTIONS = ("kind", "size", "speed", "description", "two_turns", "is_kind", "is_size", "colour")
VISUAL = ("image", "video")  # colour can be seen, but neither heard nor felt

# Wordings that fit every medium, and those that fit a sense.
_WORDINGS = {
    "kind": ("What is it?", "What is this?", "What kind of thing is it?", "Tell me what this is.", "Name this thing."),
    "size": (
        "How big is it?",
        "What size is it?",
        "Is it small or large?",
        "Tell me the size.",
        "What is the size of it?",
    ),
    "speed": (
        "How fast is it?",
        "What speed is it?",
        "How fast does it move?",
        "Tell me the speed.",
        "What is the speed of it?",
    ),
    "colour": (
        "What colour is it?",
        "What is the colour of it?",
        "Tell me the colour.",
        "Name the colour.",
        "Which colour is it?",
    ),
    "description": (
        "Describe it.",
        "Describe this.",
        "What is it like?",
        "Tell me all about it.",
        "Describe this thing.",
    ),
    "is_kind": ("Is it {article} {kind}?", "Is this {article} {kind}?"),
    "is_size": ("Is it {size}?", "Is this thing {size}?"),
}
_SENSES = {
    "image": ("What do you see?", "What can you see?"),
    "video": ("What do you see?", "What can you see?"),
    "audio": ("What do you hear?", "What can you hear?"),
    "thermal": ("What do you sense?", "What can you sense?"),
    "depth": ("What do you sense?", "What can you sense?"),
    "imu": ("What do you feel?", "What can you feel?"),
}
_BOTH = ("What are they?", "What are these?", "What things are these?", "Tell me what these are.", "Name both things.")
_SENSED_SHARE = 0.3  # of the questions that could name the sense: for a description, or about two things


@dataclass(frozen=True)
class Conversation:
    """
    Args:
        question (`str`): one of `QUESTIONS`.
        turns (`tuple[tuple[str, str], ...]`): question and answer of each turn.
    """

    question: str
    turns: tuple[tuple[str, str], ...]

    def messages(self, *first_blocks: dict[str, Any]) -> list[dict[str, Any]]:
        """Returns the turns as chat messages, with blocks (of media) before the first question."""
        messages = []
        for position, (question, reply) in enumerate(self.turns):
            blocks = [] if position else first_blocks
            messages.append({"role": "user", "content": [*blocks, _text(question)]})
            messages.append({"role": "assistant", "content": [_text(reply)]})
        return messages


def questions_for(modality: str | None) -> tuple[str, ...]:
    """The questions that a medium can answer; all of them if none is given."""
    return QUESTIONS if modality is None or modality in VISUAL else tuple(q for q in QUESTIONS if q != "colour")


def caption(instance: Instance, rng: np.random.Generator, colour: bool = False) -> str:
    """Describes an individual in one of several wordings, with its colour if asked for."""
    words = [instance.size, instance.speed, *([instance.colour] if colour else [])]
    words = [words[position] for position in rng.permutation(len(words))]
    if rng.random() < 0.5:
        return f"a {' '.join([*words, instance.kind])}"
    return f"{_article(instance.kind)} {instance.kind}, {', '.join(words[:-1])} and {words[-1]}"


def ask(instance: Instance, rng: np.random.Generator, question: str, modality: str | None = None) -> Conversation:
    """Asks about an individual.

    Args:
        question (`str`): one of `QUESTIONS`. `"two_turns"` asks for the kind and then for size or speed.
        modality (`str`, *optional*): of the medium that is shown, for wordings that fit it; any without it.
    """
    if question not in questions_for(modality):
        raise ValueError(f"question must be one of {', '.join(questions_for(modality))}, got {question!r}")
    if question == "two_turns":
        second = ("size", "speed")[rng.integers(2)]
        turns = (_turn(instance, rng, "kind", modality), _turn(instance, rng, second, modality))
        return Conversation(question, turns)
    return Conversation(question, (_turn(instance, rng, question, modality),))


def ask_about_both(
    kinds: tuple[str, str], rng: np.random.Generator, modalities: tuple[str, str] | None = None
) -> Conversation:
    """Asks what two things are that are shown together.

    Args:
        kinds (`tuple[str, str]`): what they are.
        modalities (`tuple[str, str]`, *optional*): of the media that are shown, for wordings that fit; any without it.
    """
    if rng.random() < _SENSED_SHARE:
        first, second = modalities or rng.choice(list(_SENSES), 2)
        wording = ask_both_senses(first, second)
    else:
        wording = _BOTH[rng.integers(len(_BOTH))]
    return Conversation("both", ((wording, answer_about_both(kinds)),))


def ask_both_senses(first: str, second: str) -> str:
    """Asks what is perceived in two media, as in: What do you see, and what do you hear?"""
    asked, further = _SENSES[first][0], _SENSES[second][0]
    further = further.replace("What", "what else" if further == asked else "what")
    return f"{asked.rstrip('?')}, and {further}"


def answer_about_both(kinds: tuple[str, str]) -> str:
    """The exact answer to what two things are: in the order of the alphabet, since a sum of media has none."""
    first, second = (f"{_article(kind)} {kind}" for kind in sorted(kinds))
    return f"It is {first}." if first == second else f"They are {first} and {second}."


def answer(instance: Instance, question: str) -> str:
    """The exact answer to an open question."""
    return {
        "kind": f"It is {_article(instance.kind)} {instance.kind}.",
        "size": f"It is {instance.size}.",
        "speed": f"It is {instance.speed}.",
        "colour": f"It is {instance.colour}.",
        "description": f"It is a {instance.size}, {instance.speed} {instance.kind}.",
    }[question]


def words() -> list[str]:
    """Every word and mark that occurs, sorted: a closed vocabulary."""
    texts = [text for wordings in (*_WORDINGS.values(), *_SENSES.values(), _BOTH) for text in wordings]
    texts = [re.sub(r"{\w+}", "", text) for text in texts]
    texts += ["a an and It is They are else Yes No , .", *KINDS, *SIZES, *SPEEDS, *COLOURS]
    return sorted({word for text in texts for word in split_words(text)})


def split_words(text: str) -> list[str]:
    """Divides text into words and marks."""
    return re.findall(r"\w+|[^\w\s]", text)


def _turn(instance: Instance, rng: np.random.Generator, question: str, modality: str | None) -> tuple[str, str]:
    wordings = _WORDINGS[question]
    if question == "description" and rng.random() < _SENSED_SHARE:
        senses = sorted(set(_SENSES.values())) if modality is None else [_SENSES[modality]]
        wordings = senses[rng.integers(len(senses))]
    wording = wordings[rng.integers(len(wordings))]
    if question in ("kind", "size", "speed", "colour", "description"):
        return wording, answer(instance, question)
    # Half of the time the thing asked about is the one that is there.
    is_true = bool(rng.random() < 0.5)
    kind, size = (
        own if is_true else others[rng.integers(len(others))]
        for own, others in (
            (instance.kind, [kind for kind in KINDS if kind != instance.kind]),
            (instance.size, [size for size in SIZES if size != instance.size]),
        )
    )
    return wording.format(article=_article(kind), kind=kind, size=size), "Yes." if is_true else "No."


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
