# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Conversations about one thing, then another, and about two at once: true to what is shown, nothing lost."""

from collections import Counter

import numpy as np
import pytest

from training.tiny_world.conversations import (
    ANOTHER_THING,
    BOTH_THINGS,
    EITHER_THING,
    SAME_THING,
    another_thing,
    join_questions,
    two_things,
)
from training.tiny_world.files import read_rows
from training.tiny_world.language import QUESTIONS, split_words, words
from training.tiny_world.pretrain_language import Conversations
from training.tiny_world.render import render_split
from training.tiny_world.world import KINDS, MODALITIES


@pytest.fixture(scope="module")
def about_pictures(tmp_path_factory):
    return read_rows(render_split("train", tmp_path_factory.mktemp("pictures"), 60, modalities=["image"]))


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    return read_rows(render_split("test", tmp_path_factory.mktemp("kinds"), 12, questions=["kind"]))


def turns_of(row):
    """Types of the blocks before each question, the question, and the answer."""
    for asked, answered in zip(row["messages"][::2], row["messages"][1::2], strict=True):
        *media, question = asked["content"]
        assert [asked["role"], answered["role"], question["type"]] == ["user", "assistant", "text"]
        yield media, question["text"], answered["content"][0]["text"]


def kinds_in(text):
    return set(split_words(text)) & set(KINDS)


def test_every_question_about_a_picture_is_in_one_conversation_that_shows_it(about_pictures):
    def questions(rows):
        asked = Counter()
        for row in rows:
            shown = None
            for media, *turn in turns_of(row):
                if media:
                    (shown,) = (block["path"] for block in media)
                asked[shown, *turn] += 1
        return asked

    joined = join_questions(about_pictures, np.random.default_rng(0))
    about_one = [row for row in joined if max(len(media) for media, *_ in turns_of(row)) == 1]
    assert questions(about_one) == questions(about_pictures)
    shown = Counter(sum(len(media) for media, *_ in turns_of(row)) for row in about_one)
    assert shown[1] > shown[2] > 0 and set(shown) == {1, 2}
    assert {len(row["messages"]) for row in about_one} > {2, 4, 6}
    assert len({row["id"] for row in joined}) == len(joined)


def test_two_pictures_in_one_slot_are_both_named(about_pictures):
    kind_of = {row["messages"][0]["content"][0]["path"]: row["kind"] for row in about_pictures}
    joined = join_questions(about_pictures, np.random.default_rng(0))
    about_both = [turn for row in joined for turn in turns_of(row) if len(turn[0]) == 2]
    assert len(about_both) > 10
    for media, question, answer in about_both:
        shown = {kind_of[block["path"]] for block in media}
        assert kinds_in(answer) == shown
        assert answer.startswith("It is" if len(shown) == 1 else "They are")
        assert "hear" not in question  # they are seen
        assert set(split_words(question + answer)) <= set(words())


def test_the_same_seed_joins_the_same(about_pictures):
    first, same, other = (join_questions(about_pictures, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first == same != other


def test_text_goes_on_to_another_thing_and_names_both():
    conversations = [list(turns_of(row)) for row in map(Conversations(400, 0).__getitem__, range(400))]
    slots = [[(media[0]["text"], answer) for media, _, answer in turns if media] for turns in conversations]
    assert {len(each) for each in slots} == {1, 2}
    both = [pair for each in slots for pair in each if "They are" in pair[1]]
    assert len(both) > 20
    assert all(kinds_in(caption) == kinds_in(answer) for caption, answer in both)
    for turns in conversations:
        shown = set()
        for media, _, answer in turns:
            shown = kinds_in(media[0]["text"]) if media else shown
            assert kinds_in(answer) <= shown


def test_another_thing_follows_a_picture(kinds):
    rows = list(another_thing(kinds, shown_first="image"))
    assert Counter(row["modality"] for row in rows) == dict.fromkeys(MODALITIES, 12)
    for row in rows:
        (first, _, before), (second, _, after) = turns_of(row)
        assert (first[0]["type"], second[0]["type"]) == ("image", row["modality"])
        assert kinds_in(before) != kinds_in(after) == {row["kind"]}
        assert row["question"] == ANOTHER_THING not in QUESTIONS


def test_two_things_are_shown_together(kinds):
    rows = list(two_things(kinds, ("image", "audio")))
    assert Counter(row["question"] for row in rows) == dict.fromkeys((EITHER_THING, BOTH_THINGS, SAME_THING), 12)
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        ((media, question, answer),) = turns_of(row)
        assert [block["type"] for block in media] == ["image", "audio"]
        people = [block["path"].split("/")[1] for block in media]
        assert (people[0] == people[1]) == (row["question"] == SAME_THING)
        assert question == (
            "What is it?" if row["question"] == EITHER_THING else "What do you see, and what do you hear?"
        )
        named = [kinds_in(each) for each in row["answers"]]
        assert [len(each) for each in named] == {EITHER_THING: [1, 1], BOTH_THINGS: [2], SAME_THING: [1]}[
            row["question"]
        ]
        assert len(set().union(*named)) == (1 if row["question"] == SAME_THING else 2)
        assert answer in row["answers"] and set(split_words(question + answer)) <= set(words())
