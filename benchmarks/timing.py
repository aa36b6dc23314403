# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What the benchmarks share: runs measured in turn, so that what disturbs the machine disturbs all; and tables."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import torch
from transformers.initialization import no_init_weights


Seconds = list[float]


def seconds_of(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(runs: Mapping[str, Callable[[], Any]], turns: int, warm_up: bool = True) -> dict[str, Seconds]:
    """Runs all of them in turn, `turns` times, each turn beginning with the next one."""
    if warm_up:
        for run in runs.values():
            run()
    names = list(runs)
    seconds: dict[str, Seconds] = {name: [] for name in names}
    for turn in range(turns):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(seconds_of(runs[name]))
    return seconds


def ratios(ours: Seconds, other: Seconds) -> list[float]:
    """How many times as fast ours is, turn by turn."""
    return [theirs / mine for mine, theirs in zip(ours, other, strict=True)]


def untrained(build: Callable[[], Any]) -> Any:
    """What `build` makes, with random weights, in seconds: models draw each number anew, which takes minutes."""
    with no_init_weights():
        model = build()
    noise = 0.02 * torch.randn(1_000_003)  # a prime length, so that no two rows of a matrix are alike
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            repeated = noise.repeat(-(-parameter.numel() // len(noise)))
            parameter.data.copy_(repeated[: parameter.numel()].view_as(parameter))
        else:
            parameter.data.fill_(0.0 if name.endswith("bias") else 1.0)
    return model.eval()


def print_heading(title: str, command: str, packages: tuple[str, ...] = ("torch", "transformers")) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    capabilities = torch.cpu.get_capabilities()
    names = [name for name in ("avx2", "avx512_f", "avx512_bf16", "amx_bf16") if capabilities.get(name)]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    print(f"\n## {title}\n")
    print(f"Machine: {os.cpu_count()} CPU cores ({', '.join(names)}), {memory:.0f} GB of memory. {versions}.\n")
    print(f"```bash\n{command}\n```\n", flush=True)


def print_table() -> None:
    print("| what | against | ours, s | other, s | times as fast (range) | target |")
    print("|---|---|---|---|---|---|")


def print_row(what: str, against: str, ours: Seconds, other: Seconds, target: float | None = None) -> None:
    """A line of the table: medians, and the median of the ratios within each turn."""
    each = ratios(ours, other)
    ratio = statistics.median(each)
    verdict = "" if target is None else f"{target}: {'met' if ratio >= target else 'missed'}"
    medians = f"{statistics.median(ours):.3g} | {statistics.median(other):.3g}"
    print(
        f"| {what} | {against} | {medians} | {ratio:.2f} ({min(each):.2f} to {max(each):.2f}) | {verdict} |",
        flush=True,
    )
