# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The modality report: questions by modality and pair, controls, gaps, the matrix and the plots."""

import json

import pytest
import torch
from PIL import Image
from planted_models import FILES, THINGS, answers_of, chat_row

from evaluation.modality_report import _untrained


@pytest.fixture
def data(write_rows):
    rows = [chat_row(thing, kind, ("what is it ?",)) for thing in range(THINGS) for kind in FILES]
    return write_rows("report", rows)


def test_report_of_a_model_that_knows(run, planted, data, tmp_path):
    content = run(planted(), "--task", "modality_report", "--data", data, "--untrained_projector", "--resamples", 50)
    groups = {(group["by"]["modality"], group["by"]["control"]): group for group in content["groups"]}
    plain = {"image", "thermal", "imu", "image+thermal", "image+imu", "thermal+imu"}
    assert {modality for modality, control in groups if control == "none"} == plain
    assert all(groups[modality, "none"]["scores"]["exact_match"]["value"] == 1 for modality in plain)
    assert content["samples"] == 3 * THINGS * (1 + 1 + 1 + 1)  # alone, in pairs, shuffled, untrained
    assert content["scores"]["exact_match"]["value"] == 1  # over the questions as they are alone
    # What is shown is another thing, so the answer is right only where that is alike.
    for kind in FILES:
        assert groups[kind, "shuffled"]["scores"]["exact_match"]["value"] < 0.7
    # This model knows things by their embeddings, whatever its projector.
    assert groups["imu", "untrained"]["scores"]["exact_match"]["value"] == 1
    assert groups["image", "none"]["scores"].keys() == {"exact_match", "vqa_accuracy"}
    assert groups["imu", "none"]["scores"]["modality_gap"]["value"] > 0
    assert -1 <= groups["imu", "none"]["scores"]["mean_cosine"]["value"] <= 1
    matrix = content["retrieval"]
    assert matrix["modalities"] == ["image", "thermal", "imu"]
    assert matrix["samples"] == [[THINGS] * 3] * 3
    assert [row.index(None) for row in matrix["recall_at_1"]] == [0, 1, 2]
    for name in ("results_accuracy.png", "results_retrieval.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 300
    first_pair = json.loads((tmp_path / "predictions.jsonl").read_text().splitlines()[3 * THINGS])
    assert first_pair["modality"] == "image+thermal" and first_pair["answers"] == [answers_of(0)["what is it ?"]]


def test_report_of_a_model_that_guesses(run, planted, data):
    guesses = planted(knows=False)
    content = run(guesses, "--task", "modality_report", "--data", data, "--no_pairs", "--resamples", 200)
    assert len(content["groups"]) == 6
    low, high = (content["scores"]["exact_match"][name] for name in ("low", "high"))
    assert low <= 1 / 4 <= high


def test_a_thing_has_one_medium_of_a_kind(run, planted, write_rows):
    rows = [chat_row(thing, "image", ("what is it ?",)) | {"sample": "pictures"} for thing in range(2)]
    with pytest.raises(ValueError, match=r"1-image asks about .* same thing \(pictures\): .*column `sample`"):
        run(planted(), "--task", "modality_report", "--data", write_rows("one_folder", rows))


def test_what_cannot_be_judged_or_shuffled_is_left_out(run, planted, write_rows):
    rows = [chat_row(thing, "image", ("what is it ?",)) for thing in range(3)]
    rows[2]["answers"] = [" "]
    rows.append(chat_row(0, "imu", ("what is it ?",)))
    content = run(planted(), "--task", "modality_report", "--data", write_rows("few", rows), "--no_pairs")
    groups = {(group["by"]["modality"], group["by"]["control"]): group["samples"] for group in content["groups"]}
    assert groups == {("image", "none"): 2, ("image", "shuffled"): 2, ("imu", "none"): 1}
    assert content["broken"] == 1


def test_untrained_projector_is_put_back(planted):
    model = planted().model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with _untrained(model, seed=0):
        assert not torch.equal(model.model.projector.weight, before["model.projector.weight"])
        weight = model.model.projector.weight.clone()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with _untrained(model, seed=0):
        assert torch.equal(model.model.projector.weight, weight)
