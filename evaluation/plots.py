# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The modality report's plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def plot(report: Mapping[str, Any], output: Path) -> list[Path]:
    """
    Draw a modality report.

    Args:
        report (`Mapping`):
            What stands in results.json.
        output (`Path`):
            That file; the plots are put beside it.

    Returns:
        `list[Path]`: the pictures: accuracy by modality, and how often one modality finds another.
    """
    accuracy = output.with_name(f"{output.stem}_accuracy.png")
    _save(_accuracy(report["groups"]), accuracy)
    matrix = report["retrieval"]
    if len(matrix["modalities"]) < 2:
        return [accuracy]
    retrieval = output.with_name(f"{output.stem}_retrieval.png")
    _save(_heat_map(matrix), retrieval)
    return [accuracy, retrieval]


def _accuracy(groups: Sequence[Mapping[str, Any]]) -> Figure:
    """Bars with their intervals; a control stands pale before what it belongs to."""
    by_modality: dict[str, dict[str, Mapping[str, float]]] = {}
    for group in groups:
        score = group["scores"]["exact_match"]
        by_modality.setdefault(group["by"]["modality"], {}).setdefault(group["by"]["control"], score)
    names = list(by_modality)
    figure = Figure(figsize=(max(6.0, 0.5 * len(names) + 2), 4), layout="constrained")
    axes = figure.add_subplot()
    for control, color, width in (("none", "tab:blue", 0.8), ("shuffled", "0.8", 0.4), ("untrained", "0.55", 0.2)):
        places = [place for place, name in enumerate(names) if control in by_modality[name]]
        if not places:
            continue
        scores = [by_modality[names[place]][control] for place in places]
        values = np.array([score["value"] for score in scores])
        errors = [values - [s["low"] for s in scores], np.array([s["high"] for s in scores]) - values]
        label = "answers" if control == "none" else control
        axes.bar(places, values, width, color=color, label=label, yerr=np.clip(errors, 0, None), capsize=2)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_ylim(0, 1)
    axes.set_ylabel("exact match")
    axes.legend()
    return figure


def _heat_map(matrix: Mapping[str, Any]) -> Figure:
    names = matrix["modalities"]
    values = np.array([[np.nan if value is None else value for value in row] for row in matrix["recall_at_1"]])
    figure = Figure(figsize=(1.2 + 0.7 * len(names), 1 + 0.7 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(values, vmin=0, vmax=1, cmap="viridis")
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            color = "white" if value < 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("looked for")
    axes.set_ylabel("query")
    axes.set_title("recall at 1")
    return figure


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
