# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What the benchmarks share: two things measured in turn, so that what disturbs the machine disturbs both."""

import os
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple


class Pair(NamedTuple):
    """Seconds of ours and of what it is compared with, turn by turn."""

    ours: list[float]
    other: list[float]

    @property
    def ratios(self) -> list[float]:
        """How many times as fast ours is, turn by turn."""
        return [other / ours for ours, other in zip(self.ours, self.other, strict=True)]


def seconds_of(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(ours: Callable[[], Any], other: Callable[[], Any], turns: int, warm_up: bool = True) -> Pair:
    """Runs both in turn, `turns` times, the first of each turn alternating."""
    if warm_up:
        ours(), other()
    pair = Pair([], [])
    for turn in range(turns):
        for is_ours in (turn % 2 == 0, turn % 2 == 1):
            (pair.ours if is_ours else pair.other).append(seconds_of(ours if is_ours else other))
    return pair


def print_heading(title: str, command: str, packages: tuple[str, ...] = ("torch", "transformers")) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    print(f"\n## {title}\n")
    print(f"Machine: {os.cpu_count()} CPU cores, {memory:.0f} GB of memory. {versions}.\n")
    print(f"```bash\n{command}\n```\n")


def print_table() -> None:
    print("| what | against | ours, s | other, s | times as fast (range) | target |")
    print("|---|---|---|---|---|---|")


def print_row(what: str, against: str, pair: Pair, target: float | None = None) -> None:
    ratio = statistics.median(pair.ratios)
    verdict = "" if target is None else f"{target}: {'met' if ratio >= target else 'missed'}"
    medians = f"{statistics.median(pair.ours):.3f} | {statistics.median(pair.other):.3f}"
    spread = f"{min(pair.ratios):.2f} to {max(pair.ratios):.2f}"
    print(f"| {what} | {against} | {medians} | {ratio:.2f} ({spread}) | {verdict} |", flush=True)
