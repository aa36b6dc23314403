# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""One complete Hub folder out of a checkpoint: what a stranger needs who has only the repository's name.

Notable:
- Configuration, processor and code are written anew by this version; the weights are linked, not copied.
- A folder is checked by a fresh process, in which our source cannot be imported.
- What is a path on this machine never goes along.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from peft import PeftConfig, PeftModel
from transformers import GenerationConfig
from transformers.dynamic_module_utils import get_relative_import_files
from transformers.utils import ADAPTER_CONFIG_NAME

import pandagpt
from hub_cards.cards import write_card
from hub_cards.facts import FACTS, is_hub_id, read_json
from hub_cards.licences import LICENCE_NOTE, licence_note
from hub_cards.upload import PublishError, hub_errors, is_local_path, refuse_pickles
from modeling_pandagpt import modeling_imagebind, modeling_pandagpt


ADAPTER_WEIGHTS = "adapter_model.safetensors"

# Loads a folder as a stranger would, and lets the model say one token.
CHECK = """
import json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split():
            raise ModuleNotFoundError(f"{name} is not in the Hub folder")

sys.meta_path.insert(0, Refuse())
import torch, transformers

folder = sys.argv[1]
options = {"trust_remote_code": True}
"""
CHECK_MODEL = """
processor = transformers.AutoProcessor.from_pretrained(folder, **options)
model, loading = transformers.AutoModel.from_pretrained(folder, dtype="auto", output_loading_info=True, **options)
wrong = {name: sorted(map(str, keys)) for name, keys in loading.items() if keys}
if wrong:
    sys.exit(f"the weights do not fit the configuration: {json.dumps(wrong)[:1000]}")
if model.can_generate():
    chat = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    inputs = processor.apply_chat_template(
        chat, tokenize=True, return_dict=True, add_generation_prompt=True, return_tensors="pt"
    )
    model.generate(**inputs, max_new_tokens=1, do_sample=False)
"""
CHECK_ADAPTER = """
from peft import PeftConfig, PeftModel
transformers.AutoProcessor.from_pretrained(folder, **options)
adapter = PeftConfig.from_pretrained(folder)
base, revision = adapter.base_model_name_or_path, adapter.revision
config = transformers.AutoConfig.from_pretrained(base, revision=revision, **options)
with torch.device("meta"):
    model = transformers.AutoModelForImageTextToText.from_config(config, code_revision=revision, **options)
    model = PeftModel(model, adapter)
wrong = model.load_adapter(folder, "default")
missing = [name for name in wrong.missing_keys if "lora_" in name or "modules_to_save" in name]
if missing or wrong.unexpected_keys:
    sys.exit(f"the adapter does not fit its base: {json.dumps(missing + wrong.unexpected_keys)[:1000]}")
"""
OUR_PACKAGES = "benchmarks chat_data demo evaluation hub_cards modeling_pandagpt pandagpt processing training"

# Of the variables that a check does not get: paths to our source, and what may write to the Hub.
WITHHELD = ("PYTHONPATH", "PYTHONHOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def is_adapter(folder: str | Path) -> bool:
    """Whether a folder holds an adapter rather than a whole model."""
    return (Path(folder) / ADAPTER_CONFIG_NAME).is_file()


def assemble_model(source: Path, folder: Path, repo: str) -> None:
    """
    Writes the Hub folder of a PandaGPT or an ImageBind.

    Args:
        source (`Path`):
            Holds the model with its processor, or an adapter, which is merged with its base.
        folder (`Path`):
            Empty; what the repository will hold. A folder `merged` comes to lie beside it if `source` is an adapter.
        repo (`str`):
            `"user/name"`, for the card.

    Raises:
        PublishError: when `source` holds no such model, no safetensors or no processor, or the disk has no room.
    """
    config = config_of(source)
    is_imagebind = config.model_type == "imagebind"
    _write_processor("ImageBindProcessor" if is_imagebind else "PandaGPTProcessor", source, folder)
    base, weights = None, source
    if is_adapter(source):
        base, weights = base_of(source), folder.with_name("merged")
        merge(source, weights)
    config.save_pretrained(folder)
    code = str((modeling_imagebind if is_imagebind else modeling_pandagpt).__file__)
    for file in (code, *get_relative_import_files(code)):
        shutil.copy2(file, folder)
    if (weights / "generation_config.json").is_file():
        GenerationConfig.from_pretrained(weights).save_pretrained(folder)
    _take_weights(weights, folder)
    kind = "imagebind" if is_imagebind else "model"
    _finish(folder, repo, config, kind=kind, source=source, base=base if is_hub_id(base) else None)


def assemble_adapter(
    api: HfApi, source: Path, folder: Path, repo: str, base: str | None = None, base_revision: str | None = None
) -> tuple[str, str]:
    """
    Writes the Hub folder of LoRA and projector, whose base is a repository of the Hub at one commit.

    Args:
        api (`HfApi`):
            Finds the base's commit.
        source (`Path`):
            What training or the converter wrote.
        folder (`Path`):
            Empty; what the repository will hold.
        repo (`str`):
            `"user/name"`, for the card.
        base (`str`, *optional*):
            The base's repository; what the adapter was trained from, if that is on the Hub.
        base_revision (`str`, *optional*):
            Commit, branch or tag of the base; the commit it was trained from where that is recorded, else the newest.

    Returns:
        `tuple[str, str]`: the base and its commit, as they now stand in the adapter's settings.

    Raises:
        PublishError: when the base is not on the Hub, or is no PandaGPT.
    """
    if not is_adapter(source):
        raise PublishError(f"{source} holds no {ADAPTER_CONFIG_NAME}: publish it with `pandagpt publish model`.")
    settings = PeftConfig.from_pretrained(str(source))
    trained_from = settings.base_model_name_or_path
    base = base or base_of(source)
    if not is_hub_id(base):
        raise PublishError(
            f"{base} is a folder, no repository: publish it with `pandagpt publish model`, then name that with "
            "--base user/name."
        )
    recorded = _recorded_revision(source, settings) if base == trained_from else None
    settings.base_model_name_or_path = base
    commit, base_config = pin_base(api, base, base_revision or recorded)
    settings.revision = commit
    settings.inference_mode = True
    settings.auto_mapping = None  # the import path of a class on this machine
    settings.task_type = "CAUSAL_LM"  # by which PEFT finds the class without it
    _write_processor("PandaGPTProcessor", source, folder)
    settings.save_pretrained(str(folder))
    if not (source / ADAPTER_WEIGHTS).is_file():
        refuse_pickles(file.name for file in source.iterdir())
        raise PublishError(f"{source} holds no weights ({ADAPTER_WEIGHTS}).")
    _link(source / ADAPTER_WEIGHTS, folder)
    facts = {"base": base, "base_revision": commit, "base_config": base_config}
    _finish(folder, repo, base_config, kind="adapter", source=source, **facts)
    return base, commit


def pin_base(api: HfApi, base: str, revision: str | None) -> tuple[str, Any]:
    """A base's commit and configuration. Raises `PublishError` when there is none, or it is no PandaGPT."""
    with hub_errors(base):
        commit = str(api.model_info(base, revision=revision).sha)
        # The code too: the check that follows is without network.
        folder = Path(api.snapshot_download(base, revision=commit, allow_patterns=["*.json", "*.py"]))
    if not (folder / "config.json").is_file():
        raise PublishError(f"{base} holds no model.")
    return commit, _read_config(folder / "config.json", base, ("pandagpt",))


def base_of(adapter: Path) -> str:
    """What an adapter was trained from: a Hub id or a folder. Raises `PublishError` when its settings do not say."""
    base = json.loads((adapter / ADAPTER_CONFIG_NAME).read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not base:
        raise PublishError(f"{adapter / ADAPTER_CONFIG_NAME} names no base (base_model_name_or_path).")
    return str(base)


def config_of(source: Path) -> Any:
    """The configuration of a model, or of an adapter's base. Raises `PublishError` when it is none of ours."""
    if is_adapter(source):
        base = base_of(source)
        revision = _recorded_revision(source, PeftConfig.from_pretrained(str(source)))
        try:
            return pandagpt.PandaGPTConfig.from_pretrained(base, revision=revision)
        except OSError as error:
            raise PublishError(f"The adapter's base, {base}, is neither a folder here nor on the Hub.") from error
    file = source / "config.json"
    if not file.is_file():
        raise PublishError(f"{source} holds neither config.json nor {ADAPTER_CONFIG_NAME}.")
    return _read_config(file, str(source), ("pandagpt", "imagebind"))


def _read_config(file: Path, name: str, model_types: Sequence[str]) -> Any:
    model_type = json.loads(file.read_text(encoding="utf-8")).get("model_type")
    if model_type not in model_types:
        raise PublishError(f"{name} holds a model of type {model_type!r}, expected {' or '.join(model_types)}.")
    return (pandagpt.ImageBindConfig if model_type == "imagebind" else pandagpt.PandaGPTConfig).from_pretrained(file)


def merge(adapter: Path, output: Path) -> None:
    """Writes base and adapter as one model. Raises `PublishError` when the disk has no room for it."""
    settings = PeftConfig.from_pretrained(str(adapter))
    base = pandagpt.PandaGPTForConditionalGeneration.from_pretrained(
        settings.base_model_name_or_path, revision=_recorded_revision(adapter, settings), dtype="auto"
    )
    needed, free = base.get_memory_footprint(), shutil.disk_usage(output.parent).free
    if needed > free:
        raise PublishError(
            f"The disk is full: the merged model needs {needed / 1e9:.1f} GB below {output.parent}, where "
            f"{free / 1e9:.1f} GB are free (TMPDIR names another place)."
        )
    PeftModel.from_pretrained(base, str(adapter)).merge_and_unload().save_pretrained(output)


def check_loads(folder: Path) -> None:
    """Raises `PublishError` when a process that has the folder but not our source cannot use it."""
    body = CHECK_ADAPTER if is_adapter(folder) else CHECK_MODEL
    with tempfile.TemporaryDirectory() as elsewhere:
        environment = {name: value for name, value in os.environ.items() if name not in WITHHELD}
        environment |= {
            "HF_MODULES_CACHE": elsewhere,  # no code of an earlier check
            "HF_HUB_OFFLINE": "1",  # nothing else is needed
            "HF_TOKEN_PATH": str(Path(elsewhere) / "token"),  # nor any token, with a base's code running
        }
        command = [sys.executable, "-c", CHECK + body, str(folder), OUR_PACKAGES]
        result = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise PublishError(f"The assembled folder does not load where our source is not: {reason}")


def check_no_local_path(folder: Path) -> None:
    """Raises `PublishError` when a file of settings names a place on this machine or on another."""
    for file in sorted(folder.rglob("*.json")):
        if file.name == "tokenizer.json":  # its strings are pieces of text
            continue
        for text in _strings(json.loads(file.read_text(encoding="utf-8"))):
            if is_local_path(text):
                raise PublishError(f"{file.name} names {text}, which is a place on somebody's machine.")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _write_processor(name: str, source: Path, folder: Path) -> None:
    if not (source / "processor_config.json").is_file():
        raise PublishError(f"{source} holds no processor: save it there with `processor.save_pretrained`.")
    getattr(pandagpt, name).from_pretrained(source).save_pretrained(folder)


def _take_weights(source: Path, folder: Path) -> None:
    weights = sorted(source.glob("model*.safetensors"))
    if not weights:
        refuse_pickles(file.name for file in source.iterdir())
        raise PublishError(f"{source} holds no weights (model.safetensors).")
    for file in (*weights, *source.glob("model.safetensors.index.json")):
        _link(file, folder)


def _link(file: Path, folder: Path) -> None:
    (folder / file.name).symlink_to(file.resolve())


def _finish(folder: Path, repo: str, config: Any, **facts: Any) -> None:
    (folder / LICENCE_NOTE).write_text(licence_note(config), encoding="utf-8")
    write_card(folder, repo, **facts)
    check_no_local_path(folder)


def _recorded_revision(source: Path, settings: PeftConfig) -> str | None:
    """The base's commit as PEFT's settings or the training run's facts have it."""
    facts = source / FACTS
    known = read_json(facts) if facts.is_file() else {}
    return settings.revision or known.get("base_model_revision")
