# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Build the tiny PandaGPT from nothing, phase by phase, and measure it.

```bash
pandagpt tiny-world build --output runs/tiny
pandagpt tiny-world build --output runs/tiny --size smoke
```

| folder | what |
|---|---|
| `vision` | ImageBind after pictures, videos and text were trained together |
| `imagebind` | all six encoders: the others trained against the frozen vision encoder |
| `language` | the LLaMA, trained on text alone |
| `base` | both in one PandaGPT, whose projector is untrained |
| `pictures`, `embeddings` | what stages 1 and 2 are trained on: pictures and nothing else |
| `stage_1`, `stage_2` | projector and LoRA, as `pandagpt train` leaves them |
| `pandagpt-tiny` | the result: one model in 16 bits, with its results and its card |
| `test`, `evaluation` | held-out individuals in all six modalities, and what the model answers about them |

A phase that was done to its end is skipped: a build that was stopped goes on when it is started again.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from transformers import GenerationConfig, LlamaForCausalLM

import evaluation.run
import pandagpt
import training.sft
from chat_data.sources import load_source
from hub_cards.cards import write_card
from hub_cards.facts import FACTS
from modeling_pandagpt import ImageBindModel, PandaGPTForConditionalGeneration
from training.embeddings import embed
from training.tiny_world.conversations import another_thing, join_questions, two_things
from training.tiny_world.files import read_rows, write_rows
from training.tiny_world.language import QUESTIONS
from training.tiny_world.models import pandagpt_config
from training.tiny_world.pretrain_imagebind import align_others, pretrain_vision
from training.tiny_world.pretrain_language import pretrain_language
from training.tiny_world.render import render_split
from training.tiny_world.table import (
    CHANCE,
    MODALITY_REPORT,
    RESULTS,
    RESULTS_IN_32_BITS,
    TWO_THINGS,
    write_table,
)
from training.tiny_world.world import MODALITIES, instances


CONTROLS = "controls.jsonl"

# Beside the folder of a phase that was done to its end.
COMPLETE = ".complete.json"

# The pair of media that the table has a column for, of one individual, and of two different ones.
SUMMED = ("image", "audio")

# What the card says of the model beside its figures.
ABOUT = (
    "It is tiny, and made from nothing: all that it knows is a toy world of eight kinds of things, small or large, "
    "slow, steady or fast, in four colours, drawn by formulas, and the few sentences in which that world is asked "
    "about. It shows on a laptop that a language model tuned on pictures alone understands sound, heat, depth and "
    "motion through ImageBind's shared space."
)


@dataclass(frozen=True)
class Size:
    """
    How much of everything.

    Args:
        individuals (`int`): seen in the contrastive training.
        vision_steps (`int`): of pictures and videos with text.
        other_steps (`dict[str, int]`): of each other modality with the pictures.
        language_steps (`int`): of text alone.
        stage_1_pictures (`int`), stage_2_pictures (`int`): of those stages, each of other individuals.
        stage_2_steps (`int`): of the visual instructions.
        tested (`int`): held-out individuals of the table.
        controlled (`int`): those of them that are asked about in the controls and in pairs, too.
    """

    individuals: int
    vision_steps: int
    other_steps: dict[str, int]
    language_steps: int
    stage_1_pictures: int
    stage_2_pictures: int
    stage_2_steps: int
    tested: int
    controlled: int


SIZES = {
    "smoke": Size(
        individuals=1152,
        vision_steps=90,
        other_steps={"audio": 25, "thermal": 65, "depth": 65, "imu": 25},
        language_steps=35,
        stage_1_pictures=384,
        stage_2_pictures=192,
        stage_2_steps=30,
        tested=48,
        controlled=16,
    ),
    "full": Size(
        individuals=14400,
        vision_steps=700,
        other_steps={"audio": 250, "thermal": 550, "depth": 600, "imu": 250},
        language_steps=450,
        stage_1_pictures=4800,
        stage_2_pictures=2400,
        stage_2_steps=350,
        tested=480,
        controlled=48,
    ),
}


class Build:
    """
    The phases of one build, in order.

    Args:
        output (`Path`):
            Folder of folders, one a phase.
        seed (`int`):
            Of the individuals that are trained on, of weights and of batches. The held-out ones are always the same.
        size (`Size`):
            How much of everything.
    """

    def __init__(self, output: Path, seed: int, size: Size):
        self.output = output
        self.seed = seed
        self.size = size

    def run(self) -> None:
        """Does what is not yet done, and prints the table."""
        size, seed, individuals = self.size, self.seed, partial(instances, "train", seed=self.seed)
        vision, imagebind, language, base = (
            self.output / name for name in ("vision", "imagebind", "language", "base")
        )
        everyone = list(individuals(size.individuals))
        self.phase("vision", lambda folder: pretrain_vision(everyone, size.vision_steps, seed, folder))
        self.phase("imagebind", lambda folder: align_others(everyone, size.other_steps, seed, vision, folder))
        self.phase("language", lambda folder: pretrain_language(size.language_steps, seed, folder))
        self.phase("base", lambda folder: assemble(imagebind, language, folder))
        self.phase("pictures", self.render_pictures)
        self.phase("embeddings", self.embed_pictures)
        self.phase("stage_1", lambda folder: self.train(folder, "stage_1"))
        self.phase("stage_2", lambda folder: self.train(folder, "stage_2", "--adapter", str(self.output / "stage_1")))
        self.phase("pandagpt-tiny", lambda folder: bundle(self.output / "stage_2" / "merged", folder))
        self.phase("test", self.render_test)
        self.phase("evaluation", self.evaluate)
        add_card(self.output)
        print((self.output / "evaluation" / "table.md").read_text(encoding="utf-8"))

    def phase(self, name: str, work: Callable[[Path], Any]) -> None:
        """Does one phase in a folder of its name, unless it was done before."""
        folder = self.output / name
        settings = {"seed": self.seed, **asdict(self.size)}
        marker = self.output / f"{name}{COMPLETE}"
        if marker.exists():
            if json.loads(marker.read_text(encoding="utf-8")) != settings:
                raise ValueError(f"{folder} was built with another seed or size: give another output folder")
            print(f"{name}: is there already", flush=True)
            return
        print(f"{name}: begins", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        work(folder)
        marker.write_text(json.dumps(settings) + "\n", encoding="utf-8")

    def render_pictures(self, folder: Path) -> None:
        # Other individuals than ImageBind was trained on: it knows those too well.
        stages = (
            ("stage_1", self.size.stage_1_pictures, ["description"]),
            ("stage_2", self.size.stage_2_pictures, QUESTIONS),
        )
        for world, (stage, pictures, questions) in enumerate(stages, start=1):
            path = render_split(
                "train",
                folder / stage,
                pictures,
                seed=1000 * world + self.seed,
                modalities=["image"],
                questions=questions,
                workers=os.cpu_count() or 1,
            )
            if stage == "stage_2":
                write_rows(path, join_questions(read_rows(path), np.random.default_rng(self.seed)))

    def embed_pictures(self, folder: Path) -> None:
        for stage in ("stage_1", "stage_2"):
            data = self.output / "pictures" / stage / "train.jsonl"
            embed(load_source({"path": str(data)}), self.output / "base", folder / stage, workers=0, batch_size=96)

    def train(self, folder: Path, stage: str, *options: str) -> None:
        steps = ["--max_steps", str(self.size.stage_2_steps)] if stage == "stage_2" else []
        training.sft.main(
            [
                *("--config", f"{stage}_tiny", "--model", str(self.output / "base")),
                *("--data", str(self.output / "embeddings" / stage), "--output_dir", str(folder)),
                *("--seed", str(self.seed), "--merge", str(stage == "stage_2"), *steps, *options),
            ]
        )

    def render_test(self, folder: Path) -> None:
        render = partial(render_split, "test", workers=os.cpu_count() or 1)
        together = [*MODALITIES, "+".join(SUMMED)]
        path = render(folder, self.size.tested, modalities=together, questions=[q for q in QUESTIONS if q in CHANCE])
        few = render(folder / "controls", self.size.controlled, questions=["kind", "description"])
        few.rename(few.with_name(CONTROLS))  # on the card it stands beside the results on `test.jsonl`
        rows = read_rows(path)
        kinds = [row for row in rows if row["question"] == "kind" and row["modality"] in MODALITIES]
        write_rows(path, [*rows, *another_thing(kinds, shown_first="image")])
        write_rows(folder / f"{TWO_THINGS}.jsonl", two_things(kinds, SUMMED))

    def evaluate(self, folder: Path) -> None:
        def run(model: Path, task: str, data: str, name: str, *options: str) -> None:
            test, output = self.output / "test" / data, folder / f"{name}.json"
            paths = ["--model", str(model), "--data", str(test), "--output", str(output)]
            evaluation.run.main(["--task", task, *paths, "--workers", "0", *options])

        bundled, merged = self.output / "pandagpt-tiny", self.output / "stage_2" / "merged"
        by = ("--by", "modality", "question")
        run(bundled, "open_questions", "test.jsonl", RESULTS, *by)
        run(merged, "open_questions", "test.jsonl", RESULTS_IN_32_BITS, *by)
        run(bundled, "open_questions", f"{TWO_THINGS}.jsonl", TWO_THINGS, "--by", "question")
        run(bundled, "modality_report", f"controls/{CONTROLS}", MODALITY_REPORT, "--untrained_projector", "true")
        write_table(folder)


def assemble(imagebind: Path, language: Path, output: Path) -> None:
    """
    Put an ImageBind and a LLaMA into one PandaGPT, whose projector is untrained.

    Args:
        imagebind (`Path`):
            Folder of the ImageBind.
        language (`Path`):
            Folder of the LLaMA and the processor.
        output (`Path`):
            Folder for the PandaGPT.
    """
    encoders = ImageBindModel.from_pretrained(imagebind)
    speaker = LlamaForCausalLM.from_pretrained(language)
    processor = pandagpt.PandaGPTProcessor.from_pretrained(language)
    model = PandaGPTForConditionalGeneration(pandagpt_config(encoders.config, speaker.config, processor))
    for modality in model.config.modalities:
        weights = encoders.get_modality_encoder(modality).state_dict()
        model.model.imagebind.get_modality_encoder(modality).load_state_dict(weights)
    model.model.language_model.load_state_dict(speaker.model.state_dict())
    tokenizer = processor.tokenizer
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, max_new_tokens=64
    )
    model.save_pretrained(output)
    processor.save_pretrained(output)


def add_card(output: Path) -> None:
    """
    Put the figures, the facts of the training and the card beside the model.

    Args:
        output (`Path`):
            Of a build, whose other phases are done.
    """
    folder = output / "pandagpt-tiny"
    (folder / "evaluation").mkdir(exist_ok=True)
    for name in (f"{RESULTS}.json", f"{TWO_THINGS}.json", f"{MODALITY_REPORT}.json", "table.md"):
        shutil.copy(output / "evaluation" / name, folder / "evaluation")
    facts = json.loads((output / "stage_2" / FACTS).read_text(encoding="utf-8"))
    (folder / FACTS).write_text(json.dumps(facts | {"about": ABOUT}, indent=2) + "\n", encoding="utf-8")
    write_card(folder, None)


def bundle(merged: Path, output: Path) -> None:
    """Write a merged model again, in 16 bits, without the code: `pandagpt publish` adds that for the Hub."""
    PandaGPTForConditionalGeneration.from_pretrained(merged, dtype=torch.bfloat16).save_pretrained(output)
    pandagpt.PandaGPTProcessor.from_pretrained(merged).save_pretrained(output)
    for code in output.glob("*.py"):
        code.unlink()


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def build(
    output: Annotated[Path, typer.Option(help="Folder of the build. Go on with a build by giving it again.")],
    seed: Annotated[int, typer.Option(min=0, help="Of individuals, weights and batches.")] = 0,
    size: Annotated[Literal["smoke", "full"], typer.Option(help="smoke: minutes, to see that all runs.")] = "full",
) -> None:
    """Build the tiny PandaGPT from nothing and measure it."""
    Build(output, seed, SIZES[size]).run()


def main(argv: list[str] | None = None) -> None:
    """`pandagpt tiny-world build`."""
    app(args=argv, prog_name="pandagpt tiny-world build")


if __name__ == "__main__":
    main()
