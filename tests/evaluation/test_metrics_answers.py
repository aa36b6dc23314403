# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Answers read from texts: options, yes and no, exact match and VQA accuracy."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from evaluation.metrics import ExactMatch, Mme, MultipleChoice, MultipleChoiceLikelihood, VqaAccuracy, YesNo
from evaluation.metrics.answers import is_exact_match, normalise, normalise_vqa, vqa_accuracy
from evaluation.metrics.multiple_choice import parse_option
from evaluation.metrics.yes_no import parse_yes_no


OPTIONS = ["cat", "dog", "hot dog", "a bird"]


@pytest.mark.parametrize(
    "answer, option",
    [
        ("B", 1),
        ("b", 1),
        ("a", 0),
        ("B.", 1),
        ("(B)", 1),
        ("**B**", 1),
        ("(B) dog", 1),
        ("(b) hot dog", 1),
        ("B) dog", 1),
        ("B. cat", 1),
        ("B: dog", 1),
        ("B dog", 1),
        ("B\nbecause it barks", 1),
        ("The answer is B", 1),
        ("The answer is A because it meows", 0),
        ("The correct answer is **C**.", 2),
        ("the answer is: (C) hot dog", 2),
        ("Answer: B", 1),
        ("answer is 'D'", 3),
        ("Option C is right.", 2),
        ("I think it is (B).", 1),
        ("dog", 1),
        ("Dog!", 1),
        ("A dog", 1),
        ("Answer: A dog is running", 1),
        ("the answer is a dog", 1),
        ("It is a hot dog.", 2),
        ("I see a bird there", 3),
        ("", None),
        ("E", None),
        ("(E) fish", None),
        ("fish", None),
        ("doghouse", None),
        ("A or B", None),
        ("B or C", None),
        ("(A) or (B)", None),
        ("The answer is B. The answer is C.", None),
        ("a cat and a dog", None),
        ("собака", None),
    ],
)
def test_parse_option(answer, option):
    assert parse_option(answer, OPTIONS) == option


def test_parse_option_texts():
    assert parse_option("-5", ["5", "-5"]) == 1
    assert parse_option("Собака.", ["кошка", "собака"]) == 1
    assert parse_option("a dog", ["dog", "dog"]) is None
    assert parse_option("C", ["C", "D"]) == 0  # no third option: the text of the first
    assert parse_option("", ["dog", "", "cat"]) is None  # an empty answer names no empty option
    assert parse_option("-", ["+", "dog"]) is None


def test_multiple_choice():
    result = MultipleChoice().compute(
        predictions=["(B) dog", "A", "no idea", ""],
        references=[1, 1, 0, 0],
        options=[OPTIONS, OPTIONS, ["x", "y"], ["x", "y"]],
    )
    assert result == {"accuracy": 0.25, "unparseable": 0.5, "chance": 0.375}


def test_likelihood_by_hand():
    result = MultipleChoiceLikelihood().compute(
        predictions=[[-1.0, -2.0], [-3.0, -1.0], [-1.0, -1.0]], references=[0, 0, 1], lengths=[[1, 4], [6, 1], [1, 1]]
    )
    # Per token: -1 against -1/2, -1/2 against -1, and a tie.
    assert result == pytest.approx({"accuracy": 1.5 / 3, "accuracy_normalised": 1.5 / 3, "chance": 0.5})


def test_yes_no_equals_scikit_learn():
    references = ["yes", "no", "no", "yes", "Yes", "no", "no", "yes"]
    predictions = ["Yes.", "no", "Yes, it is", "There is not. Yes", "a dog", "", "No, there is no dog", "yes\n"]
    result = YesNo().compute(predictions=predictions, references=references)
    truth = [reference.lower() == "yes" for reference in references]
    said = [True, False, True, False, True, True, False, True]
    precision, recall, f1, _ = precision_recall_fscore_support(truth, said, average="binary")
    expected = {"accuracy": accuracy_score(truth, said), "precision": precision, "recall": recall, "f1": f1}
    assert result == pytest.approx({**expected, "yes_ratio": 5 / 8, "unparseable": 2 / 8}, rel=1e-12)


def test_yes_no_with_one_class_missing():
    result = YesNo().compute(predictions=["no", "no"], references=["no", "no"])
    assert result == {"accuracy": 1, "precision": 0, "recall": 0, "f1": 0, "yes_ratio": 0, "unparseable": 0}


@pytest.mark.parametrize(
    "answer, said",
    [("Yes", True), ("yes, there is", True), ("NO!", False), ("yes and no", None), ("nothing", None), ("", None)],
)
def test_parse_yes_no(answer, said):
    assert parse_yes_no(answer) is said


def test_mme_by_hand():
    metric = Mme()
    inputs = {
        "predictions": ["Yes", "No", "yes", "yes", "maybe", "no"],
        "references": ["yes", "no", "yes", "no", "yes", "no"],
        "images": ["1", "1", "2", "2", "1", "1"],  # the number of a picture is its category's own
        "categories": ["existence"] * 4 + ["code_reasoning"] * 2,
    }
    expected = {
        "accuracy": 4 / 6,
        "accuracy_plus": 1 / 3,
        "score": 100 * (3 / 4 + 1 / 2) + 100 * (1 / 2 + 0),
        "perception": 125,
        "cognition": 50,
        "unparseable": 1 / 6,
    }
    assert metric.compute(**inputs) == pytest.approx(expected)
    # The only picture of its category is in every resample: its points have no spread.
    assert metric.intervals(**inputs)["cognition"] == {"value": 50, "low": 50, "high": 50}
    assert "cognition" not in metric.compute(**{**inputs, "categories": ["existence"] * 6})


@pytest.mark.parametrize(
    "text, normal",
    [
        ("  The Dog. ", "dog"),
        ("t-shirt", "t shirt"),
        ("It’s a dog’s", "its dogs"),
        ("3.5", "3.5"),
        ("1,000.", "1000"),
        ("-5", "-5"),
        ("10-20", "10 20"),
        ("The", "the"),
        ("?", "?"),
        ("", ""),
        ("ＣＡＦÉ «bleu»", "café bleu"),
        ("Straße", "strasse"),
        ("x.y", "x y"),
    ],
)
def test_normalise(text, normal):
    assert normalise(text) == normal


def test_exact_match():
    metric = ExactMatch()
    assert metric.compute(predictions=["A dog.", "35", ""], references=["dog", "3.5", "cat"])["exact_match"] == 1 / 3
    assert metric.compute(predictions=["a pup", "x"], references=[["dog", "pup"], ["y"]])["exact_match"] == 0.5
    turns = {
        "predictions": [["dog", "two"], ["dog", "two"]],
        "references": [[["dog"], ["2", "two"]], [["dog"], ["1"]]],
    }
    assert metric.compute(**turns)["exact_match"] == 0.5
    assert not is_exact_match("", ["the"])


@pytest.mark.parametrize(
    "text, normal",
    [
        ("The Two dogs.", "2 dogs"),
        ("dont know", "don't know"),
        ("girl's", "girl's"),
        ("2:50 pm", "2:50 pm"),
        ("100,978", "100978"),
        ("3.5", "3.5"),
        ("red,green", "red green"),
        ("t-shirt", "t shirt"),
        ("None", "0"),
        ("its well", "its well"),
    ],
)
def test_normalise_vqa(text, normal):
    assert normalise_vqa(text) == normal


@pytest.mark.parametrize("agreeing, accuracy", [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_vqa_accuracy_of_ten_answers(agreeing, accuracy):
    # Three of ten agree: without one of them two are left, 7 times of ten three are: (3 * 2/3 + 7) / 10.
    answers = ["Two"] * agreeing + [f"other {n}" for n in range(10 - agreeing)]
    assert vqa_accuracy("2", answers) == pytest.approx(accuracy)


def test_vqa_accuracy():
    metric = VqaAccuracy()
    assert (
        metric.compute(predictions=["a sofa", "bed"], references=[["sofa", "couch"], ["chair"]])["vqa_accuracy"] == 0.5
    )
    turns = {"predictions": [["dog", "one"]], "references": [[["dog"], ["2"]]]}
    assert metric.compute(**turns)["vqa_accuracy"] == 0.5


@pytest.mark.parametrize(
    "metric, inputs, message",
    [
        (ExactMatch, {"predictions": ["a", "b"], "references": [["a"], []]}, "Sample 1 has no reference"),
        (ExactMatch, {"predictions": ["a", "b"], "references": [["a"], [" "]]}, "Sample 1 has no reference"),
        (ExactMatch, {"predictions": ["a", "b"], "references": ["a", None]}, "Sample 1 lacks its item of references"),
        (
            VqaAccuracy,
            {"predictions": ["a", None], "references": ["a", "b"]},
            "Sample 1 lacks its item of predictions",
        ),
        (VqaAccuracy, {"predictions": [["a", "b"]], "references": [[["a"]]]}, "Sample 0: expected an answer for each"),
        (YesNo, {"predictions": ["a", "b"], "references": ["yes", "maybe"]}, "Sample 1: expected yes or no"),
        (
            MultipleChoice,
            {"predictions": ["a"], "references": [4], "options": [OPTIONS]},
            "Sample 0: expected as right option a number from 0 to 3, got 4",
        ),
        (MultipleChoice, {"predictions": ["a"], "references": [0], "options": [["x"]]}, "from 2 to 26 options"),
        (
            MultipleChoiceLikelihood,
            {"predictions": [[-1.0, np.nan]], "references": [0], "lengths": [[1, 1]]},
            "Sample 0: its log-likelihoods hold NaN",
        ),
        (
            MultipleChoiceLikelihood,
            {"predictions": [[-1.0, -2.0]], "references": [0], "lengths": [[1, 0]]},
            "Sample 0: expected 2 lengths of at least 1",
        ),
    ],
)
def test_bad_input_names_the_sample(metric, inputs, message):
    for score in (metric().compute, metric().intervals):
        with pytest.raises(ValueError, match=message):
            score(**inputs)
