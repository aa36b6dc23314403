# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What a run leaves: predictions, scores beside those published, what a model card needs, and the table on screen."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult
from huggingface_hub.repocard_data import eval_results_to_model_index

from chat_data.rows import public_name

from .model import Loaded
from .settings import Settings
from .steps import Outcome, Scores


PACKAGES = ("pandagpt", "torch", "transformers", "peft", "datasets", "evaluate", "numpy", "pillow", "av", "soundfile")

# How the Hub calls the tasks.
_HUB_TASKS = {
    "zero_shot_classification": "zero-shot-classification",
    "retrieval": "feature-extraction",
    "captioning": "image-to-text",
}

# These do not lie between 0 and 1, so that tables print them as they are.
_NO_FRACTIONS = ("score", "perception", "cognition", "modality_gap", "mean_cosine")


def predictions_path(output: Path) -> Path:
    """Where the predictions of a report go: `predictions.jsonl` beside `results.json`."""
    return output.with_name("predictions.jsonl" if output.stem == "results" else f"{output.stem}.predictions.jsonl")


def versions() -> dict[str, str]:
    """`dict[str, str]`: of Python and of the libraries that scores may depend on."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


def report(settings: Settings, loaded: Loaded, outcome: Outcome) -> dict[str, Any]:
    """
    What stands in results.json.

    Args:
        settings ([`Settings`]):
            Of the run.
        loaded ([`Loaded`]):
            What was evaluated.
        outcome ([`Outcome`]):
            What came of it.

    Returns:
        `dict`: of plain values. Paths are cut to their last part: it is published, and they tell nothing elsewhere.
    """
    broken = sum("error" in prediction for prediction in outcome.predictions)
    used = settings.with_effect()
    for name in ("model", "data", "images", "text_encoder", "classes"):
        if isinstance(used[name], str):
            used[name] = public_name(used[name])
    return {
        "task": settings.task,
        "title": settings.title,
        "model": public_name(loaded.name),
        "model_commit": loaded.commit,
        "base": None if loaded.base is None else public_name(loaded.base),
        "data": public_name(str(settings.data)),
        "settings": used,
        "versions": versions(),
        "samples": len(outcome.predictions) - broken,
        "broken": broken,
        "scores": outcome.scores,
        "groups": outcome.groups,
        **outcome.more,
        "published": compare(outcome.scores, settings.published),
        "model_index": model_index(settings, loaded, outcome.scores),
    }


def compare(scores: Scores, published: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Ours beside theirs.

    Args:
        scores (`Scores`):
            Ours.
        published (`Sequence[Mapping]`):
            Theirs: `metric`, `value`, `scale` (what ours is multiplied with, 100 by default), and where it stands.

    Returns:
        `list[dict]`: theirs with `ours`, `low` and `high` on the same scale, `None` where we have no such score.
    """
    compared = []
    for figure in published:
        scale = figure.get("scale", 100)
        own = scores.get(figure["metric"])
        ours = {"ours": None, "low": None, "high": None}
        if own is not None:
            ours = {"ours": own["value"] * scale, "low": own["low"] * scale, "high": own["high"] * scale}
        compared.append({**figure, "scale": scale, **ours})
    return compared


def model_index(settings: Settings, loaded: Loaded, scores: Scores) -> list[dict[str, Any]]:
    """`list[dict]`: the scores as the `model-index` of a model card."""
    name = public_name(str(settings.data))
    shared: dict[str, Any] = {
        "task_type": _HUB_TASKS.get(str(settings.task), "any-to-any"),
        "task_name": str(settings.task).replace("_", " "),
        "dataset_type": name,
        "dataset_name": settings.title or name,
        "dataset_config": settings.name,
        "dataset_split": settings.split or "train",
        "dataset_revision": settings.data_revision,
        "dataset_args": {"limit": settings.limit} if settings.limit else None,
    }
    results = [
        EvalResult(**shared, metric_type=metric, metric_name=metric.replace("_", " "), metric_value=score["value"])
        for metric, score in scores.items()
    ]
    return eval_results_to_model_index(public_name(loaded.name), results)


def write(content: Mapping[str, Any], outcome: Outcome, output: Path) -> None:
    """Writes results.json, and the predictions beside it, a line each, in the order of the data."""
    lines = [json.dumps(prediction, ensure_ascii=False, default=str) + "\n" for prediction in outcome.predictions]
    predictions_path(output).write_text("".join(lines), encoding="utf-8")
    output.write_text(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")


def table(content: Mapping[str, Any]) -> str:
    """
    A report for reading.

    Args:
        content (`Mapping`):
            What stands in results.json.

    Returns:
        `str`: lines of scores with their intervals, of groups, and of ours beside theirs; fractions times 100.
    """
    broken = f", {content['broken']} broken" if content["broken"] else ""
    lines = [f"{content['task']} of {content['model']} on {content['data']}: {content['samples']} samples{broken}"]
    lines += [f"  {name:32} {_spoken(name, score)}" for name, score in content["scores"].items()]
    for group in content["groups"]:
        named = ", ".join(f"{column} {value}" for column, value in group["by"].items())
        first, *_ = group["scores"].items()
        lines.append(f"  {named:32} {_spoken(*first)}  {first[0]}, {group['samples']} samples")
    limit = content["settings"]["limit"]
    limited = f" (first {limit} rows alone)" if limit else ""
    for figure in content["published"]:
        ours = "none" if figure["ours"] is None else f"{figure['ours']:.2f}{limited}"
        note = f" ({figure['note']})" if figure.get("note") else ""
        lines.append(
            f"  {figure['metric']:32} ours {ours}, {figure['model']} {figure['value']}, {figure['source']}{note}"
        )
    return "\n".join(lines)


def _spoken(name: str, score: Mapping[str, float]) -> str:
    scale = 1 if name in _NO_FRACTIONS else 100
    value, low, high = (score[key] * scale for key in ("value", "low", "high"))
    return f"{value:8.2f}  [{low:.2f}, {high:.2f}]"
