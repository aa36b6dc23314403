# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Supervised fine-tuning in the original's two stages, with TRL's SFTTrainer and PEFT.

    pandagpt train --config training/recipes/stage_1_7b.yaml --output_dir runs/stage_1
    accelerate launch -m training.sft --config training/recipes/stage_2_7b.yaml --adapter runs/stage_1 \
        --output_dir runs/stage_2

A recipe may hold, and the command line override, every field of `Arguments` below and of TRL's `SFTConfig`.
`--dry_run` shows what would be trained on, and on what, and stops.
"""

import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from torch import nn
from transformers import set_seed
from transformers.integrations.deepspeed import deepspeed_config, is_deepspeed_zero3_enabled, unset_hf_deepspeed_config
from transformers.trainer_utils import SchedulerType
from trl import TrlParser

import pandagpt
from modeling_pandagpt import PandaGPTConfig, PandaGPTForConditionalGeneration
from modeling_pandagpt.original_checkpoint_mapping import LORA_TARGETS
from processing import PandaGPTProcessor
from training.collator import PandaGPTDataCollator
from training.data import AnyDataset, add_lengths, check_shards, load_datasets
from training.embeddings import check_compatible
from training.trainer import PandaGPTSFTConfig, PandaGPTTrainer, newest_whole_checkpoint, packaged


FACTS = "facts.json"

# So many rows tell the share of truncated ones well enough.
MOST_ROWS_DESCRIBED = 1000

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


def build_model(arguments: Arguments, has_embeddings: bool = False) -> nn.Module:
    """
    The model with what is trained requiring gradients, and nothing else.

    Args:
        arguments ([`Arguments`]):
            Which model, which adapter, what to train.
        has_embeddings (`bool`, *optional*, defaults to `False`):
            The data hold embeddings in place of media: no encoder is loaded then.

    Returns:
        `PeftModel`, or `PandaGPTForConditionalGeneration` when `train` is `"full"` or `"everything"`.
    """
    encoders: dict[str, Any] = {"modalities": []} if has_embeddings else {}
    config: Any = PandaGPTConfig.from_pretrained(arguments.model, **encoders)
    if deepspeed_config() is not None:
        # DeepSpeed cannot send parameters without dimensions: ImageBind's logit scales, which PandaGPT never uses.
        for modality in config.imagebind_config.modalities:
            getattr(config.imagebind_config, f"{modality}_config").logit_scale_init_value = None
    model: Any = PandaGPTForConditionalGeneration.from_pretrained(
        arguments.model, config=config, dtype=arguments.dtype
    )
    if arguments.train in ("full", "everything"):
        if arguments.adapter:
            model = PeftModel.from_pretrained(model, arguments.adapter).merge_and_unload()
        model.requires_grad_(True)
        model.model.imagebind.requires_grad_(arguments.train == "everything")
        return model
    # ZeRO-3 gathers parameters of one type only; DeepSpeed keeps float32 copies of what it trains anyway.
    in_float32 = not is_deepspeed_zero3_enabled()
    if arguments.adapter:
        lora: Any = PeftConfig.from_pretrained(arguments.adapter)
        lora.lora_dropout = arguments.lora_dropout
        model = PeftModel.from_pretrained(
            model, arguments.adapter, config=lora, is_trainable=True, autocast_adapter_dtype=in_float32
        )
    else:
        lora = LoraConfig(
            task_type="CAUSAL_LM",
            r=arguments.lora_r,
            lora_alpha=arguments.lora_alpha,
            lora_dropout=arguments.lora_dropout,
            target_modules=arguments.lora_target_modules,
            modules_to_save=["projector"],
        )
        model = get_peft_model(model, lora, autocast_adapter_dtype=in_float32)
    for name, parameter in model.named_parameters():
        if "projector.modules_to_save" in name and in_float32:
            parameter.data = parameter.data.float()
        if "lora_" in name and arguments.train == "projector":
            parameter.requires_grad_(False)
    return model


def trainable_by_module(model: nn.Module) -> Counter[str]:
    """Numbers of trained parameters by module, the layers of a stack taken together as `*`."""
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            module = name.removeprefix("base_model.model.").rpartition(".")[0]
            counts[re.sub(r"\.\d+(?=\.|$)", ".*", module)] += getattr(parameter, "ds_numel", parameter.numel())
    return counts


def is_truncated(collator: PandaGPTDataCollator, row: dict[str, Any]) -> bool:
    """Whether `max_length` cuts a row; a broken one, which the collator reports, is not counted."""
    try:
        return collator.tokenize(row).is_truncated
    except ValueError:
        return False


def describe(model: nn.Module, collator: PandaGPTDataCollator, dataset: AnyDataset, batch_size: int) -> str:
    """What `--dry_run` shows: one batch with its trained part marked, how many rows are cut, what is trained."""
    rows = list(islice(dataset, MOST_ROWS_DESCRIBED))
    lines = [collator.describe(rows[:batch_size])]
    truncated = sum(is_truncated(collator, row) for row in rows)
    lines.append(f"Truncated: {truncated} of the first {len(rows)} rows ({truncated / len(rows):.1%})")
    counts = trainable_by_module(model)
    total = sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in model.parameters())
    lines.append(f"Trained: {counts.total():,} of {total:,} parameters ({counts.total() / total:.2%})")
    lines += [f"  {name}: {count:,}" for name, count in counts.items()]
    return "\n".join(lines)


def gather_facts(trainer: PandaGPTTrainer, arguments: Arguments) -> dict[str, Any]:
    """What a model card says about a run: data, hyperparameters, results, versions."""
    args = trainer.args
    fields = (
        *("learning_rate", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm", "seed"),
        *("num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps"),
        *("max_length", "warmup_steps", "warmup_type", "bf16", "fp16"),
    )
    plugin = trainer.accelerator.state.deepspeed_plugin
    history = [entry for entry in trainer.state.log_history if "loss" in entry or "eval_loss" in entry]
    return {
        "base_model": arguments.model,
        "continued_from": arguments.adapter,
        "train": arguments.train,
        "data": arguments.sources,
        "streaming": arguments.streaming,
        "hyperparameters": {
            **{name: getattr(args, name) for name in fields},
            **{name: getattr(arguments, name) for name in ("lora_r", "lora_alpha", "lora_dropout")},
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


def write_merged(arguments: Arguments, processor: PandaGPTProcessor, adapter: str, output: Path) -> None:
    """Writes base and adapter as one model, from their files: nothing of the run's own memory or sharding is used."""
    if is_deepspeed_zero3_enabled():
        unset_hf_deepspeed_config()
    base = PandaGPTForConditionalGeneration.from_pretrained(arguments.model, dtype=arguments.dtype)
    PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(output)
    processor.save_pretrained(output)


def train(arguments: Arguments, training_arguments: PandaGPTSFTConfig) -> PandaGPTTrainer:
    """
    Runs one stage and writes adapter, processor and `facts.json` into `output_dir`.

    Returns:
        [`PandaGPTTrainer`], after the run; without one when `dry_run` is set.

    Raises:
        ValueError: when `streaming` lacks `max_steps`, `merge` is set without an adapter, a whole model is to be
            trained on embeddings, or the data are not as `training/data.py` wants them.
    """
    if arguments.merge and arguments.train in ("full", "everything"):
        raise ValueError(f"merge is for an adapter: train={arguments.train} writes a whole model anyway")
    if arguments.streaming and training_arguments.max_steps <= 0:
        raise ValueError("streaming does not know how many rows there are: set max_steps")
    set_seed(training_arguments.seed)  # LoRA begins at random
    if training_arguments.max_length is None:
        raise ValueError("max_length is needed: the most tokens after the media of the first question")
    # Through the front door: then the library knows our classes, and runs no folder's copy of them.
    processor: PandaGPTProcessor = pandagpt.PandaGPTProcessor.from_pretrained(arguments.model)
    train_rows, validation_rows = load_datasets(
        arguments.sources, arguments.validation_share, arguments.streaming, training_arguments.seed
    )
    if arguments.streaming:
        check_shards(train_rows, training_arguments.world_size)
    elif training_arguments.train_sampling_strategy == "group_by_length":
        train_rows = add_lengths(train_rows, processor, training_arguments.max_length)
    has_embeddings = "media_embeds" in next(iter(train_rows))
    if has_embeddings:
        if arguments.train in ("full", "everything"):
            raise ValueError(
                f"train={arguments.train} saves a whole model, but embeddings are trained on without encoder"
            )
        check_compatible(train_rows, arguments.model)
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
    trainer.train(resume_from_checkpoint=resume)
    if validation_rows is not None:
        trainer.evaluate()
    finish(trainer, arguments, processor)
    return trainer


def finish(trainer: PandaGPTTrainer, arguments: Arguments, processor: PandaGPTProcessor) -> None:
    """Saves what was trained, says how, and merges and pushes on request."""
    output = Path(str(trainer.args.output_dir))
    trainer.save_model()
    if trainer.accelerator.is_main_process:
        facts = json.dumps(gather_facts(trainer, arguments), indent=2)
        (output / FACTS).write_text(facts + "\n", encoding="utf-8")
        if arguments.merge:
            write_merged(arguments, processor, str(output), output / "merged")
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
