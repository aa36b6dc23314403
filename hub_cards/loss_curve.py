# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The picture of a run's loss. matplotlib draws it; where that is not installed there is no picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers.utils import logging
from transformers.utils.import_utils import is_matplotlib_available


logger = logging.get_logger(__name__)

FEWEST_POINTS = 2


def draw_loss_curve(history: Sequence[Mapping[str, Any]], file: Path) -> bool:
    """
    Draws the loss of training and of validation by step.

    Args:
        history (`list[dict]`):
            The trainer's `log_history`: `step`, and `loss` or `eval_loss`.
        file (`Path`):
            The PNG to write.

    Returns:
        `bool`: whether there was something to draw and something to draw it with.
    """
    curves = {
        label: [(entry["step"], entry[name]) for entry in history if name in entry and "step" in entry]
        for label, name in (("training", "loss"), ("validation", "eval_loss"))
    }
    if max(map(len, curves.values())) < FEWEST_POINTS:
        return False
    if not is_matplotlib_available():
        logger.warning("The card has no picture of the loss: it needs matplotlib.")
        return False
    # Without pyplot: no window, no settings of the process are touched.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="step", ylabel="loss")
    for label, points in curves.items():
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker="o" if len(points) < 20 else None, markersize=3)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=110, metadata={"Software": None})
    return True
