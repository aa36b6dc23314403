# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Conversations made of rendered questions: several about one thing, then about another, and about two at once.

The rows that [`render_split`] writes ask one question about one thing each. Stage 2 is trained on what is made of
those about pictures, and the table asks what is made of those about all media.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any

import numpy as np

from training.tiny_world.language import Conversation, answer_about_both, ask_about_both, ask_both_senses


Row = dict[str, Any]

MOST_QUESTIONS = 6  # about one thing
FOLLOWED_SHARE = 0.3  # of the conversations that go on to another thing
BOTH_SHARE = 0.2  # of two things in one slot, for every conversation about one thing or one after the other
SAME_KIND_SHARE = 0.25  # of those whose second thing is chosen to be of the first one's kind

# The questions of rows that go on to another thing; and of rows with two media in one slot, of different things or of
# the same one.
ANOTHER_THING, EITHER_THING, BOTH_THINGS, SAME_THING = "another_thing", "either_thing", "both_things", "same_thing"


def join_questions(rows: Iterable[Row], rng: np.random.Generator) -> list[Row]:
    """
    Makes conversations of the questions about pictures.

    Args:
        rows (`Iterable[Row]`): those about one picture one after the other.
        rng (`np.random.Generator`): of orders and lengths.

    Returns:
        `list[Row]`: every question once, in conversations of 1 to 6 about one picture, some of which go on to another
        picture; and questions about two pictures in one slot.
    """
    pictures = [list(group) for _, group in groupby(rows, key=lambda row: row["messages"][0]["content"][0]["path"])]
    about_one = [row for picture in pictures for row in _about_one(picture, rng)]
    joined: list[Row] = []
    places = iter(rng.permutation(len(about_one)))
    for place in places:
        following = next(places, None) if rng.random() < FOLLOWED_SHARE else None
        row = about_one[place]
        joined.append(row if following is None else _followed(row, about_one[following]))
    shown = [picture[0] for picture in pictures]
    return joined + [_about_both(shown, rng) for _ in range(round(BOTH_SHARE * len(joined)))]


def another_thing(rows: Sequence[Row], shown_first: str) -> Iterator[Row]:
    """
    Makes conversations that go on to a thing of another kind.

    Args:
        rows (`Sequence[Row]`): questions for the kind, in all modalities.
        shown_first (`str`): the modality of the thing that each conversation begins with.

    Returns:
        `Iterator[Row]`: for every row one that ends with it.
    """
    firsts = [row for row in rows if row["modality"] == shown_first]
    for place, row in enumerate(rows):
        followed = _followed(_of_another_kind(firsts, place, row), row)
        yield followed | {name: row[name] for name in ("modality", "kind")} | {"question": ANOTHER_THING}


def two_things(rows: Sequence[Row], modalities: tuple[str, str]) -> Iterator[Row]:
    """
    Shows things in two modalities in one slot.

    Args:
        rows (`Sequence[Row]`): questions for the kind, in all modalities, individual by individual.
        modalities (`tuple[str, str]`): of the two things.

    Returns:
        `Iterator[Row]`: for every row of the first modality three, with all right answers as `answers`: what it is, of
        things of different kinds, to which either kind is right; what both are; and the same of one individual.
    """
    firsts, seconds = ([row for row in rows if row["modality"] == modality] for modality in modalities)
    for place, first in enumerate(firsts):
        other, same = _of_another_kind(seconds, place, first), seconds[place]
        for question, second in ((EITHER_THING, other), (BOTH_THINGS, other), (SAME_THING, same)):
            wording, answers = ask_both_senses(*modalities), [answer_about_both((first["kind"], second["kind"]))]
            if question == EITHER_THING:
                wording, answers = "What is it?", [_answer_of(first), _answer_of(second)]
            row = _together(first, second, Conversation(question, ((wording, answers[0]),)))
            yield row | {"modality": "+".join(modalities), "answers": answers}


def _about_one(picture: list[Row], rng: np.random.Generator) -> Iterator[Row]:
    questions = [picture[place] for place in rng.permutation(len(picture))]
    while questions:
        first, *more = questions[: rng.integers(1, 1 + MOST_QUESTIONS)]
        questions = questions[1 + len(more) :]
        asked_further = []
        for row in more:
            asked, *answered = row["messages"]
            # The picture stands before the first question alone.
            asked_further += [asked | {"content": asked["content"][1:]}, *answered]
        yield first | {"messages": first["messages"] + asked_further}


def _followed(first: Row, second: Row) -> Row:
    return first | {"id": f"{first['id']}+{second['id']}", "messages": first["messages"] + second["messages"]}


def _about_both(pictures: list[Row], rng: np.random.Generator) -> Row:
    first = pictures[rng.integers(len(pictures))]
    if rng.random() < SAME_KIND_SHARE:
        pictures = [row for row in pictures if row["kind"] == first["kind"]]
    second = pictures[rng.integers(len(pictures))]
    conversation = ask_about_both((first["kind"], second["kind"]), rng, (first["modality"], second["modality"]))
    return _together(first, second, conversation)


def _together(first: Row, second: Row, conversation: Conversation) -> Row:
    media = [row["messages"][0]["content"][0] for row in (first, second)]
    messages = conversation.messages(*media)
    name = f"{first['id']}+{second['id']}-{conversation.question}"
    return first | {"id": name, "messages": messages, "question": conversation.question}


def _answer_of(row: Row) -> str:
    return row["messages"][1]["content"][0]["text"]


def _of_another_kind(rows: Sequence[Row], place: int, than: Row) -> Row:
    """The first row from a place on, in a circle, that is about a thing of another kind."""
    place %= len(rows)
    return next(row for row in chain(rows[place:], rows[:place]) if row["kind"] != than["kind"])
