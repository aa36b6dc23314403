# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A tiny random model, a batch for it, and the golden models, converted."""

from pathlib import Path

import pytest
import torch
from tiny_models import PLACEHOLDER, convert, golden_sources, random_media, tiny_config

from modeling_pandagpt import PandaGPTForConditionalGeneration


@pytest.fixture(scope="session")
def _shared_tiny_model() -> PandaGPTForConditionalGeneration:
    torch.manual_seed(0)
    return PandaGPTForConditionalGeneration(tiny_config()).eval()


@pytest.fixture
def tiny_model(_shared_tiny_model) -> PandaGPTForConditionalGeneration:
    """A seeded random model of six modalities, new for each test."""
    model = PandaGPTForConditionalGeneration(tiny_config()).eval()
    model.load_state_dict(_shared_tiny_model.state_dict())
    return model


@pytest.fixture
def mixed_batch() -> dict[str, torch.Tensor]:
    """
    Three rows, left-padded: a picture and a sound summed, then a video; no medium; thermal, depth and motion apart.
    """
    p = PLACEHOLDER
    rows = [
        [1, 5, p["image"], 6, p["video"], 7, 8, 9],
        [0, 0, 0, 0, 0, 1, 10, 11],
        [0, 1, p["thermal"], 12, p["depth"], 13, p["imu"], 14],
    ]
    input_ids = torch.tensor(rows)
    return {
        "input_ids": input_ids,
        "attention_mask": (input_ids != 0).long(),
        "media_types": torch.tensor([[1, 3, 2], [0, 0, 0], [4, 5, 6]]),
        "media_slots": torch.tensor([[1, 1, 2], [0, 0, 0], [1, 2, 3]]),
        **random_media(image=1, audio=1, video=1, thermal=1, depth=1, imu=1),
    }


@pytest.fixture(scope="session")
def golden_pandagpt(fixtures, tmp_path_factory) -> Path:
    """The golden tiny PandaGPT, converted and merged."""
    output = tmp_path_factory.mktemp("golden") / "pandagpt"
    convert([*golden_sources(fixtures), "--output", output])
    return output
