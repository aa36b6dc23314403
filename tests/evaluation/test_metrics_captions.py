# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Caption metrics against pycocoevalcap and sacrebleu, and our tokens against Stanford's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from pycocoevalcap.bleu.bleu import Bleu as CocoBleu
from pycocoevalcap.cider.cider import Cider as CocoCider
from pycocoevalcap.rouge.rouge import Rouge as CocoRouge

from evaluation.metrics import Bleu, Cider, RougeL, SacreBleu
from evaluation.metrics.captions import ptb


# Texts, and what Stanford's tokenizer with COCO's list of punctuation made of them.
TOKENS = json.loads((Path(__file__).parents[1] / "fixtures" / "ptb_tokens.json").read_text(encoding="utf-8"))

PREDICTIONS = [
    "A man riding a wave on top of a surfboard.",
    "a dog",
    "",
    "Two cats (one black, one white) don't sleep on the man's sofa!",
    "An aeroplane flies over a red-brick house, and a car stops in front of it at 5:30 p.m.",
    "ein Fahrrad – café",
]
REFERENCES = [
    ["A surfer rides a wave.", "A man on a surfboard riding a big wave in the sea."],
    ["A small brown dog sits on the grass.", "a dog", "The dog is waiting"],
    ["A bowl of fruit on a table."],
    ["Two cats don't sleep on a sofa.", "A black cat and a white cat on the man's sofa!"],
    ["A plane above a red-brick house.", "A car stops in front of a house."],
    ["Ein Fahrrad vor dem Café", "a bicycle"],
]


def coco(scorer, tokenize):
    references = {index: [tokenize(text) for text in texts] for index, texts in enumerate(REFERENCES)}
    captions = {index: [tokenize(text)] for index, text in enumerate(PREDICTIONS)}
    return scorer.compute_score(references, captions, **({"verbose": 0} if isinstance(scorer, CocoBleu) else {}))[0]


@pytest.mark.parametrize("tokenizer, tokenize", [("ptb", ptb), ("whitespace", str.strip)])
def test_pycocoevalcap(tokenizer, tokenize):
    inputs = {"predictions": PREDICTIONS, "references": REFERENCES, "tokenizer": tokenizer}
    bleu = Bleu().compute(**inputs)
    assert list(bleu) == ["bleu_1", "bleu_2", "bleu_3", "bleu_4"]
    np.testing.assert_allclose(list(bleu.values()), coco(CocoBleu(4), tokenize), rtol=1e-12)
    assert RougeL().compute(**inputs)["rouge_l"] == pytest.approx(coco(CocoRouge(), tokenize), rel=1e-12)
    assert Cider().compute(**inputs)["cider"] == pytest.approx(coco(CocoCider(), tokenize), rel=1e-12)
    assert bleu["bleu_4"] > 0.1


def test_sacrebleu():
    expected = sacrebleu.BLEU().corpus_score(
        PREDICTIONS, [[texts[min(place, len(texts) - 1)] for texts in REFERENCES] for place in range(3)]
    )
    score = SacreBleu().compute(predictions=PREDICTIONS, references=REFERENCES)["sacrebleu"]
    assert score == pytest.approx(expected.score / 100, rel=1e-12)
    assert score > 0.05


def test_bleu_by_hand():
    # "the the the" has one clipped match of three words; two words are missing, so the penalty is exp(1 - 5 / 3).
    scores = Bleu().compute(predictions=["the the the"], references=[["the cat is on mat"]])
    assert scores["bleu_1"] == pytest.approx(np.exp(1 - 5 / 3) / 3, rel=1e-6)
    assert scores["bleu_4"] == pytest.approx(0, abs=1e-3)


def test_rouge_by_hand():
    # The longest common subsequence of a b c d and a c d e f is a c d: precision 3/4, recall 3/5.
    score = RougeL().compute(predictions=["q b c d"], references=[["q c d e f"]])["rouge_l"]
    assert score == pytest.approx((1 + 1.44) * 0.75 * 0.6 / (0.6 + 1.44 * 0.75), rel=1e-12)


def test_own_words_are_perfect():
    inputs = {"predictions": [texts[0] for texts in REFERENCES], "references": [texts[:1] for texts in REFERENCES]}
    assert Bleu().compute(**inputs)["bleu_4"] == pytest.approx(1, abs=1e-6)
    assert RougeL().compute(**inputs)["rouge_l"] == pytest.approx(1)
    assert SacreBleu().compute(**inputs)["sacrebleu"] == pytest.approx(1)
    assert Cider().compute(**inputs)["cider"] > 7.5  # an n-gram of too few words to exist scores nothing


def test_empty_captions_score_nothing():
    inputs = {"predictions": ["", " . "], "references": [["a dog"], ["a cat"]]}
    assert Bleu().compute(**inputs) == pytest.approx({f"bleu_{order}": 0 for order in range(1, 5)}, abs=1e-6)
    assert RougeL().compute(**inputs)["rouge_l"] == 0
    assert Cider().compute(**inputs)["cider"] == 0
    assert SacreBleu().compute(**inputs)["sacrebleu"] == 0


@pytest.mark.parametrize("metric", [Bleu, Cider, RougeL])
def test_reference_without_a_word(metric):
    with pytest.raises(ValueError, match=r"Sample 1 has no reference: none of \['\.\.\.'\] holds a word"):
        metric().compute(predictions=["a", "b"], references=[["a"], ["..."]])


def test_unknown_tokenizer():
    with pytest.raises(ValueError, match="ptb, stanford or whitespace"):
        Bleu().compute(predictions=["a"], references=[["a"]], tokenizer="moses")


def test_stanford_without_java(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="needs java"):
        Bleu().compute(predictions=["a"], references=[["a"]], tokenizer="stanford")


@pytest.mark.parametrize("text", TOKENS)
def test_ptb_tokens(text):
    assert ptb(text) == TOKENS[text]


@pytest.mark.skipif(shutil.which("java") is None, reason="Stanford's tokenizer needs java, which is not here")
def test_stanford_gives_the_same_scores():
    inputs = {"predictions": PREDICTIONS, "references": REFERENCES}
    for metric in (Bleu(), Cider(), RougeL()):
        assert metric.compute(**inputs, tokenizer="stanford") == metric.compute(**inputs)
