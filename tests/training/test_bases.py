# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Other language models than LLaMA of 2023: converted, trained for some steps, loaded again, and asked.

Each is a tiny random one of its architecture, with a tokenizer of bytes that knows ChatML, as modern bases do. As
theirs, its own chat template knows text alone, and what begins, ends and pads a text differs among them.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import convert
from tiny_training import command_line, losses
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
    set_seed,
)

from pandagpt import PandaGPTProcessor
from training.model import build_model
from training.sft import parse_arguments, train


SIZE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    # Far from the usual 0.02: LoRA alone could not teach a model without any opinions in so few steps.
    "initializer_range": 0.2,
}
TEXT_ALONE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
)
END = "<|im_end|>"
QUESTION, ANSWER = "which colour ?", "blue"


class Base(NamedTuple):
    """A kind of language model; what its tokenizer calls the special tokens."""

    config: type
    settings: dict[str, Any]
    tokens: dict[str, str]


BASES = {
    "LLaMA": Base(LlamaConfig, {}, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}),
    # The same architecture; the embeddings are tied, and what ends an answer pads too.
    "SmolLM2": Base(
        LlamaConfig,
        {"tie_word_embeddings": True},
        {"bos_token": "<|im_start|>", "eos_token": END, "pad_token": END},
    ),
    # One layer in two has no position embedding.
    "SmolLM3": Base(
        SmolLM3Config,
        {"no_rope_layers": [1, 0], "tie_word_embeddings": True},
        {"eos_token": END, "pad_token": "<|endoftext|>"},
    ),
    # Biases in attention, and a vocabulary padded beyond the tokenizer's, where the placeholders then lie.
    "Qwen2": Base(
        Qwen2Config,
        {"tie_word_embeddings": True, "vocab_size": 320},
        {"eos_token": END, "pad_token": "<|endoftext|>"},
    ),
    # Heads of a size of their own, normalised queries and keys.
    "Qwen3": Base(
        Qwen3Config,
        {"head_dim": 16, "tie_word_embeddings": True, "vocab_size": 320},
        {"eos_token": END, "pad_token": "<|endoftext|>"},
    ),
}


def write_language_model(folder: Path, base: Base) -> None:
    """A folder as the Hub has it."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "<|endoftext|>", "<|im_start|>", END]
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, additional_special_tokens=["<|im_start|>", END], **base.tokens
    )
    fast.chat_template = TEXT_ALONE
    fast.save_pretrained(folder)
    ids = {f"{name}_id": fast.convert_tokens_to_ids(token) for name, token in base.tokens.items()}
    config = base.config(
        **{**SIZE, "vocab_size": len(fast), "bos_token_id": None, "pad_token_id": None, **ids} | base.settings
    )
    set_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    # The library leaves the padding token's embedding 0: where it also ends an answer, tied, it could never be said.
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=config.initializer_range)
    model.save_pretrained(folder)


@pytest.fixture(scope="module", params=BASES)
def base(request, fixtures, tmp_path_factory) -> Path:
    """The folder that `pandagpt convert` makes of a language model."""
    folder = tmp_path_factory.mktemp(request.param)
    write_language_model(folder / "language_model", BASES[request.param])
    encoder = fixtures / "imagebind_tiny"
    given = ["--imagebind", encoder / "imagebind_tiny.pth"]
    given += ["--imagebind-config", encoder / "imagebind_tiny_config.json"]
    convert([*given, "--language-model", folder / "language_model", "--output", folder / "base"])
    return folder / "base"


@pytest.fixture(scope="module")
def pictures(original_data) -> Path:
    """Eight pictures, of which the same is said."""
    turns = [{"from": "human", "value": QUESTION}, {"from": "gpt", "value": ANSWER}]
    path = original_data.with_name("the_same.json")
    path.write_text(json.dumps([{"image_name": str(index), "conversation": turns} for index in range(8)]))
    return path


class Run(NamedTuple):
    output: Path
    before: dict[str, torch.Tensor]
    after: dict[str, torch.Tensor]
    model: Any


@pytest.fixture(scope="module")
def run(base, pictures, tmp_path_factory) -> Run:
    """A run with LoRA."""
    output = tmp_path_factory.mktemp("run")
    more = ["--max_steps", 30, "--per_device_train_batch_size", 8, "--learning_rate", 1e-2, "--weight_decay", 0]
    more += ["--lora_r", 8, "--lora_alpha", 32]
    arguments, args = parse_arguments(command_line(base, pictures, output, *more, "--save_strategy", "no"))
    set_seed(args.seed)
    before = build_model(arguments).state_dict()
    model = train(arguments, args).model
    return Run(output, before, model.state_dict(), model)


def test_the_chat_template_has_a_place_for_media(base):
    """The base's own has none, so the converter puts ours in its place, and keeps the end token."""
    processor = PandaGPTProcessor.from_pretrained(base)
    content = [{"type": "image", "path": "-"}, {"type": "text", "text": QUESTION}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    assert text == f"<|im_start|>user\n<Img><image></Img>{QUESTION}{END}\n<|im_start|>assistant\n"
    assert TEXT_ALONE not in (processor.chat_template, processor.tokenizer.chat_template)


def test_it_is_trained(run):
    every = losses(run.output)
    assert len(every) == 30 and all(math.isfinite(loss) for loss in every)
    assert every[-1] < every[0] / 2


def test_only_lora_and_projector_move(run):
    moved = {name for name in run.after if not torch.equal(run.after[name], run.before[name])}
    trained = {name for name, parameter in run.model.named_parameters() if parameter.requires_grad}
    assert set(run.after) == set(run.before)
    assert moved == trained
    assert sum("lora_" in name for name in moved) == 2 * 4 * 2  # layers, projections, A and B
    assert sum("projector" in name for name in moved) == len(moved) - 16 == 2


def test_the_adapter_loads_and_answers(base, run, pictures):
    """What is saved is what was trained; an answer ends by the base's own end token, long before its limit."""
    saved = load_file(run.output / "adapter_model.safetensors")
    assert len(saved) == 18
    model = AutoModelForImageTextToText.from_pretrained(run.output, trust_remote_code=True).eval()
    processor = PandaGPTProcessor.from_pretrained(run.output)
    content = [
        {"type": "image", "path": str(pictures.parent / "images" / "1.jpg")},
        {"type": "text", "text": QUESTION},
    ]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        return_dict=True,
        add_generation_prompt=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs).logits, run.model.eval()(**inputs).logits, atol=1e-5, rtol=0)
    answer = model.generate(**inputs, max_new_tokens=32, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    end = processor.tokenizer.convert_tokens_to_ids(END)
    assert answer[0].tolist() == [*processor.tokenizer(ANSWER)["input_ids"], end]
    assert processor.post_process_image_text_to_text(answer) == [ANSWER]


@pytest.mark.parametrize("stage, batch, length", [(1, 256, 128), (2, 64, 512)])
def test_recipes_of_a_small_base(stage, batch, length, tmp_path):
    """They hold the original's numbers; only the base and its micro batch differ."""
    given = ["--use_cpu", "true", "--bf16", "false", "--output_dir", str(tmp_path)]
    small, args = parse_arguments(["--config", f"stage_{stage}_small", *given])
    original, original_args = parse_arguments(["--config", f"stage_{stage}_7b", *given])
    assert (args.global_batch_size, args.max_length) == (batch, length)
    for name in ("learning_rate", "adam_beta2", "weight_decay", "warmup_steps", "warmup_type", "num_train_epochs"):
        assert getattr(args, name) == getattr(original_args, name)
    for name in ("train", "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules"):
        assert getattr(small, name) == getattr(original, name)
    assert (small.adapter is not None) == (stage == 2)
