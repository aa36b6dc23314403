# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""ImageBind: equal to the original on the golden inputs, and what a library model owes."""

import math

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import MEDIA_SHAPES, random_media, tiny_imagebind_config

from modeling_pandagpt import ImageBindModel


INPUTS = {
    "vision_image": "vision",
    "vision_video": "vision",
    "vision_image_252": "vision",
    "audio": "audio",
    "text": "text",
    "depth": "depth",
    "thermal": "thermal",
    "imu": "imu",
}

# The original's own logit scales, which its outputs are multiplied with (vision has none).
SCALES = {"vision": 1.0, "text": 1 / 0.07, "audio": 20.0, "depth": 5.0, "thermal": 10.0, "imu": 5.0}


@pytest.fixture(scope="module")
def golden(fixtures) -> dict[str, torch.Tensor]:
    return load_file(fixtures / "imagebind_tiny" / "imagebind_tiny_io.safetensors")


@pytest.fixture(scope="module")
def imagebind(golden_imagebind) -> ImageBindModel:
    return ImageBindModel.from_pretrained(golden_imagebind)


def golden_input(golden, name: str) -> torch.Tensor:
    values = golden[f"input.{name}"]
    return values if name == "text" else values.float()


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", INPUTS)
@torch.no_grad()
def test_equals_the_original(imagebind, golden, name, attention):
    imagebind.set_attn_implementation(attention)
    modality = INPUTS[name]
    outputs = imagebind.encode(modality, golden_input(golden, name))
    embeds, scale = outputs.pooler_output, imagebind.logit_scale(modality)
    assert scale.item() == pytest.approx(SCALES[modality], rel=1e-6)
    close = {"atol": 2e-5, "rtol": 0}
    torch.testing.assert_close(embeds * scale, golden[f"upstream.{name}"], **close)
    # PandaGPT's own copy of ImageBind leaves the factor out for sound alone.
    pandagpt_scale = 1.0 if modality == "audio" else scale
    torch.testing.assert_close(embeds * pandagpt_scale, golden[f"pandagpt.{name}"], **close)
    if f"trunk.{name}" in golden:
        torch.testing.assert_close(outputs.last_hidden_state, golden[f"trunk.{name}"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["vision_image", "audio", "text", "depth", "thermal", "imu"])
@torch.no_grad()
def test_heads_equal_the_original(imagebind, golden, name):
    encoder = imagebind.get_modality_encoder(INPUTS[name])
    values = golden_input(golden, name)
    values = values.flatten(0, 1) if name == "audio" else values
    torch.testing.assert_close(encoder(values).pooler_output, golden[f"head.{name}"], atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", INPUTS)
@torch.no_grad()
def test_bfloat16_stays_close(golden_imagebind, golden, name):
    half = ImageBindModel.from_pretrained(golden_imagebind, dtype=torch.bfloat16, modalities=[INPUTS[name]])
    assert half.dtype == torch.bfloat16
    embeds = half.encode(INPUTS[name], golden_input(golden, name)).pooler_output.float()
    cosine = torch.nn.functional.cosine_similarity(embeds, golden[f"upstream.{name}"])
    assert cosine.min() > 0.999


@torch.no_grad()
def test_a_still_picture_equals_its_repetition_in_time(imagebind, golden):
    picture = golden_input(golden, "vision_image")
    still = imagebind(pixel_values=picture).image_embeds
    video = picture.unsqueeze(2).expand(-1, -1, 2, -1, -1).unsqueeze(1)  # (n, clips, 3, 2, 224, 224)
    torch.testing.assert_close(imagebind(pixel_values_videos=video).video_embeds, still, atol=1e-6, rtol=0)


@torch.no_grad()
def test_forward_returns_what_was_given():
    model = ImageBindModel(tiny_imagebind_config()).eval()
    media = random_media(image=2, video=1, audio=3, thermal=1, depth=1, imu=2)
    outputs = model(**media, input_ids=torch.randint(0, 100, (2, 77)))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "image_embeds": (2, 12),
        "video_embeds": (1, 12),
        "text_embeds": (2, 12),
        "audio_embeds": (3, 12),
        "thermal_embeds": (1, 12),
        "depth_embeds": (1, 12),
        "imu_embeds": (2, 12),
    }
    torch.testing.assert_close(outputs.image_embeds.norm(dim=-1), torch.ones(2))
    assert (outputs.audio_embeds.norm(dim=-1) <= 1 + 1e-6).all()


@torch.no_grad()
def test_text_is_causal_and_read_at_its_end():
    model = ImageBindModel(tiny_imagebind_config(modalities=["text"])).eval()
    text = torch.tensor([[98, 5, 6, 99] + [0] * 73])
    longer = torch.tensor([[98, 5, 6, 99] + [7] * 73])
    for attention in ("eager", "sdpa"):
        model.set_attn_implementation(attention)
        torch.testing.assert_close(model(input_ids=text).text_embeds, model(input_ids=longer).text_embeds)
    with pytest.raises(ValueError, match="77 tokens at most, got 78"):
        model(input_ids=torch.zeros(1, 78, dtype=torch.long))


@torch.no_grad()
def test_hidden_states_and_attentions():
    model = ImageBindModel(tiny_imagebind_config()).eval()
    model.set_attn_implementation("eager")
    outputs = model.audio_model(torch.randn(3, *MEDIA_SHAPES["input_features"][1:]),
                                output_hidden_states=True, output_attentions=True)  # fmt: skip
    assert len(outputs.hidden_states) == 3
    torch.testing.assert_close(outputs.hidden_states[-1], outputs.last_hidden_state)
    tokens = outputs.last_hidden_state.shape[1]
    assert outputs.attentions[0].shape == (3, 2, tokens, tokens + 1)  # one learned key beside the sequence's own


def test_modalities_are_built_and_read_alone(tmp_path):
    ImageBindModel(tiny_imagebind_config()).save_pretrained(tmp_path)
    model, info = ImageBindModel.from_pretrained(tmp_path, modalities=["vision", "audio"], output_loading_info=True)
    assert [name for name, _ in model.named_children()] == ["vision_model", "audio_model"]
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    with pytest.raises(ValueError, match="no text encoder"):
        model(input_ids=torch.zeros(1, 77, dtype=torch.long))
    model.save_pretrained(tmp_path / "again")
    again = ImageBindModel.from_pretrained(tmp_path / "again")
    assert again.config.modalities == ["vision", "audio"]
    with pytest.raises(ValueError, match="must be some of"):
        ImageBindModel.from_pretrained(tmp_path / "again", modalities=["text"])


@pytest.mark.parametrize(
    ("modality", "shape", "expected"),
    [("audio", (1, 1, 16, 26), 5), ("vision", (1, 3, 2, 28, 28), 6), ("imu", (6, 64), 3), ("thermal", (32, 32), 4)],
)
def test_wrong_shapes(modality, shape, expected):
    model = ImageBindModel(tiny_imagebind_config())
    with pytest.raises(ValueError, match=f"{modality} encoder takes {expected} dimensions"):
        model.encode(modality, torch.zeros(shape))


def test_clips_of_too_many_frames():
    with pytest.raises(ValueError, match="clips of 2 frames, got 32"):
        ImageBindModel(tiny_imagebind_config()).encode("vision", torch.zeros(1, 2, 3, 32, 28, 28))


def test_nothing_to_encode():
    with pytest.raises(ValueError, match="nothing to encode"):
        ImageBindModel(tiny_imagebind_config())()


def test_stochastic_depth_acts_in_training_only():
    config = tiny_imagebind_config(modalities=["imu"])
    config.imu_config.drop_path_rate, config.imu_config.head_dropout = 0.9, 0.0
    model = ImageBindModel(config)
    imu = random_media(imu=64)["imu_values"]
    model.eval()
    torch.testing.assert_close(model(imu_values=imu).imu_embeds, model(imu_values=imu).imu_embeds)
    model.train()
    encoder = model.imu_model
    assert [layer.drop_path for layer in encoder.layers] == [0.0, 0.9]
    tokens = encoder.embeddings(imu)
    skipped = (encoder.layers[1](tokens) == tokens).flatten(1).all(dim=1).float().mean()
    assert 0.6 < skipped < 0.95  # both branches of a layer are skipped with probability 0.81


def test_the_head_drops_out_in_training_only():
    config = tiny_imagebind_config(modalities=["imu"])
    config.imu_config.head_dropout = 0.5
    model = ImageBindModel(config)
    imu = random_media(imu=2)["imu_values"]
    model.train()
    assert not torch.equal(model(imu_values=imu).imu_embeds, model(imu_values=imu).imu_embeds)
    model.eval()
    assert torch.equal(model(imu_values=imu).imu_embeds, model(imu_values=imu).imu_embeds)


def test_logit_scale_is_bounded():
    model = ImageBindModel(tiny_imagebind_config(modalities=["audio"]))
    model.audio_model.logit_scale.data.fill_(10.0)
    assert model.logit_scale("audio").item() == 100.0


def test_initialisation():
    model = ImageBindModel(tiny_imagebind_config())
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), name
    assert model.audio_model.logit_scale.item() == pytest.approx(math.log(20.0))
    assert model.vision_model.logit_scale is None
    assert model.audio_model.layers[0].attention.bias_k.std() > 0.05


def test_every_parameter_trains_when_unfrozen():
    model = ImageBindModel(tiny_imagebind_config()).train()
    model.gradient_checkpointing_enable()
    outputs = model(**random_media(image=4, audio=4, thermal=4, depth=4, imu=4),
                    input_ids=torch.randint(1, 99, (4, 77)))  # fmt: skip
    scales = [model.logit_scale(modality) for modality in model.config.modalities]
    loss = sum(embeds.sum() for embeds in outputs.values()) + sum(scales)
    loss.backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not without
