# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The tiny world: the same from the same seed, told apart in every medium, not trivial, and read by all else."""

import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from demo.untrained import build
from training.data import load_datasets
from training.tiny_world import command, examples
from training.tiny_world.files import NAMES, RENDERERS
from training.tiny_world.language import (
    VISUAL,
    ask,
    caption,
    questions_for,
    split_words,
    words,
)
from training.tiny_world.render import render_split
from training.tiny_world.world import COLOURS, CONCEPTS, KINDS, MODALITIES, SIZES, SPEEDS, SPLITS, instances


PEOPLE = {"train": 480, "test": 192}  # for every concept the same number


def look(modality: str, values: np.ndarray) -> np.ndarray:
    """A few numbers that anybody would look at first: edges of pictures, power over bands and rhythms of waves."""
    if modality == "imu":
        spectrum = np.abs(np.fft.rfft(values - values.mean(1, keepdims=True)))[:, :400].reshape(6, 40, 10).mean(2)
        return np.log(np.concatenate([spectrum.ravel(), values.std(1)]) + 1e-2)
    if modality == "audio":
        power = np.abs(np.fft.rfft(values[:31744].reshape(124, 256) * np.hanning(256))) ** 2  # (frames, bands)
        rhythm = np.abs(np.fft.rfft(power.sum(1) / power.sum()))[:40]
        return np.concatenate([np.log(power.mean(0) + 1e-4), 3 * np.log(rhythm + 1e-3)])
    picture = values[-1] if modality == "video" else values
    grey = np.log(picture) * 255 if modality == "depth" else picture.astype(float).reshape(64, 64, -1).mean(2)
    edges = np.hypot(*np.gradient(grey)).clip(0, 40)
    if modality == "video":
        edges = np.concatenate([edges, np.abs(values[-1].astype(float) - values[0]).mean(2)])
    return edges.reshape(-1, 4, 16, 4).mean((1, 3)).ravel()


def nearest(known: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """The position of the nearest known row of each unknown one."""
    return ((known**2).sum(1) - 2 * unknown @ known.T).argmin(1)


@pytest.fixture(scope="module")
def people() -> dict[str, list]:
    return {split: list(instances(split, count)) for split, count in PEOPLE.items()}


@pytest.fixture(scope="module")
def pictures(people) -> dict[str, np.ndarray]:
    return {
        split: np.stack([RENDERERS["image"](one, one.rng("image")) for one in individuals])
        for split, individuals in people.items()
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Path:
    """A rendered split of 8 individuals."""
    folder = tmp_path_factory.mktemp("world")
    render_split("validation", folder, size=8, modalities=[*MODALITIES, "image+audio"])
    return folder


@pytest.fixture(scope="module")
def rows(rendered) -> list[dict]:
    return [json.loads(line) for line in (rendered / "validation.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_same_seed_gives_the_same_files(rendered, tmp_path):
    render_split(
        "validation", tmp_path, size=8, modalities=["video", "image+audio", "imu", "depth", "thermal"], workers=2
    )
    for name in NAMES.values():
        for path in sorted((tmp_path / "media").glob(f"*/{name}")):
            assert path.read_bytes() == (rendered / path.relative_to(tmp_path)).read_bytes()
    render_split("validation", tmp_path / "other", size=8, seed=1, modalities=["image"])
    assert not {path.name for path in (tmp_path / "other" / "media").iterdir()} & {
        path.name for path in (tmp_path / "media").iterdir()
    }


def test_splits_share_no_individual_and_are_balanced():
    identities = {split: {one.identity for one in instances(split, 500)} for split in SPLITS}
    assert all(len(found) == 500 for found in identities.values())
    assert not any(identities[one] & identities[other] for one, other in combinations(SPLITS, 2))
    concepts = [one.concept for one in instances("train", 96)]
    assert {concepts.count(concept) for concept in CONCEPTS} == {2}


@pytest.mark.parametrize("modality", MODALITIES)
def test_two_renderings_of_one_individual_differ(modality, people):
    one = people["test"][0]
    first, again, other = (RENDERERS[modality](one, one.rng(modality, number)) for number in (0, 0, 1))
    assert np.array_equal(first, again)
    assert first.shape == other.shape and not np.array_equal(first, other)


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_medium_tells_kind_size_and_speed(modality, people, pictures):
    def features(split):
        values = (
            pictures[split]
            if modality == "image"
            else [RENDERERS[modality](one, one.rng(modality)) for one in people[split]]
        )
        found = np.stack([look(modality, value) for value in values])
        return np.concatenate([found, np.ones((len(found), 1))], 1)

    known, unknown = features("train"), features("test")
    scale = known.std(0) + 1e-6
    scale[-1] = 1
    known, unknown = known / scale, unknown / scale
    for label, names, at_least in (("kind", KINDS, 0.33), ("size", SIZES, 0.7), ("speed", SPEEDS, 0.4)):
        target = np.array([[getattr(one, label) == name for name in names] for one in people["train"]], float)
        weights = np.linalg.solve(known.T @ known + 300 * np.eye(known.shape[1]), known.T @ (target - 1 / len(names)))
        guesses = (unknown @ weights).argmax(1)
        share = np.mean(
            [names[guess] == getattr(one, label) for guess, one in zip(guesses, people["test"], strict=True)]
        )
        assert share > at_least, (label, share)


@pytest.mark.parametrize("modality", ["image", "thermal", "depth"])
def test_things_are_not_told_by_the_nearest_neighbour_of_their_pixels(modality, people):
    known, unknown = list(instances("train", 960)), people["test"]

    def pixels(individuals):
        pictures = np.stack([RENDERERS[modality](one, one.rng(modality)) for one in individuals])
        # The encoder is given the inverse of a distance.
        values = 1 / pictures if modality == "depth" else pictures
        return values.reshape(len(values), -1).astype(np.float32)

    found = nearest(pixels(known), pixels(unknown))
    share = np.mean([known[at].kind == one.kind for at, one in zip(found, unknown, strict=True)])
    assert 0.15 < share < 0.6


def test_the_processors_read_the_files(rendered):
    processor = build()[1]
    processors = {
        "image": processor.image_processor,
        "video": processor.video_processor,
        "audio": processor.feature_extractor,
        "thermal": processor.thermal_image_processor,
        "depth": processor.depth_image_processor,
        "imu": processor.imu_feature_extractor,
    }
    for modality, read in processors.items():
        paths = [str(path) for path in sorted(rendered.glob(f"media/*/{NAMES[modality]}"))]
        (values,) = read(paths, return_tensors="np").values()
        assert len(values) == 8 and np.isfinite(values).all() and len(np.unique(values[0])) > 50


def test_a_video_shows_how_far_a_thing_moved(people):
    """The distance between the first frame and the last, and hence their difference, grows with the speed."""
    moved = {speed: [] for speed in SPEEDS}
    for one in people["test"][:96]:
        first, last = RENDERERS["video"](one, one.rng("video")).astype(float)
        moved[one.speed].append(np.abs(last - first).mean())
    slow, steady, fast = (np.mean(moved[speed]) for speed in SPEEDS)
    assert slow < steady < fast


def test_rows_load_as_training_data(rendered, rows):
    dataset, _ = load_datasets([{"path": str(rendered / "validation.jsonl")}])
    assert len(dataset) == len(rows) and not any(dataset["error"])
    medium = dataset[0]["messages"][0]["content"][0]
    assert medium["type"] == "image" and Path(medium["path"]).is_file()


def test_rows_name_their_labels_and_answer_by_them(rows):
    for row in rows:
        answers = [turn["content"][0]["text"] for turn in row["messages"] if turn["role"] == "assistant"]
        said = {word for answer in answers for word in split_words(answer)}
        asked = {"two_turns": ["kind"], "description": ["kind", "size", "speed"]}.get(
            row["question"], [row["question"]]
        )
        assert all(row[label] in said for label in asked if label in row)
        assert len(answers) == (2 if row["question"] == "two_turns" else 1)
    together = next(row for row in rows if row["modality"] == "image+audio")
    assert [block["type"] for block in together["messages"][0]["content"]] == ["image", "audio", "text"]


def test_yes_and_no_are_true_and_as_frequent(people):
    counts = {"Yes.": 0, "No.": 0}
    for one in people["train"]:
        ((question, answer),) = ask(one, one.rng("text"), "is_kind").turns
        asked = split_words(question)[-2]
        assert (asked == one.kind) == (answer == "Yes.")
        counts[answer] += 1
    assert abs(counts["Yes."] - counts["No."]) < 150


def test_colour_is_asked_of_nothing_but_pictures_and_videos(rows, people):
    assert {row["modality"] for row in rows if row["question"] == "colour"} == set(VISUAL)
    said = {row["modality"] for row in rows if set(split_words(json.dumps(row["messages"]))) & set(COLOURS)}
    assert said <= set(VISUAL)
    with pytest.raises(ValueError, match="question must be one of"):
        ask(people["test"][0], np.random.default_rng(0), "colour", "audio")


def test_the_vocabulary_is_closed(people):
    known = set(words())
    assert len(known) < 120
    rng = np.random.default_rng(0)
    for one in people["train"]:
        texts = [caption(one, rng, colour=True)]
        for modality in MODALITIES:
            question = questions_for(modality)[rng.integers(len(questions_for(modality)))]
            texts += [text for turn in ask(one, rng, question, modality).turns for text in turn]
        assert {word for text in texts for word in split_words(text)} <= known


def test_the_command_renders_what_it_is_asked_for(tmp_path, capsys):
    options = ["--split", "test", "--output", str(tmp_path), "--size", "3", "--modalities", "thermal,imu"]
    with pytest.raises(SystemExit) as end:
        command.main(["render", *options, "--questions", "kind,colour"])
    assert end.value.code == 0
    assert "6 conversations about 3 individuals" in capsys.readouterr().out
    assert {path.name for path in tmp_path.glob("media/*/*")} == {"thermal.png", "motion.npy"}


def test_the_command_says_in_a_sentence_what_it_does_not_know(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["render", "--split", "test", "--output", str(tmp_path), "--modalities", "smell"])
    assert end.value.code == 2 and "unknown modality 'smell'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"modalities": ["smell"]}, "unknown modality 'smell'"),
        ({"questions": ["age"]}, "unknown question 'age'"),
        ({"split": "dev"}, "split must be one of"),
        ({"size": 0}, "size and workers must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(wrong, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        render_split(**{"split": "test", "output": tmp_path, "size": 1} | wrong)


def test_examples_are_drawn_large(tmp_path):
    examples.main(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(examples.EXAMPLES)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1_000_000
