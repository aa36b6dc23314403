# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""TRL's SFTTrainer, and the little that PandaGPT needs beyond it.

Notable:
- The library writes a checkpoint straight into its final folder and resumes from the highest number, finished or not.
  Here a list of the files and their sizes is written last; a folder that does not hold what its list says is no
  checkpoint.
- Token accuracy by kind of media, tokens per second and the share of padding are counted in a hook on the model,
  which sees inputs and outputs together: no second forward, and nothing to add to the batch.
- The original's schedule is DeepSpeed's WarmupDecayLR, whose warm-up is logarithmic; here it is there without
  DeepSpeed too.
"""

import json
import math
import os
import time
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from datasets import IterableDataset
from torch.optim.lr_scheduler import LambdaLR
from transformers.integrations.deepspeed import set_hf_deepspeed_config, unset_hf_deepspeed_config
from transformers.trainer import TRAINING_ARGS_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, SchedulerType, rotate_checkpoints, sort_checkpoints
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

from hub_cards.cards import write_training_card
from hub_cards.facts import FACTS
from modeling_pandagpt.configuration_pandagpt import MEDIA_TYPES


logger = logging.get_logger(__name__)

# What ids in `media_types` mean, after the rows without any medium.
KINDS = ("text", *MEDIA_TYPES)

MANIFEST = "complete.json"

# The original never warms up for fewer steps, however short the run.
MIN_WARMUP_STEPS = 10


def packaged(folder: str, name: str) -> str:
    """The path of one of our own files by its name without suffix, `packaged("deepspeed", "zero2")`; else `name`."""
    for file in (files("training") / folder).iterdir():
        if file.name.rpartition(".")[0] == name:
            return str(file)
    return name


@dataclass
class PandaGPTSFTConfig(SFTConfig):
    """
    TRL's `SFTConfig`, with what the two stages need.

    Args:
        global_batch_size (`int`, *optional*):
            Rows of one optimiser step over all processes. `gradient_accumulation_steps` follows from it, so that the
            batch stays the same whatever the number of processes.
        warmup_type (`str`, *optional*, defaults to `"log"`):
            Shape of the warm-up before a linear decay: `"log"`, the original's, or `"linear"`, the library's. Other
            values of `lr_scheduler_type` have a warm-up of their own.
        hub_strategy (`str`, *optional*, defaults to `"end"`):
            When `push_to_hub` pushes. Any other value than the default also publishes the library's pickle of all
            arguments.

    Raises:
        ValueError: when `global_batch_size` cannot be divided over the processes, or `warmup_type` is unknown.
    """

    global_batch_size: int | None = field(
        default=None, metadata={"help": "Rows of one optimiser step over all processes; sets the accumulation."}
    )
    warmup_type: str = field(
        default="log", metadata={"help": "Warm-up before a linear decay: log (the original's) or linear."}
    )
    hub_strategy: str = field(default="end", metadata={"help": "When push_to_hub pushes: at the end."})

    def __post_init__(self) -> None:
        if self.warmup_type not in ("log", "linear"):
            raise ValueError(f"warmup_type must be log or linear, got {self.warmup_type!r}")
        if self.global_batch_size is not None:
            processes = int(os.environ.get("WORLD_SIZE", "1"))
            together = processes * self.per_device_train_batch_size
            if self.global_batch_size < together or self.global_batch_size % together:
                raise ValueError(
                    f"global_batch_size {self.global_batch_size} is not a multiple of {together}: {processes} "
                    f"processes of {self.per_device_train_batch_size} rows each (per_device_train_batch_size)"
                )
            self.gradient_accumulation_steps = self.global_batch_size // together
        if isinstance(self.deepspeed, str):
            self.deepspeed = packaged("deepspeed", self.deepspeed)
        # Our rows keep media undecoded until the collator, which is ours: TRL must not touch columns or text.
        self.remove_unused_columns = False
        self.dataset_kwargs = {"skip_prepare_dataset": True}
        super().__post_init__()
        if getattr(self, "_n_gpu", 1) > 1:
            # torch's DataParallel, which the library falls back to, multiplies the batch without a word.
            raise ValueError(
                f"one process sees {self._n_gpu} GPUs: start `accelerate launch -m training.sft`, or show it a single "
                "one (CUDA_VISIBLE_DEVICES=0)"
            )
        if self.deepspeed and self.use_cpu:
            # The library does this on GPUs only; loading a model under ZeRO-3 needs it.
            from deepspeed import init_distributed

            init_distributed(dist_backend="gloo", auto_mpi_discovery=False)

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """Steps of the warm-up. Given as a share of all steps, it is rounded down, and at least 10 (the original)."""
        if 0 < self.warmup_steps < 1:
            return max(MIN_WARMUP_STEPS, int(num_training_steps * self.warmup_steps))
        return super().get_warmup_steps(num_training_steps)


def log_warmup_linear_decay(step: int, warmup_steps: int, training_steps: int) -> float:
    """
    What the learning rate is multiplied with in step `step`, counted from 0: as DeepSpeed's WarmupDecayLR, which lags
    by one, so that it is 0 in the first two steps.
    """
    warmup_steps, done = max(2, warmup_steps), max(0, step - 1)
    if done < warmup_steps:
        return math.log(done + 1) / math.log(warmup_steps)
    return max(0.0, (training_steps - done) / max(1, training_steps - warmup_steps))


class PandaGPTTrainer(SFTTrainer):
    """
    As `trl.SFTTrainer`, with checkpoints that are known to be whole, the original's schedule, and more in the logs:
    `image_token_accuracy` and so on over the rows with that kind of media, `text_token_accuracy` over rows without
    media, `tokens_per_second` over all processes, and `padding_share`, the part of `input_ids` that is padding.
    """

    args: PandaGPTSFTConfig
    model: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # TRL rounds what is trained on a quantised base to bfloat16, in which small steps are lost: that is undone.
        trained = {id(p): p.data for p in kwargs["model"].parameters() if p.requires_grad}
        super().__init__(*args, **kwargs)
        if getattr(self.model, "is_loaded_in_4bit", False):
            for parameter in self.model.parameters():
                parameter.data = trained.get(id(parameter), parameter.data)
        self._counts: dict[str, torch.Tensor] = {}
        self._counting_since: float | None = None
        # On the outermost module: PEFT calls the `forward` of what it wraps directly, past any hook.
        self.model.register_forward_hook(self._count, with_kwargs=True)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self._counting_since is None:
            self._counting_since = time.perf_counter()
        return super().training_step(*args, **kwargs)

    def _count(self, module: torch.nn.Module, args: tuple, inputs: dict[str, Any], outputs: Any) -> None:
        is_top1 = getattr(outputs, "is_top1", None)
        if is_top1 is None:  # a forward without TRL's loss
            return
        mask = inputs["attention_mask"]
        of_kind = rows_of_kinds(inputs.get("media_types"), mask).long()  # (kinds, batch)
        by_kind = torch.stack([is_top1.sum(dim=1), outputs.label_mask.sum(dim=1)], dim=1).long()  # (batch, 2)
        tokens = torch.stack([mask.sum(), torch.ones_like(mask).sum()]).view(1, 2)
        counts = torch.cat([of_kind @ by_kind, tokens])  # (kinds + 1, 2)
        mode = "train" if module.training else "eval"
        self._counts[mode] = self._counts[mode] + counts if mode in self._counts else counts

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        mode = "train" if self.model.training else "eval"
        if mode in self._counts:
            metrics = self._metrics[mode]
            counts = self.accelerator.reduce(self._counts.pop(mode), reduction="sum").tolist()
            *by_kind, (tokens, places) = counts
            for kind, (correct, trained) in zip(KINDS, by_kind, strict=True):
                if trained:
                    metrics[f"{kind}_token_accuracy"].append(correct / trained)
            metrics["padding_share"].append(1 - tokens / places)
            if mode == "train" and self._counting_since is not None:
                metrics["tokens_per_second"].append(tokens / (time.perf_counter() - self._counting_since))
                self._counting_since = None
        super().log(logs, start_time)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Any:
        # A process that runs out of rows before the others would leave them to wait, or to take each other's answers.
        if self.args.world_size > 1 and isinstance(self.train_dataset, IterableDataset):
            numbers = self.accelerator.gather(torch.tensor([len(batch_samples)], device=device)).tolist()
            if len(set(numbers)) > 1:
                raise ValueError(
                    f"the shards of the streamed data are uneven: {numbers} batches are left to the processes. Write "
                    "the data set anew in shards of equally many rows (`num_shards` of push_to_hub, or `pandagpt "
                    "publish dataset`), keep no validation_share back, stop before the end of an epoch (max_steps), "
                    "or turn streaming off"
                )
        return super()._get_num_items_in_batch(batch_samples, device)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Writes our card in place of TRL's, which describes a text model, when the run has saved what it is about."""
        output = Path(str(self.args.output_dir))
        if self.is_world_process_zero() and (output / FACTS).is_file():
            # The card counts the weights of a model that it builds. Under ZeRO-3 the library would divide that among
            # all processes, of which only this one is here.
            plugin = self.accelerator.state.deepspeed_plugin
            unset_hf_deepspeed_config()
            write_training_card(output, self.hub_model_id)
            if plugin is not None:
                set_hf_deepspeed_config(plugin.hf_ds_config)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        super()._save(output_dir, state_dict)
        # A pickle of all arguments, a token of the Hub among them: nothing reads it, and it would be published.
        (Path(output_dir or str(self.args.output_dir)) / TRAINING_ARGS_NAME).unlink(missing_ok=True)

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """As the library's, but a linear decay has the warm-up that `warmup_type` names."""
        is_ours = self.args.warmup_type == "log" and self.args.lr_scheduler_type == SchedulerType.LINEAR
        if self.lr_scheduler is None and is_ours:
            warmup_steps = self.args.get_warmup_steps(num_training_steps)
            self.lr_scheduler = LambdaLR(
                optimizer or self.optimizer,
                lambda step: log_warmup_linear_decay(step, warmup_steps, num_training_steps),
            )
            self._created_lr_scheduler = True
        return super().create_scheduler(num_training_steps, optimizer)

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        run = Path(self._get_output_dir(trial=trial))
        folder = run / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        limit = self.args.save_total_limit
        if self.args.should_save:
            (folder / MANIFEST).unlink(missing_ok=True)
        # An older checkpoint may only go when the new one is whole, on all processes.
        self.args.save_total_limit = None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            write_manifest(folder)
            best = self.state.best_model_checkpoint
            rotate_checkpoints(str(run), save_total_limit=limit, best_model_checkpoint=best, use_mtime=True)


def rows_of_kinds(media_types: torch.Tensor | None, attention_mask: torch.Tensor) -> torch.Tensor:
    """
    Which rows have media of which kind.

    Args:
        media_types (`torch.LongTensor` of shape `(batch, media)`, *optional*):
            1..6; 0 pads. `None` when no row has media.
        attention_mask (`torch.LongTensor` of shape `(batch, sequence)`):
            Of the same rows.

    Returns:
        `torch.BoolTensor` of shape `(7, batch)`, in the order of `KINDS`; first come the rows without media.
    """
    if media_types is None:
        media_types = torch.zeros_like(attention_mask[:, :1])
    kinds = torch.arange(len(KINDS), device=media_types.device).view(-1, 1, 1)
    found = (media_types.unsqueeze(0) == kinds).any(dim=2)
    found[0] = ~found[1:].any(dim=0)
    return found


def write_manifest(checkpoint: Path) -> None:
    """Declares a checkpoint complete: writes, in one move, the sizes of its files."""
    sizes = {str(file.relative_to(checkpoint)): file.stat().st_size for file in files_below(checkpoint)}
    unfinished = checkpoint / f"{MANIFEST}.unfinished"
    unfinished.write_text(json.dumps(sizes, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(checkpoint / MANIFEST)


def files_below(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST]


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was finished, and every file of its list is still there with its size."""
    try:
        sizes = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def newest_whole_checkpoint(output_dir: str | Path) -> str | None:
    """The checkpoint of the highest step that is whole; `None` when there is none. Others are named in a warning."""
    for checkpoint in reversed(sort_checkpoints(str(output_dir))):
        if is_whole(Path(checkpoint)):
            return checkpoint
        logger.warning(f"{checkpoint} was not written to its end and is left aside.")
    return None
