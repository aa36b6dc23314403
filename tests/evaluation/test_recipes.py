# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Every recipe runs from end to end on a look-alike of its data set, and prints ours beside theirs."""

import pytest
from huggingface_hub.repocard_data import model_index_to_eval_results
from look_alikes import make

from demo.untrained import build
from evaluation.model import Loaded, load
from evaluation.results import table
from evaluation.samples import load_records, read_samples
from evaluation.settings import RECIPES, parse, read_recipe


NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@pytest.fixture(scope="module")
def models(golden_imagebind) -> dict[str, Loaded]:
    model, processor = build()
    return {
        "PandaGPT-13B": Loaded("tiny", None, processor, model.model.imagebind, model),
        "ImageBind-huge": load(str(golden_imagebind), device="cpu"),
    }


@pytest.mark.parametrize("name", NAMES)
def test_runs_on_a_look_alike(run, models, examples, tmp_path, name):
    recipe = read_recipe(name)
    data = make(name, tmp_path / "data", examples)
    arguments = ["--data", data, "--max_new_tokens", 4, "--resamples", 20]
    arguments += ["--name", "default"] if "name" in recipe else []
    content = run(models[recipe["published"][0]["model"]], "--recipe", name, *arguments)
    assert content["broken"] == 0
    assert content["samples"] == {"seedbench_img": 3, "mmmu_val": 3}.get(name, 4)
    assert len(content["published"]) == len(recipe["published"])
    for figure in content["published"]:
        assert figure["low"] <= figure["ours"] <= figure["high"]
        assert f"{figure['model']} {figure['value']}, {figure['source']}" in table(content)
    _, results = model_index_to_eval_results(content["model_index"])
    assert {result.metric_type for result in results} == set(content["scores"])


def test_the_command_line_overrides_a_recipe():
    settings = parse(["--recipe", "mme", "--model", "m", "--max_new_tokens", "3", "--by", "a", "b"])
    assert (settings.task, settings.max_new_tokens, settings.by) == ("yes_no", 3, ["a", "b"])
    assert settings.generation == {"do_sample": True, "top_p": 0.9, "temperature": 0.001}


def test_a_recipes_mistakes_are_named(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("tusk: yes_no\n")
    with pytest.raises(ValueError, match="unknown field tusk"):
        read_recipe(str(recipe))
    with pytest.raises(ValueError, match="no recipe nothing.*esc50"):
        read_recipe("nothing")
    with pytest.raises(ValueError, match="--model is missing"):
        parse(["--recipe", "mme"])
    with pytest.raises(ValueError, match="--limit must be at least 1"):
        parse(["--recipe", "mme", "--model", "m", "--limit", "0"])


@pytest.mark.parametrize("name", [name for name in NAMES if "data/" in read_recipe(name)["data"]])
def test_data_that_everybody_makes_are_never_looked_for_on_the_hub(name):
    with pytest.raises(ValueError, match="there is no ./data/"):
        load_records(parse(["--recipe", name, "--model", "m"]))


def test_a_part_is_said_to_be_one(run, models, examples, tmp_path):
    data = make("mmvet", tmp_path / "data", examples)
    content = run(models["PandaGPT-13B"], "--recipe", "mmvet", "--data", data, "--limit", 2, "--max_new_tokens", 4)
    assert "(first 2 rows alone)" in table(content)
    (result, *_) = model_index_to_eval_results(content["model_index"])[1]
    assert result.dataset_args == {"limit": 2}


@pytest.mark.parametrize(
    "answer, answer_is, place",
    [("", "letter", None), ("BC", "letter", None), ("b", "letter", 1), (" ", None, None), ("", "text", None)]
    + [("", "index", None), (2, None, 2), (-1, None, None), ("Dog", None, 2), ("C", None, 2), ("E", None, None)],
)
def test_the_right_option(answer, answer_is, place, tmp_path):
    settings = parse(["--model", "m", "--task", "multiple_choice", "--data", "d"])
    settings.answer_is = answer_is
    record = {"question": "which ?", "options": ["cat", "", "dog", "", None], "answer": answer}
    ((sample, _),) = read_samples([record], None, settings)
    assert sample.options == ["cat", "", "dog"]  # one within keeps its letter
    if place is None:
        assert sample.error == f"the answer {answer!r} is none of its 3 options"
    else:
        assert sample.error is None and sample.label == place


def test_the_prompt_of_a_multiple_choice_question(examples, tmp_path):
    data = make("scienceqa_val", tmp_path / "data", examples)
    settings = parse(["--recipe", "scienceqa_val", "--model", "m", "--data", str(data), "--name", "default"])
    (first, _), (second, _), *_ = read_samples(*load_records(settings), settings)
    ending = "Options:\nA. a river\nB. a road\nPlease select the correct answer from the options above."
    assert first.messages[0][1][1] == ("text", f"Question: Which is it?\n{ending}")  # an empty hint leaves no line
    assert second.messages[0][1][1][1].startswith("Hint: Look at it.\nQuestion: Which is it?\n")
    assert [kind for kind, _ in first.messages[0][1]] == ["image", "text"]
    assert (first.label, second.label) == (0, 1)
