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
| `pandagpt-tiny` | the result: one model in 16 bits, with its results |
| `test`, `evaluation` | held-out individuals in all six modalities, and what the model answers about them |

A phase that was done to its end is skipped: a build that was stopped goes on when it is started again.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, groupby
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
from modeling_pandagpt import ImageBindModel, PandaGPTForConditionalGeneration
from training.embeddings import embed
from training.tiny_world.language import QUESTIONS
from training.tiny_world.models import pandagpt_config
from training.tiny_world.pretrain_imagebind import align_others, pretrain_vision
from training.tiny_world.pretrain_language import pretrain_language
from training.tiny_world.render import render_split
from training.tiny_world.table import CHANCE, write_table
from training.tiny_world.world import MODALITIES, instances


# Beside the folder of a phase that was done to its end.
COMPLETE = ".complete.json"

# The pair of media that the table has a column for, of one individual, and of two different ones.
SUMMED = ("image", "audio")
TWO_THINGS = "two_things.jsonl"


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
    "smoke": Size(1536, 100, {"audio": 40, "thermal": 60, "depth": 60, "imu": 40}, 60, 384, 192, 60, 48, 16),
    "full": Size(14400, 700, {"audio": 250, "thermal": 450, "depth": 450, "imu": 250}, 300, 4800, 2400, 400, 480, 48),
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
            join_questions(path, self.seed)

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
        render(folder, self.size.tested, modalities=together, questions=list(CHANCE))
        render(folder / "controls", self.size.controlled, questions=["kind", "description"])
        write_two_things(folder)

    def evaluate(self, folder: Path) -> None:
        def run(task: str, data: str, name: str, *options: str) -> None:
            model, output = str(self.output / "pandagpt-tiny"), str(folder / f"{name}.json")
            paths = ["--model", model, "--data", str(self.output / "test" / data), "--output", output]
            evaluation.run.main(["--task", task, *paths, "--workers", "0", *options])

        run("open_questions", "test.jsonl", "results", "--by", "modality", "question")
        run("open_questions", TWO_THINGS, "two_things")
        run("modality_report", "controls/test.jsonl", "modality_report", "--untrained_projector", "true")
        write_table(folder)
        # The model carries its figures along, without the many predictions behind them.
        carried = self.output / "pandagpt-tiny" / "evaluation"
        carried.mkdir(exist_ok=True)
        for name in ("results.json", "two_things.json", "modality_report.json", "table.md"):
            shutil.copy(folder / name, carried)


def join_questions(path: Path, seed: int) -> None:
    """
    Make conversations of 1 to 3 questions of the questions about each picture, in random order.

    Args:
        path (`Path`):
            File of rows, those about one picture one after the other. It is written anew.
        seed (`int`):
            Of order and lengths.
    """
    rng = np.random.default_rng(seed)
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    with path.open("w", encoding="utf-8") as file:
        for _, group in groupby(rows, key=lambda row: row["messages"][0]["content"][0]["path"]):
            about_one = list(group)
            about_one = [about_one[place] for place in rng.permutation(len(about_one))]
            while about_one:
                first, *more = about_one[: rng.integers(1, 4)]
                about_one = about_one[1 + len(more) :]
                for row in more:
                    row["messages"][0]["content"].pop(0)  # the picture stands before the first question alone
                    first["messages"] += row["messages"]
                file.write(json.dumps(first) + "\n")


def write_two_things(folder: Path) -> Path:
    """
    Ask what it is of pictures and sounds of different kinds of things in one slot; either kind is a right answer.

    Args:
        folder (`Path`):
            Of the held-out individuals, `test.jsonl`.

    Returns:
        `Path`: the file of conversations, `two_things.jsonl`.
    """
    with open(folder / "test.jsonl", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["question"] == "kind"]
    pictures, sounds = ([row for row in rows if row["modality"] == modality] for modality in SUMMED)
    path = folder / TWO_THINGS
    with path.open("w", encoding="utf-8") as file:
        for place, picture in enumerate(pictures):
            following = chain(sounds[place:], sounds[:place])
            sound = next(row for row in following if row["kind"] != picture["kind"])
            (seen, *_), (heard, *_) = (row["messages"][0]["content"] for row in (picture, sound))
            picture["messages"][0]["content"] = [seen, heard, {"type": "text", "text": "What is it?"}]
            picture["answers"] = [row["messages"][1]["content"][0]["text"] for row in (picture, sound)]
            file.write(json.dumps(picture | {"modality": "+".join(SUMMED)}) + "\n")
    return path


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
