# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The torchvision backends give Pillow's results within a grey level, on at most one pixel in a hundred."""

import numpy as np
import pytest
import torch
from PIL import Image

import processing


pytest.importorskip("torchvision", reason="torchvision is not installed: `make test-torchvision` has it")

LEVELS = {"return_tensors": "pt", "do_rescale": False, "do_normalize": False}
SIZES = [(640, 480), (300, 900), (224, 224), (97, 61), (1920, 1080), (50, 50)]  # smaller ones are scaled up


def picture(width: int, height: int, channels: int) -> Image.Image:
    """A gradient with edges and noise."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    values = np.stack(
        [x // 3 + y * channel + 60 * ((x // 40 + y // 40) % 2) for channel in range(1, channels + 1)], -1
    )
    noise = np.random.default_rng(0).integers(0, 40, values.shape)
    return Image.fromarray(((values + noise) % 256).astype(np.uint8).squeeze())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "channels"), [("PandaGPTImageProcessor", 3), ("PandaGPTThermalImageProcessor", 1)])
def test_pictures(name, channels, size):
    given = picture(*size, channels)
    ours, other = (getattr(processing, each)()(given, **LEVELS) for each in (f"{name}Pil", name))
    (values,), (twins,) = ours.values(), other.values()
    difference = (values.int() - twins.int()).abs()
    assert difference.max() <= 1 and (difference > 0).float().mean() <= 0.01


@pytest.mark.parametrize("size", SIZES)
def test_depth_maps_are_floats_in_both(size):
    depth = np.asarray(picture(*size, 1), dtype=np.float32) / 25 + 0.5
    ours, other = (
        getattr(processing, name)()(depth, return_tensors="pt").depth_values
        for name in ("PandaGPTDepthImageProcessorPil", "PandaGPTDepthImageProcessor")
    )
    torch.testing.assert_close(ours, other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["PandaGPTImageProcessor", "PandaGPTThermalImageProcessor"])
def test_they_take_a_batch_and_normalise(name):
    channels = 3 if name == "PandaGPTImageProcessor" else 1
    given = [picture(*size, channels) for size in SIZES]
    ours, other = (getattr(processing, each)()(given, return_tensors="pt") for each in (f"{name}Pil", name))
    (values,), (twins,) = ours.values(), other.values()
    assert values.shape == twins.shape == (len(SIZES), channels, 224, 224)
    assert (values - twins).abs().max() < 1.1 / 255 / 0.26  # a grey level, divided by the smallest deviation
