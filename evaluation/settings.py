# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What a run of evaluation is asked to do: a recipe (YAML) and the command line, which overrides it."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml
from transformers import HfArgumentParser


RECIPES = Path(__file__).parent / "recipes"

TASK_NAMES = (
    "zero_shot_classification",
    "retrieval",
    "captioning",
    "multiple_choice",
    "yes_no",
    "open_questions",
    "modality_report",
)

# What changes neither an answer nor a score: a run may go on with others.
_WITHOUT_EFFECT = ("output", "workers", "resamples", "published", "title")


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass
class Settings:
    """
    A run's settings. Those of the first part are options of the command, too; the rest stand in recipes alone.

    Args:
        columns (`dict`, *optional*): which column of the data holds what: media by their kind (`image`, `audio`, …),
            `question`, `options` (a column of lists, or a list of columns), `answer`, `label`, `text` (a column or
            a list of columns), `id`, `sample`, and any further name that `prompt` uses. Without it the columns are
            taken by these names, and conversations by `messages`.
        where (`dict`, *optional*): keeps the rows whose columns have these values.
        prompt (`list[str]`, *optional*): lines of the question. `{name}` stands for what `columns` name, `{options}`
            for the options with their letters; a line with an empty value is left out.
        answer_is (`str`, *optional*): what the answer of a multiple choice question is: `"index"`, `"letter"` or
            `"text"`. By default a number is an index, one letter is a letter, and all else is the option's text.
        classes (`list[str]` or `str`, *optional*): names of the classes, or a file with one a line. By default those
            of the data set.
        generation (`dict`, *optional*): options of `generate`; greedy by default.
        together (`dict[str, list[str]]`, *optional*): for each score's name the columns in which the rows agree that
            must all be answered right. Of yes and no what says neither is then wrong, in `accuracy` too.
        mme (`dict[str, str]`, *optional*): the columns `image` and `category`, to score yes and no as MME does.
        tokenizer (`str`, *optional*, defaults to `"ptb"`): of BLEU, ROUGE-L and CIDEr: `"ptb"`, `"stanford"` (Java) or
            `"whitespace"`.
        published (`list[dict]`, *optional*): figures to compare with: `metric`, `value`, `scale` (100 by default),
            `model`, `source`, `note`.
        title (`str`, *optional*): the benchmark's name.
    """

    task: Literal[TASK_NAMES] | None = _option(None, "What is measured.")  # type: ignore[valid-type]
    model: str | None = _option(None, "Hub id or folder of a PandaGPT, of an adapter, or of an ImageBind.")
    revision: str | None = _option(None, "Branch, tag or commit of the model on the Hub.")
    data: str | None = _option(None, "Hub id, folder or file (json, jsonl, parquet) of the data.")
    name: str | None = _option(None, "Configuration of a data set of several.")
    split: str | None = _option(None, "Split; train by default.")
    data_revision: str | None = _option(None, "Branch, tag or commit of the data set on the Hub.")
    images: str | None = _option(None, "Folder that relative paths of media begin at.")
    output: str = _option("results.json", "Where the scores go; predictions and plots are put beside it.")
    limit: int | None = _option(None, "Take so many rows.")
    by: list[str] = field(default_factory=list, metadata={"help": "Columns that divide the rows into groups."})
    batch_size: int = _option(64, "Questions that are answered, or pictures that are encoded, together.")
    max_new_tokens: int = _option(64, "Most tokens of an answer.")
    choose_by: Literal["letter", "likelihood"] = _option(
        "letter", "How an option is chosen: by what is answered, or by which option is likeliest."
    )
    templates: str = _option("photo", "Prompts for the names of classes: imagenet, photo, video, sound, …, none.")
    text_encoder: str | None = _option(None, "ImageBind that encodes text, where the model has no text encoder.")
    pairs: bool = _option(True, "Modality report: ask about pairs of modalities, summed, too.")
    untrained_projector: bool = _option(False, "Modality report: ask with an untrained projector, too.")
    streaming: bool = _option(False, "Read rows as they come instead of loading the data first.")
    workers: int = _option(4, "Processes that read media; 0 reads them in this one.")
    dtype: str = _option("auto", "Type of the weights: auto, float32, bfloat16, float16.")
    device: str | None = _option(None, "Where the model runs; auto spreads it over several accelerators.")
    resamples: int = _option(1000, "Resamples of the 95 %% intervals.")
    seed: int = _option(0, "Of sampling, shuffling and resampling.")

    columns: dict[str, Any] = field(default_factory=dict, init=False)
    where: dict[str, Any] = field(default_factory=dict, init=False)
    prompt: list[str] = field(default_factory=list, init=False)
    answer_is: str | None = field(default=None, init=False)
    classes: Any = field(default=None, init=False)
    generation: dict[str, Any] = field(default_factory=dict, init=False)
    together: dict[str, list[str]] = field(default_factory=dict, init=False)
    mme: dict[str, str] = field(default_factory=dict, init=False)
    tokenizer: str = field(default="ptb", init=False)
    published: list[dict[str, Any]] = field(default_factory=list, init=False)
    title: str | None = field(default=None, init=False)

    def check(self) -> None:
        """Raises a `ValueError` for what is missing or makes no sense."""
        for name in ("task", "model", "data"):
            if not getattr(self, name):
                raise ValueError(f"--{name} is missing: give it, or a recipe that has it")
        for name in ("batch_size", "max_new_tokens", "resamples"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"--limit must be at least 1, got {self.limit}")
        if Path(self.output).suffix != ".json":
            raise ValueError(f"--output must be a .json file, got {self.output}")

    @property
    def kept_columns(self) -> list[str]:
        """`list[str]`: the columns of the data that predictions keep."""
        together = [name for names in self.together.values() for name in names]
        return list(dict.fromkeys([*self.by, *together, *self.mme.values()]))

    def with_effect(self) -> dict[str, Any]:
        """`dict`: the settings on which predictions depend."""
        return {name: value for name, value in asdict(self).items() if name not in _WITHOUT_EFFECT}


def read_recipe(name: str) -> dict[str, Any]:
    """
    Read a recipe.

    Args:
        name (`str`):
            A YAML file, or the name of one of ours.

    Returns:
        `dict`: fields of [`Settings`].

    Raises:
        ValueError: when there is none, or it has an unknown field.
    """
    path = Path(name) if Path(name).is_file() else RECIPES / f"{name.removesuffix('.yaml')}.yaml"
    if not path.is_file():
        ours = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.yaml")))
        raise ValueError(f"there is no recipe {name}: give a YAML file, or one of {ours}")
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(recipe, dict):
        raise ValueError(f"{path} must hold fields and their values")
    if unknown := sorted(set(recipe) - {each.name for each in fields(Settings)}):
        raise ValueError(f"{path} has the unknown field {unknown[0]}")
    return recipe


def parse(argv: Sequence[str] | None = None) -> Settings:
    """
    Read the command line.

    Args:
        argv (`Sequence[str]`, *optional*):
            Arguments; those of this process by default.

    Returns:
        [`Settings`]

    Raises:
        ValueError: for a missing or senseless setting.
    """
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--recipe", "--config", dest="recipe")
    known, rest = first.parse_known_args(argv)
    parser = HfArgumentParser(
        Settings,  # type: ignore[arg-type]
        prog="pandagpt evaluate",
        description="Measure a model. --recipe FILE_OR_NAME (also --config) reads settings that the options override.",
        formatter_class=argparse.HelpFormatter,
        allow_abbrev=False,
    )
    recipe = read_recipe(known.recipe) if known.recipe else {}
    in_recipes_only = {each.name for each in fields(Settings) if not each.init}
    parser.set_defaults(**{name: value for name, value in recipe.items() if name not in in_recipes_only})
    (settings,) = parser.parse_args_into_dataclasses(args=rest, look_for_args_file=False)
    for name in in_recipes_only & set(recipe):
        setattr(settings, name, recipe[name])
    settings.check()
    return settings
