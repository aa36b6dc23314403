# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The tiny model: built from nothing at a small size, and the one that is bundled."""

import json
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoModel, AutoProcessor

import pandagpt
import training.sft
from demo.conversation import BUNDLED, Conversation
from hub_cards.facts import FACTS
from training.tiny_world import models
from training.tiny_world.build import ABOUT, COMPLETE, SIZES, Build
from training.tiny_world.language import words
from training.tiny_world.pools import INPUT_OF, _render_chunk
from training.tiny_world.pretrain_imagebind import BATCH, Batches
from training.tiny_world.render import render_split
from training.tiny_world.table import CHANCE
from training.tiny_world.world import MODALITIES, instances


# What the example files show; nobody can hear or feel a colour.
EXAMPLES = {
    "picture.png": ("image", "It is a large, fast dog."),
    "video.mp4": ("video", "It is a small, steady train."),
    "sound.wav": ("audio", "It is a large, fast dog."),
    "thermal.png": ("thermal", "It is a large, fast rocket."),
    "depth.npy": ("depth", "It is a large, slow helicopter."),
    "motion.csv": ("imu", "It is a small, steady frog."),
}


@pytest.fixture(scope="module")
def bundled():
    return pandagpt.load(BUNDLED)


def shares(folder: Path) -> dict[tuple[str, str], float]:
    """Of right answers, by modality and question."""
    results = json.loads((folder / "evaluation" / "results.json").read_text(encoding="utf-8"))
    return {
        (group["by"]["modality"], group["by"]["question"]): group["scores"]["exact_match"]["value"]
        for group in results["groups"]
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_bundled_model_describes_the_example_files(bundled, examples, name):
    modality, answer = EXAMPLES[name]
    reply = Conversation(*bundled).ask("Describe it.", [(modality, str(examples / name))])
    assert reply.answer == answer


def test_bundled_model_understands_a_picture_and_its_sound_together(bundled, examples):
    media = [("image", str(examples / "picture.png")), ("audio", str(examples / "sound.wav"))]
    conversation = Conversation(*bundled)
    assert conversation.ask("What is it?", media).answer == "It is a dog."
    assert conversation.ask("How fast is it?").answer == "It is fast."


@pytest.mark.parametrize("name", EXAMPLES)
def test_bundled_model_goes_on_to_another_thing(bundled, examples, name):
    conversation = Conversation(*bundled)
    assert conversation.ask("What is it?", [("image", str(examples / "picture.png"))]).answer == "It is a dog."
    modality, description = EXAMPLES[name]
    thing = description.split()[-1]
    assert conversation.ask("What is it?", [(modality, str(examples / name))]).answer == f"It is a {thing}"
    assert conversation.ask("Describe it.").answer == description


@pytest.mark.parametrize(
    ("names", "question", "answer"),
    [
        (("depth.npy", "motion.csv"), "What are these?", "They are a frog and a helicopter."),
        (("picture.png", "sound.wav"), "What do you see, and what do you hear?", "It is a dog."),
        (("picture.png", "video.mp4"), "Name both things.", "They are a dog and a train."),
    ],
)
def test_bundled_model_names_what_is_shown_together(bundled, examples, names, question, answer):
    media = [(EXAMPLES[name][0], str(examples / name)) for name in names]
    assert Conversation(*bundled).ask(question, media).answer == answer


@pytest.mark.parametrize("name", ["picture.png", "sound.wav"])
def test_bundled_model_answers_several_questions_in_one_conversation(bundled, examples, name):
    media = [(EXAMPLES[name][0], str(examples / name))]
    conversation = Conversation(*bundled)
    questions = {
        "What is it?": "It is a dog.",
        "How big is it?": "It is large.",
        "Is it a dog?": "Yes.",
        "Is it a bell?": "No.",
    }
    for question, answer in questions.items():
        assert conversation.ask(question, media).answer == answer, question
        media = []


def test_bundled_folder_is_an_ordinary_one(bundled):
    pandagpt.PandaGPTForConditionalGeneration  # noqa: B018  # the front door makes our classes known
    model, processor = AutoModel.from_pretrained(BUNDLED), AutoProcessor.from_pretrained(BUNDLED)
    assert type(model) is type(bundled[0]) and type(processor) is type(bundled[1])
    assert model.dtype == torch.bfloat16
    assert sum(path.stat().st_size for path in Path(BUNDLED).rglob("*") if path.is_file()) <= 10_000_000
    assert not list(Path(BUNDLED).rglob("*.py"))
    assert '"/' not in (Path(BUNDLED) / "config.json").read_text(encoding="utf-8")  # no folder of whoever built it


def test_bundled_figures_are_those_of_many_answers():
    results = json.loads((Path(BUNDLED) / "evaluation" / "results.json").read_text(encoding="utf-8"))
    assert all(group["samples"] >= 480 for group in results["groups"])
    assert {group["by"]["modality"] for group in results["groups"]} >= set(MODALITIES)


def test_nothing_but_pictures_is_trained_on(tmp_path):
    build = Build(tmp_path, 0, replace(SIZES["smoke"], stage_1_pictures=6, stage_2_pictures=6))
    build.render_pictures(tmp_path)
    for stage in ("stage_1", "stage_2"):
        with open(tmp_path / stage / "train.jsonl", encoding="utf-8") as file:
            blocks = [block for row in map(json.loads, file) for turn in row["messages"] for block in turn["content"]]
        assert {block["type"] for block in blocks} == {"image", "text"}
        assert all(block["path"].endswith("picture.png") for block in blocks if block["type"] == "image")
        written = {path.name for path in (tmp_path / stage / "media").rglob("*") if path.is_file()}
        assert written == {"picture.png"}


def test_pools_hold_what_the_processors_make_of_files(tmp_path):
    individuals = list(instances("test", 2))
    render_split("test", tmp_path, 2, questions=["kind"])
    for row in map(json.loads, (tmp_path / "test.jsonl").read_text(encoding="utf-8").splitlines()):
        place, kind = int(row["id"].split("-")[2]), row["modality"]
        block, _ = row["messages"][0]["content"]
        reader = next(each.processor for each in models.MODALITIES if each.name == kind)
        values = models.media_processors()[reader]([str(tmp_path / block["path"])], return_tensors="np")[
            INPUT_OF[kind]
        ]
        pool = _render_chunk(kind, 0, individuals)[place : place + 1]
        if kind == "video":  # the noise differs from the second frame on, since a file has more frames
            pool, values = pool[:, :, :, 0], values[:, :, :, 0]
        limit = {"video": 0.15, "audio": 0.05}.get(kind, 5e-3)  # the video is compressed, the sound rounded
        assert np.abs(pool - values).mean() < limit, kind


def test_no_two_of_a_batch_mean_the_same():
    class Labels(Batches):
        def batch(self, chosen, rng):
            return {"chosen": chosen}

    individuals = list(instances("train", 768))
    batches = Labels(individuals, 2, seed=0)
    for batch in batches[0], batches[1]:
        meanings = {(individuals[i].concept, individuals[i].colour) for i in batch["chosen"]}
        assert len(meanings) == len(batch["chosen"]) == BATCH
    assert (batches[0]["chosen"] == batches[0]["chosen"]).all()
    assert (batches[0]["chosen"] != batches[1]["chosen"]).any()


def test_tokenizers_know_the_words_and_spell_the_others():
    tokenizer = models.language_tokenizer(words())
    assert tokenizer.tokenize("What is it? It is a large, fast dog.")[-3:] == ["fast", "dog", "."]
    assert tokenizer.unk_token not in tokenizer.tokenize("Zebra xylophones, 42!")
    sentence = "It is a large, fast dog."
    assert tokenizer.decode(tokenizer(sentence)["input_ids"]) == sentence
    captions = models.caption_tokenizer(words())
    ids = captions("a large dog")["input_ids"]
    assert ids[-1] == max(ids) == captions.vocab_size - 1
    assert captions.pad_token_id == tokenizer.pad_token_id == 0


def test_a_complete_phase_is_skipped_and_another_build_refused(tmp_path):
    done = []
    build = Build(tmp_path, 0, SIZES["smoke"])
    for _ in range(2):
        build.phase("one", lambda folder: done.append(folder))
    assert done == [tmp_path / "one"]
    with pytest.raises(ValueError, match="built with another seed or size"):
        Build(tmp_path, 1, SIZES["smoke"]).phase("one", done.append)


def test_a_phase_that_was_stopped_begins_anew(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "half").touch()
    Build(tmp_path, 0, SIZES["smoke"]).phase("one", lambda folder: (folder / "whole").touch())
    assert {path.name for path in tmp_path.rglob("*")} == {"one", "whole", f"one{COMPLETE}"}


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smoke")
    Build(folder, 0, SIZES["smoke"]).run()
    return folder


def test_bundled_model_has_its_card():
    card = ModelCard.load(Path(BUNDLED) / "README.md")
    assert "emergent" in card.text and ABOUT in card.text
    exact = [(one.dataset_name, one.task_name) for one in card.data.eval_results if one.metric_type == "exact_match"]
    assert len(exact) == len(set(exact)) == 3
    assert json.loads((Path(BUNDLED) / FACTS).read_text(encoding="utf-8"))["continued_from"] == "stage_1"


@pytest.mark.slow
def test_smoke_build_beats_chance(smoke):
    reached = shares(smoke)
    # Heat and depth take the longest to learn: at this size all questions together are above chance, not each of them.
    questions = ("kind", "size", "speed")
    chance = sum(CHANCE[question] for question in questions)
    assert all(sum(reached[modality, question] for question in questions) > chance for modality in MODALITIES)
    assert all(reached[modality, "kind"] > 1.5 * CHANCE["kind"] for modality in ("image", "video", "audio", "imu"))
    assert reached["image", "description"] > 4 * CHANCE["description"]
    trained_on = datasets.load_dataset("parquet", data_files=str(smoke / "embeddings" / "*" / "data" / "*.parquet"))
    assert {kind for kinds in trained_on["train"]["media_types"] for kind in kinds} == {1}  # pictures


@pytest.mark.slow
def test_smoke_build_gives_the_same_table_again(smoke, tmp_path):
    Build(tmp_path, 0, SIZES["smoke"]).run()
    first, second = ((folder / "evaluation" / "table.md").read_text(encoding="utf-8") for folder in (smoke, tmp_path))
    assert first == second


@pytest.mark.slow
def test_words_of_ones_own_are_learnt_from_a_few_pictures_and_hold_for_sounds(tmp_path, examples):
    path = render_split("validation", tmp_path, 96, modalities=["image"], questions=["kind"])
    path.write_text(path.read_text(encoding="utf-8").replace("It is a dog.", "It is Rex."), encoding="utf-8")
    output = tmp_path / "own"
    training.sft.main(
        ["--config", "own_words_tiny", "--model", BUNDLED, "--data", str(path), "--output_dir", str(output)]
    )
    model = pandagpt.load(str(output / "merged"))
    for name, answer in (("picture.png", "It is Rex."), ("sound.wav", "It is Rex."), ("motion.csv", "It is a frog.")):
        media = [(EXAMPLES[name][0], str(examples / name))]
        assert Conversation(*model).ask("What is it?", media).answer == answer
