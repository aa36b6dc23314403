# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The table that a build ends with, made of what `pandagpt evaluate` wrote."""

import json
from collections.abc import Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Any

from training.tiny_world.conversations import ANOTHER_THING, BOTH_THINGS, EITHER_THING, SAME_THING
from training.tiny_world.world import COLOURS, CONCEPTS, KINDS, MODALITIES, SIZES, SPEEDS


# The questions, with the share of right answers when all possible ones are equally likely.
CHANCE = {
    "kind": 1 / len(KINDS),
    "size": 1 / len(SIZES),
    "speed": 1 / len(SPEEDS),
    "colour": 1 / len(COLOURS),
    "description": 1 / len(CONCEPTS),
    "is_kind": 1 / 2,
    "two_turns": (1 / len(SIZES) + 1 / len(SPEEDS)) / 2 / len(KINDS),
    ANOTHER_THING: 1 / len(KINDS) / (len(KINDS) - 1),
}


# What `pandagpt evaluate` wrote, without `.json`.
RESULTS, RESULTS_IN_32_BITS = "results", "results_in_32_bits"
TWO_THINGS, MODALITY_REPORT = "two_things", "modality_report"

# Kind and description are asked for equally often in the controls.
CHANCE_OF_CONTROLS = (CHANCE["kind"] + CHANCE["description"]) / 2


def write_table(folder: Path) -> Path:
    """
    Write `table.md`.

    Args:
        folder (`Path`):
            Where the results lie, of open questions by modality and question, and of the modality report.

    Returns:
        `Path`
    """
    results, full, two_things, report = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in (RESULTS, RESULTS_IN_32_BITS, TWO_THINGS, MODALITY_REPORT)
    )
    shares, shares_of_full = _shares(results), _shares(full)
    differences = [abs(share - shares_of_full[cell]) for cell, share in shares.items()]
    columns = (*MODALITIES, "image+audio")
    together = {
        group["by"]["question"]: _percent(group["scores"]["exact_match"]["value"]) for group in two_things["groups"]
    }
    smallest = min(group["samples"] for group in results["groups"])
    controlled = min(group["samples"] for group in report["groups"])
    sections = [
        f"Exact answers under greedy decoding, held-out individuals, at least {smallest} a cell:",
        _markdown(
            ("question (chance)", *columns),
            [
                (
                    f"{question.replace('_', ' ')} ({_percent(chance)})",
                    *(_percent(shares.get((question, column))) for column in columns),
                )
                for question, chance in CHANCE.items()
            ],
        ),
        f"In 32 bits no cell differs by more than {100 * max(differences):.1f} points.",
        "Another thing: a picture, and in the next turn a medium of a thing of another kind; the kinds of both, one "
        "after the other.",
        "A picture and a sound in one slot, of different kinds of things: asked what it is, the answer names one of "
        f"the two in {together[EITHER_THING]}; asked what is seen and what is heard, it names both in "
        f"{together[BOTH_THINGS]} (chance {_percent(1 / comb(len(KINDS), 2))}). Of one thing, the same question is "
        f"answered with its kind in {together[SAME_THING]}.",
        f"Controls, kind and description together (chance {_percent(CHANCE_OF_CONTROLS)}), {controlled} questions a "
        "cell: the medium of another individual, and an untrained projector before the trained LoRA; then the "
        "distance to the pictures' embeddings:",
        _markdown(("", *MODALITIES), _controls(report)),
        f"Two media of one individual summed in one slot, kind and description together, {controlled} questions a "
        "cell:",
        _markdown(("", *MODALITIES), _pairs(report)),
        "How often a medium (rows) finds the same individual's other one (columns) first, among "
        f"{report['retrieval']['samples'][0][0]}:",
        _markdown(("", *report["retrieval"]["modalities"]), _retrieval(report["retrieval"])),
    ]
    path = folder / "table.md"
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return path


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _shares(results: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """By question and modality, the share of exact answers."""
    return {
        (group["by"]["question"], group["by"]["modality"]): group["scores"]["exact_match"]["value"]
        for group in results["groups"]
    }


def _scores(report: Mapping[str, Any], control: str) -> dict[str, dict[str, float]]:
    """By modality or pair, the value of every score."""
    return {
        group["by"]["modality"]: {name: score["value"] for name, score in group["scores"].items()}
        for group in report["groups"]
        if group["by"]["control"] == control
    }


def _controls(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for name, control in (("as it is", "none"), ("shuffled", "shuffled"), ("untrained", "untrained")):
        scores = _scores(report, control)
        rows.append((name, *(_percent(scores.get(kind, {}).get("exact_match")) for kind in MODALITIES)))
    scores = _scores(report, "none")
    for name, metric in (("gap", "modality_gap"), ("mean cosine", "mean_cosine")):
        values = (scores.get(kind, {}).get(metric) for kind in MODALITIES)
        rows.append((name, *("" if value is None else f"{value:.3f}" for value in values)))
    return rows


def _pairs(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    scores = _scores(report, "none")
    return [
        (first, *(_percent(scores.get(f"{first}+{second}", {}).get("exact_match")) for second in MODALITIES))
        for first in MODALITIES[:-1]
    ]


def _retrieval(retrieval: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (kind, *map(_percent, row))
        for kind, row in zip(retrieval["modalities"], retrieval["recall_at_1"], strict=True)
    ]


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
