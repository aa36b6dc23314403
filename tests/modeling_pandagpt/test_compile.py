# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What the encoders cost: one graph each under `torch.compile`, one batch for all clips, one convolution a picture."""

import pytest
import torch
from tiny_models import MEDIA_SHAPES, tiny_imagebind_config
from torch.utils._python_dispatch import TorchDispatchMode

from modeling_pandagpt import ImageBindModel


# The kinds of input of each encoder, two of each.
INPUTS = [
    ("vision", "pixel_values"),
    ("vision", "pixel_values_videos"),
    ("audio", "input_features"),
    ("thermal", "thermal_values"),
    ("depth", "depth_values"),
    ("imu", "imu_values"),
    ("text", "input_ids"),
]


@pytest.fixture(scope="module")
def imagebind() -> ImageBindModel:
    return ImageBindModel(tiny_imagebind_config()).eval()


def two_of(name: str) -> torch.Tensor:
    return torch.randint(1, 100, (2, 77)) if name == "input_ids" else torch.randn(2, *MEDIA_SHAPES[name])


class Shapes(TorchDispatchMode):
    """Notes the shape of each convolution's input and weight."""

    def __init__(self):
        super().__init__()
        self.convolutions = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.convolution.default:
            self.convolutions.append((tuple(args[0].shape), tuple(args[1].shape)))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("modality", "name"), INPUTS)
def test_an_encoder_is_one_graph(imagebind, modality, name):
    """The interpreter backend checks the capture without a compiler; a break would be an error."""
    torch.compiler.reset()
    encoder, values = imagebind.get_modality_encoder(modality), two_of(name)
    if name in ("pixel_values_videos", "input_features"):
        values = values.flatten(0, 1)  # one clip a row
    compiled = torch.compile(encoder, backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(values).pooler_output, encoder(values).pooler_output)


def test_a_still_picture_is_convolved_once(imagebind):
    with torch.no_grad(), Shapes() as shapes:
        imagebind.encode("vision", two_of("pixel_values"))
    assert shapes.convolutions == [((2, 3, 28, 28), (16, 3, 14, 14))]  # nothing repeated in time


@pytest.mark.parametrize(("modality", "name"), [("vision", "pixel_values_videos"), ("audio", "input_features")])
def test_all_clips_are_one_batch(imagebind, modality, name):
    batches = []
    encoder = imagebind.get_modality_encoder(modality)
    hook = encoder.register_forward_pre_hook(lambda module, args: batches.append(len(args[0])))
    values = two_of(name)
    with torch.no_grad():
        imagebind.encode(modality, values)
    hook.remove()
    assert batches == [values.shape[0] * values.shape[1]]
