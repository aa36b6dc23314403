# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The model that a run trains: what is frozen, what is quantised, where LoRA goes; and adapter and base as one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.integrations.deepspeed import deepspeed_config, is_deepspeed_zero3_enabled, unset_hf_deepspeed_config
from transformers.utils import is_bitsandbytes_available

from modeling_pandagpt import PandaGPTConfig, PandaGPTForConditionalGeneration
from processing import PandaGPTProcessor
from training.embeddings import find_encoder


if TYPE_CHECKING:
    from training.sft import Arguments


def build_model(arguments: "Arguments", has_embeddings: bool = False) -> nn.Module:
    """
    The model with what is trained requiring gradients, and nothing else.

    Args:
        arguments ([`Arguments`]):
            Which model, which adapter, what to train.
        has_embeddings (`bool`, *optional*, defaults to `False`):
            The data hold embeddings in place of media: no encoder is loaded then.

    Returns:
        `PeftModel`, or `PandaGPTForConditionalGeneration` when `train` is `"full"` or `"everything"`.

    Raises:
        ImportError: when `load_in_4bit` is set and bitsandbytes is not installed.
        ValueError: when `load_in_4bit` does not go with the rest.
    """
    model = load_base(arguments, has_embeddings)
    if arguments.train in ("full", "everything"):
        if arguments.adapter:
            model = PeftModel.from_pretrained(model, arguments.adapter).merge_and_unload()
        model.requires_grad_(True)
        model.model.imagebind.requires_grad_(arguments.train == "everything")
        if deepspeed_config() is not None:
            make_savable(model, arguments.model)
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


def load_base(arguments: "Arguments", has_embeddings: bool) -> Any:
    """The base as its files have it, with the language model in 4 bits where that is wanted."""
    encoders: dict[str, Any] = {"modalities": []} if has_embeddings else {}
    config: Any = PandaGPTConfig.from_pretrained(arguments.model, **encoders)
    if deepspeed_config() is not None:
        # DeepSpeed cannot send parameters without dimensions: ImageBind's logit scales, which PandaGPT never uses.
        for modality in config.imagebind_config.modalities:
            getattr(config.imagebind_config, f"{modality}_config").logit_scale_init_value = None
    quantized = {"quantization_config": nf4(arguments, config)} if arguments.load_in_4bit else {}
    model: Any = PandaGPTForConditionalGeneration.from_pretrained(
        arguments.model, config=config, dtype=arguments.dtype, **quantized
    )
    if arguments.load_in_4bit:
        # Of the whole model it would also make the frozen encoder float32: twice its memory, for nothing.
        for part in (model.model.language_model, model.model.projector, model.lm_head):
            prepare_model_for_kbit_training(part, use_gradient_checkpointing=False)  # TRL sees to checkpointing
        for module in model.modules():
            # An evaluation would pack them anew for a kernel of some CPUs that lets no gradient through ever after.
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False
    return model


def make_savable(model: Any, name: str) -> None:
    """
    Makes what DeepSpeed saves of a whole model as complete as its base: the logit scales, without which it was loaded,
    come back as buffers, and under ZeRO-3 the names of weights are no longer changed into those that the library would
    also have accepted for them.
    """
    model._weight_conversions = None
    model.config.imagebind_config = PandaGPTConfig.from_pretrained(name).imagebind_config
    for path, scale in find_encoder(name).read_weights("logit_scale"):
        encoder = model.model.imagebind.get_submodule(path.removesuffix(".logit_scale"))
        del encoder.logit_scale
        encoder.register_buffer("logit_scale", scale.to(model.dtype))


def nf4(arguments: "Arguments", config: PandaGPTConfig) -> BitsAndBytesConfig:
    """QLoRA's 4 bits (arXiv 2305.14314, section 3) for the linear layers of the language model, but its output's."""
    if arguments.train in ("full", "everything"):
        raise ValueError(f"train={arguments.train} does not go with load_in_4bit: 4 bits cannot be trained, LoRA can")
    if is_deepspeed_zero3_enabled():
        raise ValueError("load_in_4bit does not go with ZeRO-3, which would divide packed weights: choose ZeRO-2")
    if not is_bitsandbytes_available():
        raise ImportError("load_in_4bit needs bitsandbytes: pip install bitsandbytes")
    dtype = config.dtype if arguments.dtype == "auto" else getattr(torch, arguments.dtype)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype or torch.float32,
        llm_int8_skip_modules=["model.imagebind", "model.projector", "lm_head"],  # for 4 bits too, despite its name
    )


def write_merged(arguments: "Arguments", processor: PandaGPTProcessor, adapter: str, output: Path) -> None:
    """
    Writes base and adapter as one model, from their files: nothing of the run's own memory or sharding is used, and a
    base that was trained in 4 bits is read as it is.
    """
    if is_deepspeed_zero3_enabled():
        unset_hf_deepspeed_config()
    base = PandaGPTForConditionalGeneration.from_pretrained(arguments.model, dtype=arguments.dtype)
    PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(output)
    processor.save_pretrained(output)
