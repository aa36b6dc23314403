# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What is known of a checkpoint: from its configuration, its training run's `facts.json`, and its evaluations.

Whatever nobody wrote down is `None` or empty here, and is then left out of the card. Of names of local files only the
last part gets any further.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers.configuration_utils import PreTrainedConfig

from modeling_pandagpt import ImageBindModel, PandaGPTForConditionalGeneration
from modeling_pandagpt.configuration_pandagpt import (
    MEDIA_TYPES,
    MODALITY_OF_MEDIA_TYPE,
    ORIGINAL_MODALITY_SCALES,
    ImageBindConfig,
    PandaGPTConfig,
)
from modeling_pandagpt.convert_original_checkpoint import build_on_meta


FACTS = "facts.json"
ADAPTER_CONFIG = "adapter_config.json"

# Where evaluations of a checkpoint are looked for, beside it.
RESULTS = ("results*.json", "*results.json", "evaluation/*.json", "evaluation/*/results.json")

# How far the released checkpoints were taken, by the original's paper and demo.
STATUS_OF_THE_ORIGINAL = {
    "image": "**trained** on captions and visual instructions",
    **dict.fromkeys(("video", "audio", "thermal"), "**emergent**: shown in the original's demo"),
    **dict.fromkeys(("depth", "imu"), "**untested**: the original never gave it any"),
}

BYTES_OF_DTYPE = {"float32": 4, "bfloat16 or float16": 2}

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass
class Source:
    """Something that was trained on or from: a Hub id, or what a folder of somebody's machine was called."""

    name: str
    is_on_hub: bool
    revision: str | None = None


@dataclass
class Facts:
    """
    What is known of a checkpoint.

    Args:
        folder (`Path`):
            The checkpoint: weights with `config.json`, or an adapter with `adapter_config.json`.
        config ([`PandaGPTConfig`] or [`ImageBindConfig`], *optional*):
            Of the model, or of the adapter's base; `None` where the base cannot be read without a network.
        run (`dict`):
            `facts.json` of the training run; empty where there was none.
        results (`list[dict]`):
            What `pandagpt evaluate` wrote, one a task.
        adapter (`dict`, *optional*):
            `adapter_config.json` of an adapter.
    """

    folder: Path
    config: Any
    run: dict[str, Any] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    adapter: dict[str, Any] | None = None

    @classmethod
    def read(
        cls,
        folder: str | Path,
        source: Path | None = None,
        run: Mapping[str, Any] | None = None,
        base_config: PandaGPTConfig | None = None,
    ) -> "Facts":
        """
        Args:
            folder (`str` or `Path`):
                The checkpoint.
            source (`Path`, *optional*):
                Where `facts.json` and results lie; the checkpoint's own folder when `None`.
            run (`dict`, *optional*):
                The facts of a run that has written no `facts.json` yet.
            base_config ([`PandaGPTConfig`], *optional*):
                Of an adapter's base; read from where the adapter says it lies when `None`.

        Raises:
            ValueError: when the folder holds no checkpoint, or a `facts.json` is no JSON.
        """
        folder = Path(folder)
        places = [place for place in (source, folder) if place]
        adapter = read_json(folder / ADAPTER_CONFIG) if (folder / ADAPTER_CONFIG).is_file() else None
        if adapter is None and not (folder / "config.json").is_file():
            raise ValueError(f"{folder} holds no checkpoint: expected config.json or {ADAPTER_CONFIG} in it")
        config = base_config or read_config(
            adapter["base_model_name_or_path"] if adapter else str(folder), bool(adapter)
        )
        found = [read_json(place / FACTS) for place in places if (place / FACTS).is_file()]
        return cls(folder, config, dict(run or (found[0] if found else {})), read_results(places), adapter)

    @property
    def history(self) -> list[dict[str, Any]]:
        return self.run.get("history") or []

    @property
    def data(self) -> list[Source]:
        """What was trained on."""
        return [as_source(entry) for entry in self.run.get("data") or []]

    @property
    def continued_from(self) -> Source | None:
        name = self.run.get("continued_from")
        return as_source({"path": name, "revision": self.run.get("continued_from_revision")}) if name else None

    @property
    def hyperparameters(self) -> dict[str, Any]:
        given = self.run.get("hyperparameters") or {}
        is_adapter = self.run.get("train") in ("lora", "projector")
        return {
            name: value
            for name, value in given.items()
            if value not in (None, "")
            and (is_adapter or not name.startswith("lora_"))
            and not (name == "max_steps" and value <= 0)
        }

    @property
    def trained_kinds(self) -> set[str]:
        """The kinds of media that the run's data held: the trainer logs the accuracy of each."""
        logged = {name for entry in self.history for name in entry}
        return {kind for kind in MEDIA_TYPES if {f"{kind}_token_accuracy", f"eval_{kind}_token_accuracy"} & logged}

    @property
    def last_logged(self) -> dict[str, float]:
        """The last value of each loss and accuracy, of the training and of the validation rows."""
        last: dict[str, float] = {}
        for entry in self.history:
            last |= {name: value for name, value in entry.items() if name.endswith(("loss", "token_accuracy"))}
        return last

    @property
    def tested_kinds(self) -> set[str]:
        """The kinds of media that evaluations report on."""
        groups = [group for result in self.results for group in result.get("groups") or []]
        named = [group.get("by", {}).get("modality") for group in groups]
        return {kind for name in named if name for kind in str(name).split("+") if kind in MEDIA_TYPES}

    @cached_property
    def kinds(self) -> list[str]:
        """The kinds of media that there is an encoder for."""
        if self.config is None:
            return []
        return [kind for kind in MEDIA_TYPES if MODALITY_OF_MEDIA_TYPE[kind] in self.config.modalities]

    @property
    def is_original(self) -> bool:
        """Whether the checkpoint, or the adapter's base, was converted from one of the original's."""
        return getattr(self.config, "modality_scales", None) == ORIGINAL_MODALITY_SCALES

    @cached_property
    def status(self) -> dict[str, str]:
        """How far each kind of media was taken; empty where nobody knows."""
        if not self.is_original and not self.trained_kinds:
            return {}
        status = dict.fromkeys(self.kinds, "**untested**")
        if self.is_original:
            status = {kind: STATUS_OF_THE_ORIGINAL[kind] for kind in self.kinds}
        for kind in self.kinds:
            if kind in self.trained_kinds:
                status[kind] = "**trained** in this run"
            elif kind in self.tested_kinds:
                status[kind] = "**emergent**: not in this run's data, evaluated below"
        return status

    @property
    def shown_kinds(self) -> list[str]:
        """What the examples of a card give to the model: picture and sound, or the first kind that it takes."""
        usable = [kind for kind in self.kinds if "untested" not in self.status.get(kind, "")]
        return [kind for kind in ("image", "audio") if kind in usable] or usable[:1] or self.kinds[:1] or ["image"]

    @cached_property
    def parameters(self) -> dict[str, int]:
        """Numbers of parameters by part, counted on a model without memory."""
        if isinstance(self.config, ImageBindConfig):
            return {"ImageBind": count_parameters(build_on_meta(ImageBindModel, self.config))}
        if self.config is None:
            return {}
        model = build_on_meta(PandaGPTForConditionalGeneration, self.config)
        parts = {"ImageBind": model.model.imagebind, "projector": model.model.projector}
        counts = {name: count_parameters(part) for name, part in parts.items()}
        return counts | {"language model": count_parameters(model) - sum(counts.values())}

    @property
    def memory(self) -> dict[str, float]:
        """Gigabytes (10⁹ bytes) that the weights take, by type."""
        total = sum(self.parameters.values())
        return {dtype: size * total / 1e9 for dtype, size in BYTES_OF_DTYPE.items()} if total else {}

    @cached_property
    def adapter_parameters(self) -> int | None:
        file = self.folder / "adapter_model.safetensors"
        if not file.is_file():
            return None
        with safe_open(file, "pt") as tensors:
            shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]
        return sum(math.prod(shape) for shape in shapes)

    @property
    def model_index(self) -> list[dict[str, Any]]:
        """The evaluations as `model-index` wants them, without a name."""
        return [entry for result in self.results for entry in _entries_of(result.get("model_index"))]


def read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON: {error}") from error


def read_config(name: str, is_base: bool) -> PreTrainedConfig | None:
    """
    The configuration of a checkpoint, without asking a network.

    Args:
        name (`str`):
            Its folder, or its Hub id.
        is_base (`bool`):
            It is an adapter's base, of which nothing is to be had if it lies elsewhere: then `None` is returned.
    """
    try:
        kind = PreTrainedConfig.get_config_dict(name, local_files_only=True)[0].get("model_type")
    except OSError:
        if is_base:
            return None
        raise
    if kind not in ("pandagpt", "imagebind"):
        raise ValueError(f"{name} holds a model of type {kind!r}, expected 'pandagpt' or 'imagebind'")
    config_class = PandaGPTConfig if kind == "pandagpt" else ImageBindConfig
    return config_class.from_pretrained(name, local_files_only=True)


def read_results(places: Iterable[Path]) -> list[dict[str, Any]]:
    """What `pandagpt evaluate` wrote into some folders, each file once, in the order of their names."""
    files = {file.resolve() for place in places for pattern in RESULTS for file in place.glob(pattern)}
    found = [read_json(file) for file in sorted(files)]
    return [result for result in found if isinstance(result, dict) and {"task", "scores"} <= set(result)]


def as_source(entry: str | Mapping[str, Any]) -> Source:
    """A path of this machine by its last part, a Hub id as it is."""
    entry = {"path": entry} if isinstance(entry, str) else entry
    name = str(entry["path"])
    is_on_hub = entry.get("on_hub")
    if is_on_hub is None:
        is_on_hub = is_hub_id(name)
    return Source(name if is_on_hub else Path(name).name, is_on_hub, entry.get("revision"))


def is_hub_id(name: str | None) -> bool:
    """Whether a name can be that of a repository: `user/name`, and nothing lies here by that name."""
    return bool(name and _HUB_ID.fullmatch(name)) and not Path(str(name)).exists()


def count_parameters(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _entries_of(model_index: Any) -> list[dict[str, Any]]:
    """The results of a `model-index`, be it the list that a card has or one of its members."""
    members = model_index if isinstance(model_index, list) else [model_index or {}]
    return [entry for member in members for entry in member.get("results", [])]
