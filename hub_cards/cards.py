# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The cards of models, adapters, data sets and Spaces: facts filled into `templates/`.

Notable:
- What a card says comes from `hub_cards.facts`. A field that nobody knows is left out, and so is its heading.
- Every Python block of a card runs as it stands, beside files named as `demo/examples` names them.
- The picture of the loss needs matplotlib; without it there is none.
"""

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import (
    CardData,
    DatasetCard,
    DatasetCardData,
    ModelCard,
    ModelCardData,
    RepoCard,
    SpaceCard,
    SpaceCardData,
    constants,
)
from huggingface_hub.repocard_data import EvalResult, model_index_to_eval_results
from huggingface_hub.utils import validate_repo_id
from transformers.utils import logging

from modeling_pandagpt import ImageBindConfig, PandaGPTConfig
from processing.processing_imagebind import MODALITIES

from .facts import ADAPTER_CONFIG, Facts, as_source, is_hub_id
from .licences import CODE, IMAGEBIND_BY_MODEL_CARD, IMAGEBIND_BY_README, Licence, licences_of
from .loss_curve import draw_loss_curve


logger = logging.get_logger(__name__)

LOSS_CURVE = "loss_curve.png"

_EXAMPLE_FILES = {
    "image": "picture.png",
    "video": "video.mp4",
    "audio": "sound.wav",
    "thermal": "thermal.png",
    "depth": "depth.npy",
    "imu": "motion.csv",
}
_GIVEN_AS = {
    "image": "a picture file or an array",
    "video": "a video file or frames",
    "audio": "a sound file, or an array and its rate",
    "thermal": "an infrared picture of one channel",
    "depth": "`.npy`, 16-bit PNG, TIFF or an array, in metres",
    "imu": "`.npy`, `.csv`, or an array and its rate: accelerometer and gyroscope",
}
_MEDIA = {
    "image": "pictures",
    "video": "videos",
    "audio": "sounds",
    "thermal": "thermal pictures",
    "depth": "depth maps",
    "imu": "motion",
}
_EXAMPLES = {"image": "a picture", "video": "a video", "audio": "a sound", "thermal": "a thermal picture"} | {
    "depth": "a depth map",
    "imu": "a recording of motion",
}
_TRAINED_PARTS = {
    "lora": "LoRA on the language model, and the projector",
    "projector": "the projector",
    "full": "the projector and the whole language model",
    "everything": "the projector, the whole language model and ImageBind",
}


def write_card(
    folder: str | os.PathLike,
    repo: str | None,
    *,
    kind: str = "model",
    base: str | None = None,
    base_revision: str | None = None,
    source: str | os.PathLike | None = None,
    run: Mapping[str, Any] | None = None,
    base_config: PandaGPTConfig | None = None,
) -> Path:
    """
    Writes the card of a checkpoint into its folder, and the picture of its loss where there is one to draw.

    Args:
        folder (`str` or `os.PathLike`):
            The checkpoint: `config.json` or `adapter_config.json`, and the weights.
        repo (`str`, *optional*):
            The Hub id that the card's examples name; the folder's name when `None`.
        kind (`str`, *optional*, defaults to `"model"`):
            `"model"`, `"adapter"` or `"imagebind"`.
        base (`str`, *optional*):
            Hub id of what it was made from; what the run's facts say when `None`.
        base_revision (`str`, *optional*):
            The base's commit.
        source (`str` or `os.PathLike`, *optional*):
            Folder of `facts.json` and of evaluations' results; the checkpoint's own when `None`.
        run (`dict`, *optional*):
            Facts of a run that has not written its `facts.json` yet.
        base_config ([`PandaGPTConfig`], *optional*):
            Of an adapter's base; read from where the adapter says that it lies when `None`, if that is this machine.

    Returns:
        `Path`: the card, `README.md` in `folder`.

    Raises:
        ValueError: when the folder holds no such checkpoint, or `base` is no Hub id.
    """
    folder = Path(folder)
    facts = Facts.read(folder, None if source is None else Path(source), run, base_config)
    _check_kind(facts, kind)
    if repo is not None:
        validate_repo_id(repo)
    if base is not None and not is_hub_id(base):
        raise ValueError(f"the base must be a Hub id, user/name, got {base!r}")
    if base is None and is_hub_id(facts.run.get("base_model")) and facts.run.get("base_model_revision", "unknown"):
        base, base_revision = facts.run["base_model"], facts.run.get("base_model_revision")
    licences = licences_of(facts.config)
    name = (repo or folder.resolve().name).split("/")[-1]
    text = _render(
        "imagebind.md" if kind == "imagebind" else "model.md",
        name=name,
        repo=repo or folder.resolve().name,
        facts=facts,
        base=base,
        base_revision=base_revision,
        licences=licences,
        holds_imagebind=IMAGEBIND_BY_README in licences,
        loss_curve=draw_loss_curve(facts.history, folder / LOSS_CURVE) and LOSS_CURVE,
        question=_question(facts.shown_kinds),
        procedure=_procedure(facts.run),
    )
    return _save(ModelCard, _model_data(facts, kind, name, base, licences), text, folder)


def write_training_card(
    folder: str | os.PathLike, repo: str | None = None, facts: Mapping[str, Any] | None = None
) -> Path:
    """
    Writes the card of what a training run has saved: an adapter or a whole model.

    Args:
        folder (`str` or `os.PathLike`):
            The run's `output_dir`.
        repo (`str`, *optional*):
            The Hub id it is pushed to.
        facts (`dict`, *optional*):
            What `facts.json` will say; that file's contents when `None`, if there is one.
    """
    kind = "adapter" if (Path(folder) / ADAPTER_CONFIG).is_file() else "model"
    return write_card(folder, repo, kind=kind, run=facts)


def write_space_card(
    folder: str | os.PathLike,
    repo: str,
    *,
    models: list[str],
    sdk_version: str | None = None,
    app_file: str = "app.py",
) -> Path:
    """
    Writes the card of a Gradio Space.

    Args:
        folder (`str` or `os.PathLike`):
            The Space's files.
        repo (`str`):
            Its Hub id.
        models (`list[str]`):
            Hub ids of the models that it runs; others are left out.
        sdk_version (`str`, *optional*):
            Gradio's version; the Hub's default when `None`.
        app_file (`str`, *optional*, defaults to `"app.py"`):
            What starts it.
    """
    validate_repo_id(repo)
    name, models = repo.split("/")[-1], [model for model in models if is_hub_id(model)]
    data = SpaceCardData(
        title=name,
        sdk="gradio",
        sdk_version=sdk_version,
        app_file=app_file,
        license=CODE.identifier,
        models=models or None,
        tags=["pandagpt", "multimodal"],
    )
    return _save(SpaceCard, data, _render("space.md", name=name, models=models), Path(folder))


def write_dataset_card(
    folder: str | os.PathLike, repo: str, data: DatasetCardData, template: str, **context: Any
) -> Path:
    """
    Writes the card of a data set.

    Args:
        folder (`str` or `os.PathLike`):
            The data set's files.
        repo (`str`):
            Its Hub id.
        data (`DatasetCardData`):
            The metadata.
        template (`str`):
            `"dataset.md"`, or `"embeddings.md"` for what `pandagpt embed` wrote.
        context:
            What that template names.
    """
    validate_repo_id(repo)
    text = _render(template, name=repo.split("/")[-1], repo=repo, **context)
    return _save(DatasetCard, data, text, Path(folder))


def yaml_licence(licences: Iterable[Licence]) -> dict[str, Any]:
    """What the metadata say of the weights' licences: one, the stricter of ImageBind's two, or `other` and which."""
    weights = [licence for licence in licences if licence != CODE]
    identifiers = {licence.identifier for licence in weights}
    others = [licence for licence in weights if licence.identifier == "other"]
    if others:
        name = re.sub(r"[^a-z0-9]+", "-", others[0].name.lower()).strip("-")
        link = {"license_link": others[0].link} if others[0].link else {}
        return {"license": "other", "license_name": name} | link
    if IMAGEBIND_BY_MODEL_CARD.identifier in identifiers:
        return {"license": IMAGEBIND_BY_MODEL_CARD.identifier}
    return {"license": weights[0].identifier} if len(identifiers) == 1 else {}


def _check_kind(facts: Facts, kind: str) -> None:
    found = "adapter" if facts.adapter else "imagebind" if isinstance(facts.config, ImageBindConfig) else "model"
    if kind != found:
        raise ValueError(f"{facts.folder} holds a checkpoint of the kind {found!r}, not {kind!r}")


def _model_data(facts: Facts, kind: str, name: str, base: str | None, licences: list[Licence]) -> ModelCardData:
    relation = "adapter" if facts.adapter else "finetune"
    tags = [*(["pandagpt", "multimodal"] if kind != "imagebind" else []), "imagebind", "custom_code"]
    tags += [kind for kind in facts.kinds if kind not in tags]
    tags += ["lora"] if facts.adapter else []
    tags += ["trl", "sft"] if facts.run else []
    data_ids = list(dict.fromkeys(source.name for source in facts.data if source.is_on_hub))
    return ModelCardData(
        **yaml_licence(licences),
        language=facts.run.get("language"),
        library_name="peft" if facts.adapter else "transformers",
        pipeline_tag="feature-extraction" if kind == "imagebind" else "any-to-any",
        base_model=base,
        base_model_relation=relation if base else None,
        datasets=data_ids or None,
        tags=tags,
        model_name=name if facts.model_index else None,
        eval_results=_eval_results(facts, name) or None,
    )


def _eval_results(facts: Facts, name: str) -> list[EvalResult]:
    """For `model-index`. Data that lie on somebody's machine go by their last name."""
    results = model_index_to_eval_results([{"name": name, "results": facts.model_index}])[1]
    for result in results:
        result.dataset_type = as_source(result.dataset_type).name
        result.dataset_name = as_source(result.dataset_name).name
    return results


def _question(kinds: Iterable[str]) -> str:
    questions = {"image": "What do you see?", "audio": "What do you hear?"}
    both = {"image", "audio"} <= set(kinds)
    return "What do you see, and what do you hear?" if both else questions.get(next(iter(kinds), ""), "What is it?")


def _procedure(run: Mapping[str, Any]) -> str:
    """What was trained, for how long, on how many processes, in sentences."""
    trained = _TRAINED_PARTS.get(run.get("train", ""))
    steps, epochs, processes = (run.get(name) for name in ("steps", "epochs", "num_processes"))
    length = [f"{steps:,} steps"] if steps else []
    length += [f"{_number(epochs)} epochs"] if epochs else []
    length += [f"{processes} process{'es' if processes > 1 else ''}"] if processes else []
    length += [f"DeepSpeed ZeRO-{run['zero_stage']}"] if run.get("zero_stage") is not None else []
    sentences = [f"Trained: {trained}."] if trained else []
    sentences += [f"{', '.join(length)}."] if length else []
    sentences += ["The language model was held in 4 bits (nf4)."] if run.get("load_in_4bit") else []
    return " ".join(sentences)


def _save(card_class: type[RepoCard], data: CardData, text: str, folder: Path) -> Path:
    card = card_class(f"---\n{data.to_yaml()}\n---\n\n{text}")
    path = folder / constants.REPOCARD_NAME
    card.save(path)
    return path


def _render(template: str, **context: Any) -> str:
    text = _environment().get_template(template).render(hub="https://huggingface.co", **context)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hub_cards"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "cell": _cell,
        "count": _count,
        "example": _EXAMPLES.__getitem__,
        "example_file": _EXAMPLE_FILES.__getitem__,
        "argument": {modality.name: modality.argument for modality in MODALITIES}.__getitem__,
        "gigabytes": lambda size: f"{size:.1f} GB" if size >= 1 else f"{1000 * size:.1f} MB",
        "given_as": _GIVEN_AS.__getitem__,
        "listed": _listed,
        "medium": _MEDIA.__getitem__,
        "number": _number,
        "score": _score,
        "source_name": lambda data: _cell(as_source(data).name),
        "words": lambda name: _cell(str(name).replace("_", " ")),
    }
    return environment


def _cell(value: Any) -> str:
    """A text that does not break the table, nor the line, that it stands in."""
    return re.sub(r"\s+", " ", str(value)).replace("|", r"\|").replace("<", "&lt;")


def _listed(names: Iterable[str]) -> str:
    *first, last = list(names) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _count(number: int) -> str:
    for size, name in ((10**9, "billion"), (10**6, "million")):
        if number >= size:
            return f"{number / size:.2f} {name}"
    return f"{number:,}"


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else _cell(value)


def _score(score: Any) -> str:
    """`0.512 [0.498, 0.526]`; the interval where there is one."""
    if score is None:
        return ""
    if not isinstance(score, Mapping):
        return _number(score)
    low, high = score.get("low"), score.get("high")
    interval = f" [{_number(low)}, {_number(high)}]" if low is not None and high is not None else ""
    return _number(score["value"]) + interval
