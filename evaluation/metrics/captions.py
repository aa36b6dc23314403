# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Captions: BLEU, ROUGE-L and CIDEr as COCO counts them (pycocoevalcap), and BLEU as sacrebleu does.

COCO's figures stand on the tokenisation of Stanford's tagger, which needs Java. The default, `"ptb"`, is our own of
the same rules; `"stanford"` calls the original through pycocoevalcap where there is a `java`; `"whitespace"` leaves
the texts as they are, as VLMEvalKit does.
"""

import re
import shutil
from typing import Any

import numpy as np
import sacrebleu
from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test
from pycocoevalcap.cider.cider import Cider as CocoCider
from pycocoevalcap.rouge.rouge import Rouge as CocoRouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from ..bootstrap import Estimator, from_means, from_totals
from .base import TEXT, TEXTS, Metric, check_reference, check_text


_ORDERS = 4
_INPUTS = [{"predictions": TEXT, "references": TEXTS}, {"predictions": TEXT, "references": TEXT}]


class Bleu(Metric):
    """BLEU up to four words as COCO counts it: over the corpus, unsmoothed, against the closest reference length.

    Args:
        predictions (`list[str]`): A caption a sample; an empty one scores 0.
        references (`list[list[str]]`): Its reference captions, at least one with a word.
        tokenizer (`str`, *optional*, defaults to `"ptb"`): Or `"stanford"` (needs Java) or `"whitespace"`.

    Returns `bleu_1`, `bleu_2`, `bleu_3`, `bleu_4`, from 0 to 1.
    """

    inputs = _INPUTS
    source = "Papineni et al., BLEU, ACL 2002; Chen et al., Microsoft COCO Captions, arXiv:1504.00325"

    def estimator(self, predictions: Any, references: Any, tokenizer: str = "ptb") -> Estimator:
        captions, references = tokenize(predictions, references, tokenizer)
        counted = [
            cook_test(caption, cook_refs(texts, n=_ORDERS), eff="closest", n=_ORDERS)
            for caption, texts in zip(captions, references, strict=True)
        ]
        rows = [[*count["correct"], *count["guess"], count["testlen"], count["reflen"]] for count in counted]
        return from_totals(np.array(rows, dtype=float), _bleu)


class SacreBleu(Metric):
    """BLEU-4 as sacrebleu computes it by default: 13a tokenisation, case kept, exponential smoothing.

    Args:
        predictions (`list[str]`): A text a sample.
        references (`list[list[str]]`): Its references; their number may differ between samples.

    Returns `sacrebleu`, from 0 to 1 (sacrebleu prints it times 100).
    """

    inputs = _INPUTS
    source = "Post, A Call for Clarity in Reporting BLEU Scores, WMT 2018, arXiv:1804.08771"

    def estimator(self, predictions: Any, references: Any) -> Estimator:
        scorer = sacrebleu.BLEU(effective_order=True)  # effective order quietens a warning: the counts are the same
        counted = [scorer.sentence_score(*sample) for sample in zip(*_check(predictions, references), strict=True)]
        rows = [[*count.counts, *count.totals, count.sys_len, count.ref_len] for count in counted]
        return from_totals(np.array(rows, dtype=float), _sacrebleu)


class RougeL(Metric):
    """ROUGE-L as COCO counts it: the F-measure (beta 1.2) of the longest common subsequence, with the best precision
    and the best recall over the references; the mean over samples.

    Args:
        predictions, references, tokenizer: As for `Bleu`.

    Returns `rouge_l`, from 0 to 1.
    """

    inputs = _INPUTS
    source = "Lin, ROUGE: A Package for Automatic Evaluation of Summaries, ACL 2004; arXiv:1504.00325"

    def estimator(self, predictions: Any, references: Any, tokenizer: str = "ptb") -> Estimator:
        captions, references = tokenize(predictions, references, tokenizer)
        scorer = CocoRouge()
        pairs = zip(captions, references, strict=True)
        return from_means({"rouge_l": np.array([scorer.calc_score([caption], texts) for caption, texts in pairs])})


class Cider(Metric):
    """CIDEr as COCO's code counts it, which is CIDEr-D (clipped counts, a penalty on length) without stemming. Words
    are weighted by how rare they are among the references of all samples given here, so a single sample scores 0; an
    interval keeps these weights.

    Args:
        predictions, references, tokenizer: As for `Bleu`.

    Returns `cider`, from 0 to 10 (tables print it times 100).
    """

    inputs = _INPUTS
    source = "Vedantam et al., CIDEr: Consensus-based Image Description Evaluation, CVPR 2015, arXiv:1411.5726"

    def estimator(self, predictions: Any, references: Any, tokenizer: str = "ptb") -> Estimator:
        captions, references = tokenize(predictions, references, tokenizer)
        _, scores = CocoCider(n=_ORDERS).compute_score(
            dict(enumerate(references)), {index: [caption] for index, caption in enumerate(captions)}
        )
        return from_means({"cider": scores})


def tokenize(predictions: Any, references: Any, tokenizer: str) -> tuple[list[str], list[list[str]]]:
    """Captions and references as words with a space between them.

    Raises:
        ValueError: If the tokenizer is unknown or lacks Java, or if a sample has no reference with a word in it.
    """
    captions, texts = _check(predictions, references)
    if tokenizer == "stanford":
        captions, texts = [group[0] for group in _stanford([[caption] for caption in captions])], _stanford(texts)
    elif tokenizer == "ptb":
        captions, texts = [ptb(caption) for caption in captions], [[ptb(text) for text in group] for group in texts]
    elif tokenizer == "whitespace":
        captions, texts = [caption.strip() for caption in captions], [[text.strip() for text in g] for g in texts]
    else:
        raise ValueError(f"Expected ptb, stanford or whitespace as the tokenizer, got {tokenizer!r}.")
    for index, group in enumerate(texts):
        if not any(group):
            raise ValueError(f"Sample {index} has no reference: none of {references[index]!r} holds a word.")
    return captions, texts


def _check(predictions: Any, references: Any) -> tuple[list[str], list[list[str]]]:
    captions = [check_text(caption, index, "prediction") for index, caption in enumerate(predictions)]
    return captions, [check_reference(texts, index) for index, texts in enumerate(references)]


def _bleu(totals: np.ndarray) -> dict[str, np.ndarray]:
    """COCO's BLEU from summed counts; its two small constants decide what an n-gram that never matches is worth."""
    correct, guessed = totals[:, :_ORDERS] + 1e-15, totals[:, _ORDERS : 2 * _ORDERS] + 1e-9
    ratio = (totals[:, -2] + 1e-15) / (totals[:, -1] + 1e-9)
    penalty = np.exp(np.minimum(1 - 1 / ratio, 0))
    means = np.cumprod(correct / guessed, axis=1) ** (1 / np.arange(1, _ORDERS + 1))
    return {f"bleu_{order + 1}": means[:, order] * penalty for order in range(_ORDERS)}


def _sacrebleu(totals: np.ndarray) -> dict[str, np.ndarray]:
    sums = totals.astype(int).tolist()
    scores = [
        sacrebleu.BLEU.compute_bleu(row[:_ORDERS], row[_ORDERS : 2 * _ORDERS], row[-2], row[-1]).score for row in sums
    ]
    return {"sacrebleu": np.array(scores) / 100}


def _stanford(groups: list[list[str]]) -> list[list[str]]:
    if shutil.which("java") is None:
        raise ValueError("The tokenizer 'stanford' needs java on the path; 'ptb' follows the same rules without it.")
    # A text with a line break of any kind would become two.
    captions = {index: [{"caption": " ".join(text.split())} for text in group] for index, group in enumerate(groups)}
    return list(PTBTokenizer().tokenize(captions).values())


_CHARACTERS = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "–": "--", "—": "--", "€": "$", "£": "#"}
)
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_CLITICS = re.compile(r"(?<=\w)(n't|'(?:s|re|ve|ll|d|m))(?!\w)")
_FUSED = re.compile(r"\b(?:(can)(not)|(gon|wan)(na)|(got)(ta)|(lem|gim)(me))\b|(?<!\w)('t)(is|was)\b")
_TOKEN = re.compile(
    r"""https?://\S+ | [\w.+-]+@[\w-]+\.\w+                             # addresses
    | (?:[^\W\d_]\.){2,} | \b[b-hj-z]\.                                 # initials
    | \b(?:mr|mrs|ms|dr|st|jr|sr|prof|vs|etc|inc|co|ltd|corp|dept|mt|ave|blvd)\.
    | n't | '(?:s|re|ve|ll|d|m|t)(?!\w) | (?<!\w)'(?:\d\ds?|n')(?!\w)   # clitics and decades
    | (?<!\w)[-+]?(?:\d+(?:[.,:/]\d+)*|\.\d+)(?:[-\w]*\w)?(?:/\w+)*     # numbers
    | @?\w+(?:[-/&.']\w+)*                                              # words, compounds too
    | <[^<>\s]+> | [?!]{2,} | [$%&#*+=~^|@°/<>]                         # what the tagger keeps of signs
    | [()\[\]{}]""",
    re.VERBOSE,
)


def ptb(text: str) -> str:
    """A caption in the tokens of the Penn Treebank, in lower case and without punctuation, with a space between them.

    It follows what Stanford's tokenizer and COCO's list of punctuation together do to captions: clitics stand alone
    (`do n't`, `dog 's`), compounds and numbers stay whole, brackets remain as `-lrb-` (the list removes upper case
    only) and so do runs like `!!`. It differs on emoticons and rare contractions and abbreviations (`rock'n'roll`,
    `y'all`, `No. 5`).
    """
    text = _CLITICS.sub(r" \1", text.translate(_CHARACTERS).lower())
    text = _FUSED.sub(lambda match: " ".join(part for part in match.groups() if part), text)
    return " ".join(_BRACKETS.get(token, token) for token in _TOKEN.findall(text))
