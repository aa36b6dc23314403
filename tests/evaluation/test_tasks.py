# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""On every task a model that knows scores 100 %, and one that guesses scores chance within its interval."""

import json

import numpy as np
import pytest
from planted_models import COLOURS, FILES, THINGS, PlantedImageBind, answers_of, chat_row
from tiny_models import tiny_imagebind_config

from evaluation.model import Loaded
from evaluation.templates import TEMPLATES, templates_of
from processing import ImageBindProcessor


@pytest.fixture
def task_rows(write_rows):
    """Rows of each task of questions: many guesses make narrow intervals, and generating costs nothing here."""

    def write(task: str):
        rows = []
        for index in range(240):
            thing = index % THINGS
            answers = answers_of(thing)
            row = {"id": str(index), "image": f"media/{thing}/{FILES['image']}"}
            if task == "multiple_choice":
                row |= {"question": "what is it ?", "options": list(COLOURS), "answer": answers["what is it ?"]}
            elif task == "yes_no":
                row |= {"question": "is it red ?", "answer": answers["is it red ?"]}
            elif task == "captioning":
                row |= {"question": "tell of it", "answer": [answers["tell of it"], "a bird"]}
            else:
                row |= {"question": "what is it ?", "answer": [answers["what is it ?"], "panda"]}
            rows.append(row)
        return write_rows(task, rows)

    return write


# What somebody scores who draws lots among the answers to the question.
CHANCE = {
    "multiple_choice": {"accuracy": 1 / 4},
    "yes_no": {"accuracy": 1 / 2},
    "open_questions": {"exact_match": 1 / 4},
}
CERTAIN = {
    "multiple_choice": {"accuracy": 1, "unparseable": 0},
    "yes_no": {"accuracy": 1, "f1": 1, "yes_ratio": 1 / 4},
    "open_questions": {"exact_match": 1, "vqa_accuracy": 1},
    "captioning": {"bleu_4": 1, "rouge_l": 1},
}


@pytest.mark.parametrize("task", CERTAIN)
def test_who_knows_scores_everything(run, planted, task_rows, task):
    content = run(planted(), "--task", task, "--data", task_rows(task))
    assert (content["samples"], content["broken"]) == (240, 0)
    for name, value in CERTAIN[task].items():
        assert content["scores"][name]["value"] == pytest.approx(value), name


@pytest.mark.parametrize("task", CHANCE)
def test_who_guesses_scores_chance(run, planted, task_rows, task):
    content = run(planted(knows=False), "--task", task, "--data", task_rows(task))
    for name, value in CHANCE[task].items():
        assert content["scores"][name]["low"] <= value <= content["scores"][name]["high"], name
        assert content["scores"][name]["high"] - content["scores"][name]["low"] < 0.15


def test_who_guesses_captions_scores_less(run, planted, task_rows):
    content = run(planted(knows=False), "--task", "captioning", "--data", task_rows("captioning"))
    assert content["scores"]["bleu_4"]["high"] < 0.8
    assert content["scores"]["cider"]["high"] < 5


@pytest.mark.parametrize("knows", [True, False])
def test_the_likeliest_option(run, planted, task_rows, knows):
    data = task_rows("multiple_choice")
    content = run(
        planted(knows), "--task", "multiple_choice", "--choose_by", "likelihood", "--data", data, "--limit", 80
    )
    score = content["scores"]["accuracy"]
    if knows:
        assert score["value"] == content["scores"]["accuracy_normalised"]["value"] == 1
    else:
        assert score["low"] <= 1 / 4 <= score["high"]


def test_several_turns_and_groups(run, planted, write_rows, tmp_path):
    rows = [
        chat_row(thing, kind, asked, question=name)
        for thing in range(THINGS)
        for kind in FILES
        for name, asked in (("colour", ("what is it ?",)), ("two_turns", ("what is it ?", "and now ?")))
    ]
    # A turn whose reference is something else: the conversation is wrong, and half right.
    rows[1]["answers"] = [[answers_of(0)["what is it ?"], "tree"], ["panda"]]
    data = write_rows("turns", rows)
    content = run(planted(), "--task", "open_questions", "--data", data, "--by", "modality", "question")
    groups = {(group["by"]["modality"], group["by"]["question"]): group for group in content["groups"]}
    assert len(groups) == 6 and all(group["samples"] == THINGS for group in groups.values())
    wrong = groups["image", "two_turns"]["scores"]
    assert wrong["exact_match"]["value"] == pytest.approx(1 - 1 / THINGS)
    assert wrong["vqa_accuracy"]["value"] == pytest.approx(1 - 0.5 / THINGS)
    assert groups["imu", "two_turns"]["scores"]["exact_match"]["value"] == 1
    second = json.loads((tmp_path / "predictions.jsonl").read_text().splitlines()[1])
    assert second["answers"] == [answers_of(0)["what is it ?"], answers_of(0)["and now ?"]]
    assert second["right"] is False and second["modality"] == "image"


def test_the_history_holds_the_models_own_answers(planted, media, write_rows, run, monkeypatch):
    seen = []
    loaded = planted(knows=False)

    def listen(ids, embedding):
        seen.append(loaded.model.tokenizer.decode(ids))
        return "panda"

    monkeypatch.setattr(loaded.model, "say", listen)
    data = write_rows("history", [chat_row(0, "image", ("what is it ?", "and now ?"))])
    run(loaded, "--task", "open_questions", "--data", data)
    assert "panda" in seen[1] and answers_of(0)["what is it ?"] not in seen[1]


def test_groups_that_must_be_right_together(run, planted, media, tmp_path):
    rows = [
        {
            "image": str(media / "media" / str(thing) / FILES["image"]),
            "question": question,
            "answer": answer,
            "figure": thing,
        }
        for thing in range(8)
        for question, answer in (("is it red ?", answers_of(thing)["is it red ?"]), ("is it red ?", "yes"))
    ]
    data, recipe = tmp_path / "rows.jsonl", tmp_path / "recipe.yaml"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = "columns: {image: image, question: question, answer: answer}\n"
    recipe.write_text(f"task: yes_no\n{columns}together: {{figure_accuracy: [figure]}}\n")
    scores = run(planted(), "--recipe", recipe, "--data", data)["scores"]
    assert scores["figure_accuracy"]["value"] == pytest.approx(2 / 8)  # where it is red, "yes" is right both times
    assert scores["accuracy"]["value"] == pytest.approx(10 / 16)
    recipe.write_text(f"task: yes_no\n{columns}mme: {{image: figure, category: answer}}\n")
    scores = run(planted(), "--recipe", recipe, "--data", data)["scores"]
    assert {"score", "accuracy_plus"} <= set(scores)


def test_what_says_neither_is_wrong_in_every_score_of_groups(run, planted, media, tmp_path):
    row = {"image": str(media / "media" / "0" / FILES["image"]), "question": "what is it ?", "answer": "yes"}
    data, recipe = tmp_path / "rows.jsonl", tmp_path / "recipe.yaml"
    data.write_text(json.dumps(row | {"figure": 0}) + "\n")
    columns = "columns: {image: image, question: question, answer: answer}\n"
    recipe.write_text(f"task: yes_no\n{columns}together: {{figure_accuracy: [figure]}}\n")
    scores = run(planted(), "--recipe", recipe, "--data", data)["scores"]
    values = {name: score["value"] for name, score in scores.items()}
    assert values == {"accuracy": 0, "figure_accuracy": 0, "unparseable": 1}
    recipe.write_text(f"task: yes_no\n{columns}")
    assert run(planted(), "--recipe", recipe, "--data", data)["scores"]["accuracy"]["value"] == 1  # as in POPE


@pytest.fixture(scope="module")
def imagebind(golden_imagebind):
    """Makes ImageBinds that know or guess, to which pictures, motions and sentences have been shown."""
    processor = ImageBindProcessor.from_pretrained(golden_imagebind)

    def make(media, texts: dict[str, int], things: dict[int, int], knows: bool = True) -> Loaded:
        model = PlantedImageBind(tiny_imagebind_config()).plant(max(things.values()) + 1, knows)
        for thing, vector in things.items():
            own = media / "media" / str(thing)
            model.show(processor(images=str(own / FILES["image"]), return_tensors="pt")["pixel_values"][0], vector)
            model.show(processor(imu=str(own / FILES["imu"]), return_tensors="pt")["imu_values"][0], vector)
        for text, vector in texts.items():
            model.show(processor(text=text, return_tensors="pt")["input_ids"][0], vector)
        return Loaded("planted", None, processor, model)

    return make


@pytest.mark.parametrize("knows", [True, False])
def test_zero_shot_classification(run, imagebind, media, write_rows, knows):
    data = write_rows(
        "classes",
        [{"image": f"media/{thing}/{FILES['image']}", "label": COLOURS[thing % 4]} for thing in range(THINGS)],
    )
    names = sorted(COLOURS)
    texts = {template.replace("{}", name): names.index(name) for name in names for template in TEMPLATES["photo"]}
    loaded = imagebind(media, texts, {thing: names.index(COLOURS[thing % 4]) for thing in range(THINGS)}, knows)
    content = run(loaded, "--task", "zero_shot_classification", "--data", data, "--limit", 20)
    assert content["samples"] == 20 and content["classes"] == 4
    score = content["scores"]["top_1"]
    if knows:
        assert score["value"] == content["scores"]["top_5"]["value"] == 1
    else:
        assert score["low"] <= 1 / 4 <= score["high"]


@pytest.mark.parametrize("knows", [True, False])
def test_retrieval(run, imagebind, media, write_rows, knows):
    rows = [
        {
            "image": f"media/{thing}/{FILES['image']}",
            "imu": f"media/{thing}/{FILES['imu']}",
            "text": [f"thing {thing}", f"number {thing}"],
        }
        for thing in range(THINGS)
    ]
    texts = {text: thing for thing, row in enumerate(rows) for text in row["text"]}
    loaded = imagebind(media, texts, {thing: thing for thing in range(THINGS)}, knows)
    content = run(loaded, "--task", "retrieval", "--data", write_rows("pairs", rows))
    pairs = {(group["by"]["query"], group["by"]["items"]): group["samples"] for group in content["groups"]}
    assert len(pairs) == 6 and pairs["text", "imu"] == 2 * THINGS and pairs["imu", "text"] == THINGS
    for name in ("image_to_imu", "imu_to_image", "text_to_image"):
        recall = content["scores"][f"{name}_recall_at_10"]
        if knows:
            assert content["scores"][f"{name}_recall_at_1"]["value"] == recall["value"] == 1
        else:
            assert recall["low"] <= 10 / THINGS <= recall["high"]


def test_several_labels_a_row_give_mean_average_precision(run, imagebind, media, write_rows):
    rows = [{"image": f"media/{t}/{FILES['image']}", "label": ["red", "blue"] if t else ["green"]} for t in range(4)]
    texts = {f"a photo of a {name}.": place for place, name in enumerate(("blue", "green", "red"))}
    rows = [row | {"place": place} for place, row in enumerate(rows)]
    loaded = imagebind(media, texts, {0: 1, 1: 0, 2: 0, 3: 2})
    data = write_rows("labels", rows)
    content = run(loaded, "--task", "zero_shot_classification", "--data", data, "--by", "place")
    # Green is 1; what of blue (1 of 3) and of red (2 of 3) is not found ties with green's row: 11/12 and 10/12.
    assert content["scores"].keys() == {"mean_average_precision"}
    assert content["scores"]["mean_average_precision"]["value"] == pytest.approx(11 / 12)
    assert all(group["scores"].keys() == content["scores"].keys() for group in content["groups"])


def test_clips_prompts():
    prompts = templates_of("imagenet")
    assert len(prompts) == len(set(prompts)) == 80
    assert {"itap of a {}.", "a photo of the hard to see {}.", "the {} in a video game.", "a origami {}."} <= set(
        prompts
    )
    assert templates_of(["the noise of {}"]) == ["the noise of {}"]
    with pytest.raises(ValueError, match="no templates 'smell'"):
        templates_of("smell")
    with pytest.raises(ValueError, match="has no {}"):
        templates_of(["a dog"])


def test_golden_similarities(golden_imagebind, fixtures, media):
    """The whole way of retrieval, from rows to the matrix, on the original's own inputs and outputs."""
    from accelerate import PartialState
    from safetensors.torch import load_file

    from evaluation.embedding_tasks import match
    from evaluation.media import embed_media
    from evaluation.parts import Parts
    from evaluation.samples import Sample
    from modeling_pandagpt import ImageBindModel

    golden = load_file(fixtures / "imagebind_tiny" / "imagebind_tiny_io.safetensors")
    inputs = {"image": "vision_image", "audio": "audio", "depth": "depth", "thermal": "thermal", "imu": "imu"}
    readers = {
        "image": ("image_processor", "pixel_values"),
        "audio": ("feature_extractor", "input_features"),
        "depth": ("depth_image_processor", "depth_values"),
        "thermal": ("thermal_image_processor", "thermal_values"),
        "imu": ("imu_feature_extractor", "imu_values"),
    }

    class GoldenInputs:
        """Gives the original's own inputs in the place of what it reads."""

    for kind, (name, output) in readers.items():
        values = golden[f"input.{inputs[kind]}"].float()
        read = lambda paths, return_tensors, values=values, output=output: {output: values[[int(p) for p in paths]]}  # noqa: E731
        setattr(GoldenInputs, name, staticmethod(read))
    keys = {kind: [f"{kind}:{place}" for place in range(2)] for kind in inputs}
    rows = [
        (
            Sample(place, str(place), messages=[("user", [(kind, keys[kind][place]) for kind in inputs])]),
            {keys[kind][place]: {"path": str(place)} for kind in inputs},
        )
        for place in range(2)
    ]
    parts_folder = media / "golden.parts"
    parts_folder.mkdir()
    model = ImageBindModel.from_pretrained(golden_imagebind)
    samples, embeddings = embed_media(
        rows, model, GoldenInputs(), Parts(parts_folder, "media", 0), PartialState(cpu=True), 8, 0
    )
    scales = {kind: model.logit_scale(kind).item() for kind in ("audio", "depth", "thermal", "imu")} | {"image": 1.0}
    for query in inputs:
        for item in inputs:
            if query == item:
                continue
            queries, items, positives, _ = match(samples, query, item)
            ours = embeddings.stack(queries) @ embeddings.stack(items).T * scales[query] * scales[item]
            theirs = golden[f"upstream.{inputs[query]}"] @ golden[f"upstream.{inputs[item]}"].T
            assert positives == [[0], [1]]
            assert np.allclose(ours, theirs, atol=1e-3, rtol=1e-4), (query, item, (ours - theirs).abs().max())
