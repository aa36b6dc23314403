# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Configurations: defaults, round trips, `modalities`, errors."""

import json

import pytest
from tiny_models import tiny_config, tiny_imagebind_config

from modeling_pandagpt import ImageBindConfig, PandaGPTConfig


def test_defaults_are_imagebind_huge_and_llama_7b():
    config = PandaGPTConfig()
    encoder = config.imagebind_config
    assert config.modalities == ["vision", "audio", "depth", "thermal", "imu"]
    assert encoder.text_config is None
    sizes = {
        name: (sub.num_hidden_layers, sub.hidden_size, sub.num_attention_heads)
        for name in config.modalities
        for sub in [getattr(encoder, f"{name}_config")]
    }
    assert sizes == {
        "vision": (32, 1280, 16),
        "audio": (12, 768, 12),
        "depth": (12, 384, 8),
        "thermal": (12, 768, 12),
        "imu": (6, 512, 8),
    }
    assert (config.text_config.model_type, config.text_config.hidden_size) == ("llama", 4096)
    assert set(config.modality_scales.values()) == {1.0}
    assert ImageBindConfig().text_config.num_hidden_layers == 24


def test_round_trip(tmp_path):
    config = tiny_config(modality_scales={"thermal": 10})
    config.save_pretrained(tmp_path)
    loaded = PandaGPTConfig.from_pretrained(tmp_path)
    assert loaded.to_diff_dict() == config.to_diff_dict()
    saved = json.loads((tmp_path / "config.json").read_text())
    assert set(saved["auto_map"]) == {
        "AutoConfig",
        "AutoModel",
        "AutoModelForImageTextToText",
        "AutoModelForMultimodalLM",
        "AutoModelForCausalLM",
    }
    assert loaded.modality_scales["thermal"] == 10.0
    assert loaded.modality_scales["depth"] == 1.0


def test_modalities_given_when_loading_reach_imagebind(tmp_path):
    tiny_config().save_pretrained(tmp_path)
    loaded = PandaGPTConfig.from_pretrained(tmp_path, modalities=["audio", "vision"])
    assert loaded.imagebind_config.modalities == ["vision", "audio"]
    assert PandaGPTConfig(modalities=["imu"]).imagebind_config.modalities == ["imu"]


def test_tie_word_embeddings_follows_the_language_model():
    tied = tiny_config().text_config.to_dict() | {"tie_word_embeddings": True}
    assert tiny_config(text_config=tied).tie_word_embeddings is True
    assert tiny_config().tie_word_embeddings is False


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"modalities": ["smell"]}, "smell"),
        ({"modality_scales": {"sound": 20}}, "sound"),
        ({"image_token_id": 91}, "ids must differ"),
        ({"text_config": {"model_type": "gemma2"}}, "final_logit_softcapping=30.0"),
    ],
)
def test_errors(overrides, message):
    with pytest.raises(ValueError, match=message):
        tiny_config(**overrides)


def test_heads_must_divide_the_width():
    with pytest.raises(Exception, match="multiple of num_attention_heads"):
        tiny_imagebind_config(vision_config={"hidden_size": 10, "num_attention_heads": 3})
