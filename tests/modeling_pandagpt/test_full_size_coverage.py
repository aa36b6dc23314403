# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Every tensor of the full-size checkpoints has one destination of the right shape, and all of ours are filled."""

import json
from collections import defaultdict

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from modeling_pandagpt import ImageBindConfig, ImageBindModel, PandaGPTConfig, PandaGPTForConditionalGeneration
from modeling_pandagpt.convert_original_checkpoint import build_on_meta, shapes_of
from modeling_pandagpt.original_checkpoint_mapping import (
    TEXT_MASK,
    Checkpoint,
    LazyTensor,
    imagebind_origin,
    match_delta,
    match_imagebind,
    match_language_model,
)


# Hidden size, layers, heads, size of the feed-forward layer.
LLAMA = {"7B": (4096, 32, 32, 11008), "13B": (5120, 40, 40, 13824)}

# Parameters, without the placeholders' rows, which do not exist.
LLAMA_PARAMETERS = {"7B": 6_738_415_616, "13B": 13_015_864_320}
IMAGEBIND_PARAMETERS = 1_200_781_057


def llama_config(size: str, vocab_size: int = 32000) -> LlamaConfig:
    hidden_size, layers, heads, intermediate_size = LLAMA[size]
    return LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
    )


def on_meta(shapes: dict[str, tuple[int, ...]]) -> Checkpoint:
    """A checkpoint of these shapes, which cannot be read, as nothing is while it is matched."""
    return Checkpoint(
        "full-size", {key: LazyTensor(tuple(shape), torch.float16, pytest.fail) for key, shape in shapes.items()}
    )


@pytest.fixture(scope="module")
def huge_keys(fixtures) -> dict[str, list[int]]:
    return json.loads((fixtures / "imagebind_tiny" / "imagebind_huge_keys.json").read_text())


def test_every_entry_of_imagebind_huge_has_one_destination(huge_keys):
    assert len(huge_keys) == 1311
    shapes = shapes_of(build_on_meta(ImageBindModel, ImageBindConfig()))
    blocks = defaultdict(list)
    for name in shapes:
        key, block, of = imagebind_origin(name)
        blocks[key, of].append(block)
    assert {key for key, _ in blocks} == set(huge_keys) - {TEXT_MASK}
    assert len(blocks) == 1310
    for (key, of), filled in blocks.items():
        assert sorted(filled) == list(range(of)), key


def test_imagebind_huge_has_the_right_shapes(huge_keys):
    checkpoint = on_meta(huge_keys)
    mask = torch.full(huge_keys[TEXT_MASK], -torch.inf).triu(1)
    checkpoint.tensors[TEXT_MASK] = LazyTensor(tuple(mask.shape), mask.dtype, lambda: mask)
    shapes = shapes_of(build_on_meta(ImageBindModel, ImageBindConfig()))
    matched = match_imagebind(checkpoint, shapes, absent=[])
    assert {name: tensor.shape for name, tensor in matched.items()} == shapes
    scales = 4  # of audio, depth, thermal and motion: buffers there, parameters here
    assert sum(tensor.numel for tensor in matched.values()) == IMAGEBIND_PARAMETERS + scales


@pytest.mark.parametrize("vocab_size", [32000, 32001])
@pytest.mark.parametrize("size", LLAMA)
def test_every_tensor_of_llama_has_one_destination(huge_keys, size, vocab_size):
    text_config = llama_config(size, vocab_size)
    original = shapes_of(build_on_meta(LlamaForCausalLM, text_config))
    shapes = shapes_of(build_on_meta(PandaGPTForConditionalGeneration, PandaGPTConfig(text_config=text_config)))
    ours = {name: shape for name, shape in shapes.items() if "language_model." in name or name.startswith("lm_head.")}
    checkpoint = on_meta(original)
    matched = match_language_model(checkpoint, ours, "model", vocab_size, tied=False)
    assert {name: tensor.shape for name, tensor in matched.items()} == ours
    assert sorted(map(id, matched.values())) == sorted(map(id, checkpoint.tensors.values()))
    more = 2 * (vocab_size - 32000) * text_config.hidden_size
    assert sum(tensor.numel for tensor in matched.values()) == LLAMA_PARAMETERS[size] + more
    rest = shapes.keys() - ours.keys() - {"model.projector.weight", "model.projector.bias"}
    not_text = {key for key in huge_keys if ".text." not in key}
    origins = {imagebind_origin(name.removeprefix("model.imagebind.")).key for name in rest}
    assert origins == not_text


@pytest.mark.parametrize("size", LLAMA)
def test_every_tensor_of_a_delta_has_one_destination(size):
    hidden_size, layers, _, _ = LLAMA[size]
    original = {"llama_proj.weight": (hidden_size, 1024), "llama_proj.bias": (hidden_size,)}
    for layer in range(layers):
        for projection in "qkvo":
            module = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{projection}_proj"
            original[f"{module}.lora_A.default.weight"] = (32, hidden_size)
            original[f"{module}.lora_B.default.weight"] = (hidden_size, 32)
    shapes = shapes_of(build_on_meta(PandaGPTForConditionalGeneration, PandaGPTConfig(text_config=llama_config(size))))
    checkpoint = on_meta(original)
    matched = match_delta(checkpoint, shapes, "model", rank=32)
    assert sorted(map(id, matched.values())) == sorted(map(id, checkpoint.tensors.values()))
    for name, tensor in matched.items():
        if name.endswith(".lora_A.weight"):
            assert tensor.shape == (32, shapes[name.replace("lora_A.", "")][1])
        elif name.endswith(".lora_B.weight"):
            assert tensor.shape == (shapes[name.replace("lora_B.", "")][0], 32)
        else:
            assert tensor.shape == shapes[name]
