# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Render the tiny world as ordinary files and chat data.

```bash
pandagpt tiny-world render --split test --output DIR --size 480
```

writes a folder `DIR/media/<id>/` for each individual, with `picture.png`, `video.mp4`, `sound.wav`, `thermal.png`,
`depth.npy` and `motion.npy` (or those that were asked for), and `DIR/<split>.jsonl`: every question about every medium
of every individual, as chat data with one exact answer, and what the individual is in columns of its own.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from tqdm import tqdm

from training.tiny_world.files import NAMES, RENDERERS, write, write_rows
from training.tiny_world.language import QUESTIONS, VISUAL, ask, questions_for
from training.tiny_world.world import MODALITIES, Instance, instances


__all__ = ["RENDERERS", "main", "render_split"]

Split = Literal["train", "validation", "test"]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def render_split(
    split: str,
    output: Path,
    size: int,
    seed: int = 0,
    modalities: Sequence[str] = MODALITIES,
    questions: Sequence[str] = QUESTIONS,
    resolution: int = 64,
    workers: int = 1,
) -> Path:
    """
    Renders a split of the world into a folder; the same arguments always give the same files.

    Args:
        split (`str`): `"train"`, `"validation"` or `"test"`, whose individuals are all different.
        output (`Path`): the folder. Several splits can share one.
        size (`int`): how many individuals.
        seed (`int`, *optional*, defaults to 0): of the world.
        modalities (`list[str]`, *optional*): which media to ask about, of `world.MODALITIES`; several joined by `+`
            (`"image+audio"`) show the same individual together in one question.
        questions (`list[str]`, *optional*): which of `language.QUESTIONS`. Colour is asked only where it can be seen.
        resolution (`int`, *optional*, defaults to 64): side of pictures in pixels.
        workers (`int`, *optional*, defaults to 1): processes.

    Returns:
        `Path`: the file of rows, `<split>.jsonl`.

    Raises:
        `ValueError`: if a split, medium or question is unknown, or a number makes no sense.
    """
    for modality in modalities:
        _check_known("modality", modality.split("+"), MODALITIES)
    _check_known("question", questions, QUESTIONS)
    if min(size, workers) < 1 or resolution < 16 or resolution % 2:
        raise ValueError(
            "size and workers must be at least 1 and resolution even and at least 16, "
            f"got {size}, {workers} and {resolution}"
        )
    named = [(f"{split}-{seed}-{number:05d}", one) for number, one in enumerate(instances(split, size, seed))]
    media = sorted({medium for modality in modalities for medium in modality.split("+")}, key=MODALITIES.index)
    work = partial(_write_media, folder=output / "media", media=media, resolution=resolution)
    progress = partial(tqdm, total=size, desc=f"Rendering {split}", unit="thing")
    if workers == 1:
        for item in progress(named):
            work(item)
    else:
        with ProcessPoolExecutor(workers) as pool:
            for _ in progress(pool.map(work, named, chunksize=16)):
                pass
    rows = (row for name, instance in named for row in _rows(name, instance, modalities, questions))
    return write_rows(output / f"{split}.jsonl", rows)


def _check_known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"unknown {what} {unknown[0]!r}; known are {', '.join(known)}")


def _write_media(named: tuple[str, Instance], folder: Path, media: Sequence[str], resolution: int) -> None:
    name, instance = named
    (folder / name).mkdir(parents=True, exist_ok=True)
    for medium in media:
        write(instance, medium, folder / name / NAMES[medium], resolution)


def _rows(
    name: str, instance: Instance, modalities: Sequence[str], questions: Sequence[str]
) -> Iterator[dict[str, Any]]:
    rng = instance.rng("text")
    for modality in modalities:
        media = modality.split("+")
        # Together, media are asked what all of them can answer.
        sense = next((medium for medium in media if medium not in VISUAL), media[0])
        blocks = [{"type": medium, "path": f"media/{name}/{NAMES[medium]}"} for medium in media]
        for question in questions:
            if question not in questions_for(sense):
                continue
            yield {
                "id": f"{name}-{modality}-{question}",
                "messages": ask(instance, rng, question, sense).messages(*blocks),
                "modality": modality,
                "question": question,
                "kind": instance.kind,
                "size": instance.size,
                "speed": instance.speed,
                "colour": instance.colour,
            }


@app.command()
def render(
    split: Annotated[Split, typer.Option(help="Individuals to draw; those of different splits are all different.")],
    output: Annotated[Path, typer.Option(help="Folder to write to; several splits can share one.")],
    size: Annotated[int, typer.Option(min=1, help="How many individuals.")] = 480,
    seed: Annotated[int, typer.Option(min=0, help="Of the world: another number, other individuals.")] = 0,
    modalities: Annotated[
        str, typer.Option(help="Media to ask about, with commas between them; image+audio shows both together.")
    ] = ",".join(MODALITIES),
    questions: Annotated[str, typer.Option(help="Questions to ask, with commas between them.")] = ",".join(QUESTIONS),
    resolution: Annotated[int, typer.Option(min=16, help="Side of pictures and videos in pixels.")] = 64,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Render the tiny world as ordinary files and chat data."""
    asked = modalities.split(","), questions.split(",")
    try:
        path = render_split(split, output, size, seed, *asked, resolution, workers)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"{path}: {sum(1 for _ in path.open(encoding='utf-8'))} conversations about {size} individuals")


def main(argv: list[str] | None = None) -> None:
    """`pandagpt tiny-world render`."""
    app(args=argv, prog_name="pandagpt tiny-world render")


if __name__ == "__main__":
    main()
