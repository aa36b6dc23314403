# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""How near does training come to the speed of the bare language model, and what does each way of reading data cost?

```bash
python -m benchmarks.training >> benchmarks/RESULTS.md   # some five minutes on two CPU cores
python -m benchmarks.training --small                     # a trial of less than one
```

(Run as a file it would find itself where it looks for the package `training`.)

Stage 2 as `pandagpt train --config stage_2_7b` runs it, in miniature:

- *limit*: a plain `LlamaForCausalLM` with the same LoRA, without any trainer: forward, backward, clipping and AdamW on
  the same batches of tokens, which lie ready in memory.
- *embeddings*: `pandagpt train` on what `pandagpt embed` wrote, in batches of similar length, as the recipe has it.
- *media*: the same on the pictures themselves.
- *embeddings, random batches*: without grouping by length: as many steps, of more padding.

All of them run in turn in one process, several times over, so that what disturbs the machine disturbs all; of the
ratios within each turn the median counts. A run is timed from its first step to the end of its last: starting it is
not in it, reading data is. There is one thread to compute with and one worker that reads, as a GPU and its workers.

The proportions are those of PandaGPT-7B: the output layer has 1 to 2 % of the language model's parameters, the encoder
of pictures 10 % (0.63 of 6.6 billion), pictures are JPEG files of 640 x 480 pixels. A batch has 16 rows, which is what
the original's 8 GPUs of 2 rows each go through in step: the longest row holds up all.

Lengths follow the original's stage 2, most of which is LLaVA's 158k instructions: 58k conversations, 23k descriptions
and 77k answers with reasoning. Their files have 126, 20.5 and 79.6 MB. Without the JSON around the text, and with 4.5
letters to a token, that is about 350, 150 and 180 tokens a row, cut to 512 by the recipe. How they spread about their
means is assumed (see `KINDS`), as the data themselves are not part of this repository.
"""

import io
import json
import os
import statistics
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

import datasets
import numpy as np
import torch
import typer
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from demo.untrained import WORDS, build_processor
from modeling_pandagpt import PandaGPTConfig, PandaGPTForConditionalGeneration
from modeling_pandagpt.configuration_pandagpt import MEDIA_TYPES
from training.data import load_source
from training.embeddings import embed
from training.sft import parse_arguments, train


BATCH = 16
PICTURES = 64
TURNS = 5

# Share in per cent, fewest and most turns, and the mean tokens of a question and an answer. Both are log-normal.
KINDS = {"conversation": (37, 2, 7, 12, 55), "description": (14, 1, 1, 14, 125), "reasoning": (49, 1, 1, 20, 150)}
SPREAD = 0.35  # standard deviation of the logarithm


class Size(NamedTuple):
    """The language model's and the encoder's width and depth, and how many batches a run has."""

    width: int
    layers: int
    encoder_width: int
    encoder_layers: int
    steps: int


FULL, SMALL = Size(256, 4, 112, 2, 8), Size(64, 2, 32, 1, 4)


class Run(NamedTuple):
    """How long the steps of a run took, and how many tokens with and without padding they had."""

    seconds: float
    steps: int
    tokens: int
    places: int


def write_base(folder: Path, size: Size) -> LlamaConfig:
    """Writes an untrained PandaGPT; returns the configuration of its language model."""
    processor = build_processor()
    text_config = LlamaConfig(
        vocab_size=processor.tokenizer.vocab_size,
        hidden_size=size.width,
        intermediate_size=size.width * 11 // 4,  # 11008 of 4096 in LLaMA-7B
        num_hidden_layers=size.layers,
        num_attention_heads=size.width // 32,
    )
    encoder = {
        "hidden_size": size.encoder_width,
        "num_hidden_layers": size.encoder_layers,
        "num_attention_heads": 4,
    }
    config = PandaGPTConfig(
        imagebind_config={"vision_config": encoder, "modalities": ["vision"]},
        text_config=text_config,
        **{f"{medium}_token_id": getattr(processor, f"{medium}_token_id") for medium in MEDIA_TYPES},
    )
    torch.manual_seed(0)
    PandaGPTForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return text_config


def say(rng: np.random.Generator, mean: float) -> str:
    """Words of the tokenizer, each of which is a token."""
    number = rng.lognormal(np.log(mean) - SPREAD**2 / 2, SPREAD)
    return " ".join(rng.choice(WORDS, max(1, round(number))))


def write_data(folder: Path, rows: int) -> Path:
    """Writes conversations of the original's form about `PICTURES` pictures."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    shares = np.array([kind[0] for kind in KINDS.values()])
    for index in range(PICTURES):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(folder / "images" / f"{index}.jpg", quality=90)
    records = []
    for index in range(rows):
        kind = rng.choice(list(KINDS), p=shares / shares.sum())
        _, fewest, most, question, answer = KINDS[kind]
        turns = []
        for _ in range(rng.integers(fewest, most + 1)):
            turns.append({"from": "human", "value": say(rng, question)})
            turns.append({"from": "gpt", "value": say(rng, answer)})
        records.append({"image_name": f"{index % PICTURES}.jpg", "conversation": turns})
    path = folder / "data.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def prepare(base: Path, data: Path, output: Path, strategy: str, steps: int, *more: Any) -> tuple[Any, Any]:
    """The arguments of a run of `pandagpt train`."""
    given: list[Any] = ["--config", "stage_2_7b", "--model", base, "--data", data, "--output_dir", output]
    given += ["--use_cpu", "true", "--bf16", "false", "--dtype", "float32", "--activation_checkpointing", "false"]
    given += ["--per_device_train_batch_size", BATCH, "--global_batch_size", BATCH, "--max_steps", steps]
    given += ["--train_sampling_strategy", strategy, "--dataloader_num_workers", 1, "--save_strategy", "no"]
    given += ["--logging_steps", steps, "--disable_tqdm", "true", *more]
    arguments, training_arguments = parse_arguments([str(argument) for argument in given])
    arguments.adapter = None  # the recipe goes on from stage 1, which there is none of
    return arguments, training_arguments


def run_training(base: Path, data: Path, output: Path, strategy: str, steps: int) -> Run:
    with redirect_stdout(io.StringIO()):
        trainer = train(*prepare(base, data, output, strategy, steps))
    (entry,) = [entry for entry in trainer.state.log_history if "tokens_per_second" in entry]
    tokens = int(entry["num_tokens"])
    places = round(tokens / (1 - entry["padding_share"]))
    return Run(tokens / entry["tokens_per_second"], trainer.state.global_step, tokens, places)


def record_batches(base: Path, data: Path, output: Path, steps: int) -> tuple[list[dict[str, torch.Tensor]], Any]:
    """Runs `pandagpt train` once; returns what the language model was given, and the run's settings."""
    batches = []

    def record(module: torch.nn.Module, args: tuple, batch: dict[str, Any]) -> None:
        batches.append(text_of(batch, module.config.text_config.vocab_size))

    with redirect_stdout(io.StringIO()):
        trainer = train(*prepare(base, data, output, "group_by_length", steps, "--dry_run", "true"))
        trainer.model.register_forward_pre_hook(record, with_kwargs=True)
        trainer.train()
    return batches, trainer.args


def run_limit(text_config: LlamaConfig, batches: list[dict[str, torch.Tensor]], settings: Any) -> Run:
    """Trains the bare language model on batches of `pandagpt train`; `settings` are that run's."""
    torch.manual_seed(0)
    lora = LoraConfig(task_type="CAUSAL_LM", r=32, lora_alpha=32, lora_dropout=0.1, target_modules=r".*\.[qkvo]_proj")
    model = get_peft_model(LlamaForCausalLM(text_config), lora).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    betas = (settings.adam_beta1, settings.adam_beta2)
    optimizer = torch.optim.AdamW(trained, settings.learning_rate, betas, settings.adam_epsilon, settings.weight_decay)
    tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
    start = time.perf_counter()
    for batch in batches:
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
    seconds = time.perf_counter() - start
    return Run(seconds, len(batches), tokens, sum(batch["input_ids"].numel() for batch in batches))


def text_of(batch: dict[str, torch.Tensor], vocab_size: int) -> dict[str, torch.Tensor]:
    """What of a batch the bare language model takes; placeholders become id 0, as PandaGPT looks them up."""
    text = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
    return text | {"input_ids": text["input_ids"].masked_fill(text["input_ids"] >= vocab_size, 0)}


def tokens_per_second(run: Run) -> float:
    return run.tokens / run.seconds


def ratios(runs: dict[str, list[Run]], name: str, other: str) -> list[float]:
    """How many times as fast one run was as another, turn by turn."""
    return [tokens_per_second(a) / tokens_per_second(b) for a, b in zip(runs[name], runs[other], strict=True)]


def in_words(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def verdict(values: list[float], target: float) -> str:
    reached = "met" if statistics.median(values) >= target else "missed"
    return f"{in_words(values)}; target {target}: {reached}."


def print_section(runs: dict[str, list[Run]], size: Size, command: str) -> None:
    """Prints what stands in RESULTS.md."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl", "peft"))
    print("## Speed of training (`training.py`)\n")
    print(f"Machine: {os.cpu_count()} CPU cores, {memory:.0f} GB of memory. {versions}.\n")
    print(f"```bash\n{command}\n```\n")
    print(f"Language model: {size.layers} layers of width {size.width}; {size.steps} steps of {BATCH} rows a run.")
    print(f"Medians of {len(runs['limit'])} turns; in brackets the range.\n")
    print("| run | steps per second | tokens per second | padding | speed / the limit's |")
    print("|---|---|---|---|---|")
    for name, each in runs.items():
        steps = statistics.median(run.steps / run.seconds for run in each)
        tokens = statistics.median(map(tokens_per_second, each))
        padding = 1 - each[0].tokens / each[0].places
        print(f"| {name} | {steps:.3f} | {tokens:.0f} | {padding:.1%} | {in_words(ratios(runs, name, 'limit'))} |")
    grouping = ratios(runs, "embeddings", "embeddings, random batches")
    print(f"\n- Embeddings against the limit: {verdict(ratios(runs, 'embeddings', 'limit'), 0.95)}")
    print(f"- Batches of similar length against random ones: {verdict(grouping, 1.4)}")


def main(
    small: Annotated[bool, typer.Option("--small", help="A trial with a smaller model and fewer rows.")] = False,
    turns: Annotated[int, typer.Option(min=1, help="How often everything is run.")] = TURNS,
) -> None:
    """Train in every way in turn, and print a section of RESULTS.md."""
    logging.set_verbosity_error()
    datasets.disable_progress_bars()
    torch.set_num_threads(1)
    size = SMALL if small else FULL
    with TemporaryDirectory() as name:
        folder = Path(name)
        text_config = write_base(folder / "base", size)
        base, output, embeddings = folder / "base", folder / "run", folder / "embeddings"
        data = write_data(folder / "data", rows=size.steps * 4 * BATCH)
        embed(load_source({"path": str(data)}), base, embeddings, num_shards=1, workers=1, device="cpu")
        batches, settings = record_batches(base, embeddings, output, size.steps)
        ways: dict[str, Callable[[], Run]] = {
            "limit": lambda: run_limit(text_config, batches, settings),
            "embeddings": lambda: run_training(base, embeddings, output, "group_by_length", size.steps),
            "media": lambda: run_training(base, data, output, "group_by_length", size.steps),
            "embeddings, random batches": lambda: run_training(base, embeddings, output, "random", size.steps),
        }
        runs: dict[str, list[Run]] = {way: [] for way in ways}
        for _ in range(turns):
            for way, run in ways.items():
                runs[way].append(run())
    for one in (*runs["limit"], *runs["embeddings"], *runs["media"]):
        if one[1:] != runs["limit"][0][1:]:
            raise SystemExit(f"the runs are not on the same batches: {one} and {runs['limit'][0]}")
    print_section(runs, size, f"python -m benchmarks.training{' --small' * small} --turns {turns}")


if __name__ == "__main__":
    typer.run(main)
