# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Tiny random models and inputs for them; the golden models through the converter."""

from pathlib import Path

import torch
from transformers import LlamaConfig

from modeling_pandagpt import ImageBindConfig, PandaGPTConfig
from modeling_pandagpt.convert_original_checkpoint import main


PLACEHOLDER = {"image": 90, "video": 91, "audio": 92, "thermal": 93, "depth": 94, "imu": 95}

MEDIA_SHAPES = {
    "pixel_values": (3, 28, 28),
    "pixel_values_videos": (2, 3, 2, 28, 28),
    "input_features": (2, 1, 16, 26),
    "thermal_values": (1, 32, 32),
    "depth_values": (1, 32, 32),
    "imu_values": (6, 64),
}
MEDIA_INPUT = dict(zip(PLACEHOLDER, MEDIA_SHAPES, strict=True))


def tiny_imagebind_config(**overrides) -> ImageBindConfig:
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.2}
    return ImageBindConfig(
        **{
            "vision_config": {**size, "image_size": 28},
            "text_config": {**size, "vocab_size": 100},
            "audio_config": {**size, "num_mel_bins": 16, "num_mel_frames": 26},
            "depth_config": {**size, "image_size": 32},
            "thermal_config": {**size, "image_size": 32},
            "imu_config": {**size, "num_samples": 64},
            "projection_dim": 12,
            **overrides,
        }
    )


def tiny_config(**overrides) -> PandaGPTConfig:
    text_config = LlamaConfig(
        vocab_size=90,  # the placeholders lie beyond
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    encoder = tiny_imagebind_config(modalities=["vision", "audio", "depth", "thermal", "imu"])
    ids = {f"{name}_token_id": token_id for name, token_id in PLACEHOLDER.items()}
    return PandaGPTConfig(**{"imagebind_config": encoder, "text_config": text_config, **ids, **overrides})


def random_media(**counts: int) -> dict[str, torch.Tensor]:
    """`random_media(image=2)`: seeded random inputs for so many media of each kind."""
    generator = torch.Generator().manual_seed(3)
    return {
        MEDIA_INPUT[name]: torch.randn(count, *MEDIA_SHAPES[MEDIA_INPUT[name]], generator=generator)
        for name, count in counts.items()
    }


def row_alone(batch: dict, index: int, media: dict) -> dict:
    """One row of a batch alone, without its padding, with the row's own media."""
    keep = batch["attention_mask"][index].bool()
    alone = {name: batch[name][index : index + 1, keep] for name in ("input_ids", "attention_mask")}
    if media:
        used = batch["media_types"][index] > 0
        alone |= {name: batch[name][index : index + 1, used] for name in ("media_types", "media_slots")} | media
    return alone


def golden_sources(fixtures: Path) -> list[str | Path]:
    folder = fixtures / "imagebind_tiny"
    return [
        *("--imagebind", folder / "imagebind_tiny.pth", "--imagebind-config", folder / "imagebind_tiny_config.json"),
        *("--language-model", fixtures / "pandagpt_tiny" / "base_llama"),
        *("--delta", fixtures / "pandagpt_tiny" / "pytorch_model.pt"),
    ]


def convert(arguments: list[str | Path]):
    main([str(argument) for argument in arguments])
