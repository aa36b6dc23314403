# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The optimiser of both pretrainings: Muon for the layers' matrices, AdamW for everything else.

Muon (Jordan and others, 2024) makes the update of a matrix orthogonal. From nothing it learns pictures here in a
fraction of AdamW's steps.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer
from transformers import Trainer, TrainingArguments


class MuonWithAdamW(Optimizer):
    """
    Args:
        named_parameters (`Iterable[tuple[str, nn.Parameter]]`):
            What is trained.
        lr (`float`):
            AdamW's learning rate.
        muon_lr (`float`):
            Muon's.
        weight_decay (`float`):
            Of both.
    """

    def __init__(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]], lr: float, muon_lr: float, weight_decay: float
    ):
        trained = [(name, parameter) for name, parameter in named_parameters if parameter.requires_grad]
        matrices = [parameter for name, parameter in trained if ".layers." in name and parameter.ndim == 2]
        others = [parameter for name, parameter in trained if not (".layers." in name and parameter.ndim == 2)]
        self.parts: list[Optimizer] = [
            Muon(matrices, lr=muon_lr, weight_decay=weight_decay),
            AdamW(others, lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay),
        ]
        super().__init__([{"params": matrices, "lr": muon_lr}, {"params": others, "lr": lr}], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        # The schedule moves this object's rates; the parts are out of its reach.
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.param_groups[0]["lr"] = group["lr"]
            part.step()


def pretraining_arguments(
    output: Path, steps: int, batch_size: int, learning_rate: float, seed: int
) -> TrainingArguments:
    """What the phases that train from nothing have in common."""
    return TrainingArguments(
        output_dir=str(output),
        max_steps=steps,
        per_device_train_batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=0.05,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,  # of all
        seed=seed,
        use_cpu=True,
        logging_steps=50,
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
    )


class MuonTrainer(Trainer):
    """The library's Trainer with [`MuonWithAdamW`]: `learning_rate` is AdamW's, Muon's is `muon_lr`."""

    model: nn.Module

    def __init__(self, *args: Any, muon_lr: float, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.muon_lr = muon_lr

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        if self.optimizer is None:
            parameters = (self.model if model is None else model).named_parameters()
            self.optimizer = MuonWithAdamW(parameters, self.args.learning_rate, self.muon_lr, self.args.weight_decay)
        return self.optimizer
