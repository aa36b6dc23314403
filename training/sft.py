# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Supervised fine-tuning in the original's two stages, with TRL's SFTTrainer and PEFT.

    pandagpt train --config training/recipes/stage_1_7b.yaml --output_dir runs/stage_1
    accelerate launch -m training.sft --config training/recipes/stage_2_7b.yaml --adapter runs/stage_1 \
        --output_dir runs/stage_2

A recipe may hold, and the command line override, every field of `Arguments` below and of TRL's `SFTConfig`.
`--dry_run` shows what would be trained on, and on what, and stops.
"""

import json
import os
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from transformers import set_seed
from transformers.trainer_utils import SchedulerType
from transformers.utils import logging
from trl import TrlParser

import pandagpt
from chat_data.rows import public_name
from hub_cards.facts import FACTS
from hub_cards.licences import LLAMA_1_REASON, descends_from_llama_1
from modeling_pandagpt.original_checkpoint_mapping import LORA_TARGETS
from processing import PandaGPTProcessor
from training.collator import PandaGPTDataCollator
from training.data import add_lengths, check_shards, load_datasets
from training.dry_run import describe
from training.embeddings import check_compatible, find_encoder
from training.model import build_model, write_merged
from training.trainer import PandaGPTSFTConfig, PandaGPTTrainer, is_whole, newest_whole_checkpoint, packaged


logger = logging.get_logger(__name__)

DESCRIPTION = "Fine-tune PandaGPT. --config FILE_OR_NAME reads a recipe, whose fields the options below override."


@dataclass
class Arguments:
    """
    What is trained, on what.

    Args:
        model (`str`):
            Hub id or folder of the base, as `pandagpt convert` writes it.
        data (`list`):
            Sources, each a path or a Hub id, or, in a recipe, a mapping as `training.data.load_datasets` takes it.
        adapter (`str`, *optional*):
            LoRA and projector to go on from, such as stage 1's. Its rank, alpha and targets are kept.
        train (`str`, *optional*, defaults to `"lora"`):
            `"lora"`: LoRA on the language model and the projector. `"projector"`: the projector only. `"full"`: the
            projector and the whole language model. `"everything"`: ImageBind too.
        dtype (`str`, *optional*, defaults to `"auto"`):
            Of the frozen weights; `"auto"` is what the base's files have. What is trained is float32, except under
            DeepSpeed, which keeps float32 copies itself, and in the last two choices of `train`.
        load_in_4bit (`bool`, *optional*, defaults to `False`):
            QLoRA: the language model's linear layers are held in 4 bits (nf4) by bitsandbytes and compute in `dtype`;
            the encoder, the projector and the output layer stay as they are, and what is trained is float32.
        lora_r, lora_alpha (`int`, *optional*, default to 32), lora_dropout (`float`, *optional*, defaults to 0.1):
            LoRA's rank, its scale (alpha / r) and its dropout.
        lora_target_modules (`str`, *optional*):
            Regular expression of the modules that get LoRA; the language model's q, k, v and o projections.
        validation_share (`float`, *optional*, defaults to 0):
            Share of the rows that is kept back for evaluation.
        streaming (`bool`, *optional*, defaults to `False`):
            Read rows as they come instead of loading the data first; needs `max_steps`.
        max_broken_share (`float`, *optional*, defaults to 0.01):
            Share of unreadable rows above which the run stops.
        merge (`bool`, *optional*, defaults to `False`):
            At the end also write base and adapter as one model, into `merged` below `output_dir`.
        dry_run (`bool`, *optional*, defaults to `False`):
            Show one batch, the share of truncated rows and what is trained, and stop.
    """

    model: str = field(metadata={"help": "Hub id or folder of the base, as `pandagpt convert` writes it."})
    data: list[str] = field(metadata={"help": "Sources: paths or Hub ids."})
    adapter: str | None = field(default=None, metadata={"help": "LoRA and projector to go on from."})
    train: Literal["lora", "projector", "full", "everything"] = field(
        default="lora", metadata={"help": "lora and projector, projector only, full language model too, everything."}
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = field(
        default="auto", metadata={"help": "Type of the frozen weights."}
    )
    load_in_4bit: bool = field(default=False, metadata={"help": "QLoRA: hold the language model in 4 bits."})
    lora_r: int = field(default=32, metadata={"help": "LoRA's rank."})
    lora_alpha: int = field(default=32, metadata={"help": "LoRA's scale: alpha / r."})
    lora_dropout: float = field(default=0.1, metadata={"help": "LoRA's dropout."})
    lora_target_modules: str = field(default=LORA_TARGETS, metadata={"help": "Modules that get LoRA, as a pattern."})
    validation_share: float = field(default=0.0, metadata={"help": "Share of the rows kept back for evaluation."})
    streaming: bool = field(default=False, metadata={"help": "Read rows as they come; needs --max_steps."})
    max_broken_share: float = field(default=0.01, metadata={"help": "Share of broken rows above which it stops."})
    merge: bool = field(default=False, metadata={"help": "At the end also write base and adapter as one model."})
    dry_run: bool = field(default=False, metadata={"help": "Show a batch and what is trained, and stop."})

    def __post_init__(self) -> None:
        self.sources = [{"path": source} if isinstance(source, str) else source for source in self.data]


def gather_facts(trainer: PandaGPTTrainer, arguments: Arguments) -> dict[str, Any]:
    """
    What a model card says about a run: data, hyperparameters, results, versions. It may be published: of what lies on
    this machine it has the last part of the path.
    """
    args = trainer.args
    fields = (
        *("learning_rate", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm", "seed"),
        *("num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps"),
        *("max_length", "warmup_steps", "warmup_type", "bf16", "fp16"),
    )
    plugin = trainer.accelerator.state.deepspeed_plugin
    # What an adapter was begun with stays, whatever the arguments of a later stage say.
    lora: Any = getattr(trainer.accelerator.unwrap_model(trainer.model), "peft_config", {}).get("default")
    history = [entry for entry in trainer.state.log_history if "loss" in entry or "eval_loss" in entry]
    return {
        "base_model": public_name(os.path.expanduser(arguments.model)),
        "base_model_revision": find_encoder(arguments.model).commit,
        "continued_from": arguments.adapter and public_name(os.path.expanduser(arguments.adapter)),
        "train": arguments.train,
        "load_in_4bit": arguments.load_in_4bit,
        "data": [public_source(source) for source in arguments.sources],
        "streaming": arguments.streaming,
        "hyperparameters": {
            **{name: getattr(args, name) for name in fields},
            **({"lora_r": lora.r, "lora_alpha": lora.lora_alpha, "lora_dropout": lora.lora_dropout} if lora else {}),
            "lr_scheduler_type": SchedulerType(args.lr_scheduler_type).value,
            "global_batch_size": args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
        },
        "distributed_type": trainer.accelerator.distributed_type.value,
        "zero_stage": plugin.zero_stage if plugin else None,
        "num_processes": trainer.accelerator.num_processes,
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "history": history,
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft", "datasets")},
    }


def public_source(source: dict[str, Any]) -> dict[str, Any]:
    """A source without the folders that it lies in; once it has none, only `on_hub` tells it from a Hub id."""
    path = os.path.expanduser(source["path"])
    told = {name: value for name, value in source.items() if name != "images"}
    return told | {"path": public_name(path), "on_hub": not os.path.exists(path)}


def train(arguments: Arguments, training_arguments: PandaGPTSFTConfig) -> PandaGPTTrainer:
    """
    Runs one stage and writes adapter, processor and `facts.json` into `output_dir`.

    Returns:
        [`PandaGPTTrainer`], after the run; without one when `dry_run` is set.

    Raises:
        ValueError: when `streaming` lacks `max_steps`, `merge` is set without an adapter, a whole model is to be
            trained on embeddings, an adapter is to be pushed whose base is a folder, or together with what it is
            merged to, or the data are not as `training/data.py` wants them.
    """
    if arguments.merge and arguments.train in ("full", "everything"):
        raise ValueError(f"merge is for an adapter: train={arguments.train} writes a whole model anyway")
    if arguments.streaming and training_arguments.max_steps <= 0:
        raise ValueError("streaming does not know how many rows there are: set max_steps")
    if arguments.merge and training_arguments.push_to_hub:
        raise ValueError(
            "push_to_hub would publish the adapter with the merged model inside: leave merge or push_to_hub out, and "
            "publish the merged model afterwards (`pandagpt publish model`)"
        )
    if training_arguments.push_to_hub and arguments.train in ("lora", "projector") and Path(arguments.model).exists():
        raise ValueError(
            f"push_to_hub would publish an adapter whose base is the folder {arguments.model}: publish that first "
            "(`pandagpt publish model`) and train from its Hub id, or publish the adapter afterwards"
        )
    set_seed(training_arguments.seed)  # LoRA begins at random
    if training_arguments.max_length is None:
        raise ValueError("max_length is needed: the most tokens after the media of the first question")
    # Through the front door: then the library knows our classes, and runs no folder's copy of them.
    processor: PandaGPTProcessor = pandagpt.PandaGPTProcessor.from_pretrained(arguments.model)
    if arguments.train in ("full", "everything"):
        keep_llama_1_private(arguments.model, training_arguments)
    train_rows, validation_rows = load_datasets(
        arguments.sources, arguments.validation_share, arguments.streaming, training_arguments.seed
    )
    if arguments.streaming:
        check_shards(train_rows, training_arguments.world_size)
    elif training_arguments.train_sampling_strategy == "group_by_length":
        train_rows = add_lengths(train_rows, processor, training_arguments.max_length)
    if validation_rows is not None and not arguments.streaming:
        validation_rows = add_lengths(validation_rows, processor, training_arguments.max_length)
    has_embeddings = "media_embeds" in next(iter(train_rows))
    if has_embeddings:
        if arguments.train in ("full", "everything"):
            raise ValueError(
                f"train={arguments.train} saves a whole model, but embeddings are trained on without encoder"
            )
        for source in arguments.sources:
            check_compatible(source, arguments.model)
    model = build_model(arguments, has_embeddings)
    collator = PandaGPTDataCollator(processor, training_arguments.max_length, arguments.max_broken_share)
    trainer = PandaGPTTrainer(
        model=model,
        args=training_arguments,
        data_collator=collator,
        train_dataset=train_rows,
        eval_dataset=validation_rows,
        processing_class=processor,
    )
    if arguments.dry_run:
        trainer.accelerator.print(describe(model, collator, train_rows, training_arguments.train_batch_size))
        return trainer

    resume = training_arguments.resume_from_checkpoint
    if str(resume).lower() in ("true", "false"):
        is_wanted = str(resume).lower() == "true"
        resume = newest_whole_checkpoint(str(training_arguments.output_dir)) if is_wanted else None
    elif resume and not is_whole(Path(resume)):
        raise ValueError(
            f"resume_from_checkpoint={resume} was not written to its end: true takes the newest whole one"
        )
    trainer.train(resume_from_checkpoint=resume)
    if validation_rows is not None:
        trainer.evaluate()
    finish(trainer, arguments, processor)
    return trainer


def keep_llama_1_private(model: str, training_arguments: PandaGPTSFTConfig) -> None:
    """Makes the repository that a whole model is pushed to private, unless its user has said what it is to be."""
    is_undecided = training_arguments.push_to_hub and training_arguments.hub_private_repo is None
    if is_undecided and descends_from_llama_1(pandagpt.PandaGPTConfig.from_pretrained(model)):
        logger.warning(f"The repository is to be private (hub_private_repo): {LLAMA_1_REASON}.")
        training_arguments.hub_private_repo = True


def finish(trainer: PandaGPTTrainer, arguments: Arguments, processor: PandaGPTProcessor) -> None:
    """Saves what was trained, says how, and merges and pushes on request."""
    output = Path(str(trainer.args.output_dir))
    trainer.save_model()
    if trainer.accelerator.is_main_process:
        facts = json.dumps(gather_facts(trainer, arguments), indent=2)
        (output / FACTS).write_text(facts + "\n", encoding="utf-8")
        if arguments.merge:
            write_merged(arguments, processor, str(output), output / "merged")
    trainer.create_model_card()
    trainer.accelerator.wait_for_everyone()
    if trainer.args.push_to_hub:
        trainer.push_to_hub()
    trainer.end()


def parse_arguments(argv: list[str]) -> tuple[Arguments, PandaGPTSFTConfig]:
    """Reads the command line, and the recipe that `--config` names: a file, or one of ours without its suffix."""
    argv = list(argv)
    for place in [place for place, argument in enumerate(argv[:-1], start=1) if argument == "--config"]:
        argv[place] = packaged("recipes", argv[place])
    kinds: Any = (Arguments, PandaGPTSFTConfig)  # TRL's own types of these say nothing
    parsed: Any = TrlParser(kinds, prog="pandagpt train", description=DESCRIPTION).parse_args_and_config(argv)
    return parsed


def main(argv: list[str] | None = None) -> None:
    """
    The command `pandagpt train`.

    Args:
        argv (`list[str]`, *optional*):
            The arguments after `train`; those of the process when `None`.
    """
    train(*parse_arguments(sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    main()
