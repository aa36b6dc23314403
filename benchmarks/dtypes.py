# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Which type of numbers suits the encoders, and which the language model, on a CPU?

```bash
python -m benchmarks.dtypes            # two minutes on two CPU cores
python -m benchmarks.dtypes --small    # a trial
```

An encoder multiplies large matrices, so arithmetic decides; a language model that writes token after token reads all
its weights for each, so memory decides. Both are timed with random weights in each type: on this processor, and, where
it multiplies bfloat16, once more with that forbidden to oneDNN (`ONEDNN_MAX_CPU_ISA`), as on an older one.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated, Any

import torch
import typer
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.timing import Seconds, measure, print_heading, ratios, untrained
from modeling_pandagpt import ImageBindConfig, ImageBindModel
from pandagpt import multiplies_bfloat16


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Layers of both, the encoder's width, the language model's.
FULL, SMALL = (4, 1280, 2048), (1, 160, 128)
OLDER = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}


def time_of_each(size: tuple[int, int, int], turns: int) -> dict[str, dict[str, Seconds]]:
    """Seconds by task and type."""
    layers, encoder_width, width = size
    encoder = {"num_hidden_layers": layers, "hidden_size": encoder_width, "intermediate_size": 4 * encoder_width}
    config = ImageBindConfig(modalities=["vision"], vision_config={**encoder, "num_attention_heads": 2})
    text_config = LlamaConfig(
        hidden_size=width, intermediate_size=11 * width // 4, num_hidden_layers=layers, num_attention_heads=width // 64
    )
    tasks: dict[str, dict[str, Callable[[], Any]]] = {}
    for name, dtype in DTYPES.items():
        imagebind = untrained(lambda: ImageBindModel(config)).to(dtype)
        llama = untrained(lambda: LlamaForCausalLM(text_config)).to(dtype)
        pixels, ids = torch.randn(1, 3, 224, 224, dtype=dtype), torch.ones(1, 64, dtype=torch.long)
        cache = llama(ids).past_key_values

        def step(llama: Any = llama, cache: Any = cache, ids: torch.Tensor = ids) -> None:
            llama(ids[:, :1], past_key_values=cache)
            cache.crop(-1)

        tasks.setdefault("encode a picture", {})[name] = lambda one=imagebind, given=pixels: one.encode(
            "vision", given
        )
        tasks.setdefault("read a prompt of 64 tokens", {})[name] = lambda one=llama, given=ids: one(given)
        tasks.setdefault("write a token", {})[name] = step
    return {task: measure(runs, turns) for task, runs in tasks.items()}


def main(
    turns: Annotated[int, typer.Option(min=1)] = 9,
    small: Annotated[bool, typer.Option("--small", help="A trial with smaller models.")] = False,
    row: Annotated[str, typer.Option(hidden=True, help="Print the table's lines alone, for this processor.")] = "",
) -> None:
    """Print a section of RESULTS.md."""
    if row:
        with torch.inference_mode():
            for task, seconds in time_of_each(SMALL if small else FULL, turns).items():
                faster = [f"{statistics.median(ratios(each, seconds['float32'])):.2f}" for each in seconds.values()][
                    1:
                ]
                print(f"| {row} | {task} | {statistics.median(seconds['float32']):.3g} | {' | '.join(faster)} |")
        return
    command = f"python -m benchmarks.dtypes --turns {turns}{' --small' * small}"
    print_heading("Types of numbers on a CPU (`dtypes.py`)", command)
    print("| processor | task | float32, s | bfloat16, times as fast | float16, times as fast |")
    print("|---|---|---|---|---|", flush=True)
    processors: dict[str, dict[str, str]] = {"this one": {}}
    if multiplies_bfloat16():
        processors["without AVX512-BF16 and AMX"] = OLDER
    for name, environment in processors.items():
        again = [sys.executable, "-m", "benchmarks.dtypes", "--turns", str(turns), "--row", name, *["--small"] * small]
        subprocess.run(again, env=os.environ | environment, check=True)


if __name__ == "__main__":
    typer.run(main)
