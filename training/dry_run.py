# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What `pandagpt train --dry_run` shows: the text with its trained part marked, what is cut, what is trained."""

import re
from collections import Counter
from itertools import islice
from typing import Any

from torch import nn

from chat_data.sources import AnyDataset
from training.collator import BROKEN, PandaGPTDataCollator


# So many rows tell the share of truncated ones well enough.
MOST_ROWS_DESCRIBED = 1000


def trainable_by_module(model: nn.Module) -> Counter[str]:
    """Numbers of trained parameters by module, the layers of a stack taken together as `*`."""
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            module = name.removeprefix("base_model.model.").rpartition(".")[0]
            counts[re.sub(r"\.\d+(?=\.|$)", ".*", module)] += getattr(parameter, "ds_numel", parameter.numel())
    return counts


def is_truncated(collator: PandaGPTDataCollator, row: dict[str, Any]) -> bool:
    """Whether `max_length` cuts a row; a broken one, which the collator reports, is not counted."""
    try:
        return collator.tokenize(row).is_truncated
    except BROKEN:
        return False


def describe(model: nn.Module, collator: PandaGPTDataCollator, dataset: AnyDataset, batch_size: int) -> str:
    """What `--dry_run` shows: one batch with its trained part marked, how many rows are cut, what is trained."""
    rows = list(islice(dataset, MOST_ROWS_DESCRIBED))
    lines = [collator.describe(rows[:batch_size])]
    truncated = sum(is_truncated(collator, row) for row in rows)
    lines.append(f"Truncated: {truncated} of the first {len(rows)} rows ({truncated / len(rows):.1%})")
    counts = trainable_by_module(model)
    total = sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in model.parameters())
    lines.append(f"Trained: {counts.total():,} of {total:,} parameters ({counts.total() / total:.2%})")
    lines += [f"  {name}: {count:,}" for name, count in counts.items()]
    return "\n".join(lines)
