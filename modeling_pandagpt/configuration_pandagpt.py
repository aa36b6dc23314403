# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Configurations of ImageBind and PandaGPT.

Notable:
- The defaults are imagebind_huge and Vicuna-7B.
- `modalities` says which encoders exist. Weights of the others are neither built nor read.
- The complete `auto_map` is written by the configuration itself, since registering one class for several auto classes
  keeps only the last.
"""

from collections.abc import Sequence

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec


# In the order of `media_types`, whose ids are the positions counted from 1.
MEDIA_TYPES = ("image", "video", "audio", "thermal", "depth", "imu")

# The encoder that reads each kind of medium: a video is a picture with time.
MODALITY_OF_MEDIA_TYPE = {
    "image": "vision",
    "video": "vision",
    "audio": "audio",
    "thermal": "thermal",
    "depth": "depth",
    "imu": "imu",
}

MODALITIES = ("vision", "text", "audio", "depth", "thermal", "imu")

# The norms that the 2023 checkpoints were trained and used with: ImageBind's logit scales, which the original applied
# to every modality but sound.
ORIGINAL_MODALITY_SCALES = {"image": 1.0, "video": 1.0, "audio": 1.0, "thermal": 10.0, "depth": 5.0, "imu": 5.0}


@strict
class ImageBindEncoderConfig(PreTrainedConfig):
    r"""
    What the six encoders of ImageBind have in common (ImageBind, arXiv 2305.05665, appendix B): a pre-norm transformer
    with exact GELU over tokens of one modality, then LayerNorm, one token, and a bias-free linear map.

    Args:
        hidden_size (`int`, *optional*, defaults to 768):
            Width of the transformer.
        intermediate_size (`int`, *optional*):
            Width of the feed-forward layer. Four times `hidden_size` when `None`.
        num_hidden_layers (`int`, *optional*, defaults to 12):
            Number of transformer layers.
        num_attention_heads (`int`, *optional*, defaults to 12):
            Number of attention heads, a divisor of `hidden_size`.
        projection_dim (`int`, *optional*, defaults to 1024):
            Size of the shared space.
        add_kv_bias (`bool`, *optional*, defaults to `True`):
            Whether each attention layer appends one learned key and value to the sequence.
        drop_path_rate (`float`, *optional*, defaults to 0.0):
            Stochastic depth of the last layer while training; earlier layers have proportionally less.
        head_dropout (`float`, *optional*, defaults to 0.0):
            Dropout before the last linear map while training.
        logit_scale_init_value (`float`, *optional*):
            Initial inverse temperature of this modality's similarities. The parameter is kept as its logarithm; when
            `None` there is none.
        hidden_act (`str`, *optional*, defaults to `"gelu"`):
            Activation of the feed-forward layer.
        layer_norm_eps (`float`, *optional*, defaults to 1e-6):
            Epsilon of the transformer's and the head's LayerNorms.
        initializer_range (`float`, *optional*, defaults to 0.02):
            Standard deviation of the weights' initialisation.
    """

    hidden_size: int = 768
    intermediate_size: int | None = None
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    projection_dim: int = 1024
    add_kv_bias: bool = True
    drop_path_rate: float | int = 0.0
    head_dropout: float | int = 0.0
    logit_scale_init_value: float | int | None = None
    hidden_act: str = "gelu"
    layer_norm_eps: float | int = 1e-6
    initializer_range: float | int = 0.02

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.intermediate_size is None:
            self.intermediate_size = 4 * self.hidden_size

    def validate_architecture(self):
        """Raises `ValueError` when the heads do not divide the width."""
        if self.hidden_size % self.num_attention_heads != 0:
            raise ValueError(
                f"{self.model_type}: hidden_size ({self.hidden_size}) must be a multiple of num_attention_heads "
                f"({self.num_attention_heads})."
            )


@strict
class ImageBindVisionConfig(ImageBindEncoderConfig):
    r"""
    Pictures and videos: patches of `num_frames` x `patch_size` x `patch_size`, LayerNorm before the transformer.

    Args:
        image_size (`int`, *optional*, defaults to 224):
            Height and width that the position embedding is made for; other sizes are interpolated.
        patch_size (`int`, *optional*, defaults to 14):
            Height and width of a patch.
        num_frames (`int`, *optional*, defaults to 2):
            Frames of a clip, all of which one patch spans. A still picture stands for that many equal frames.
        num_channels (`int`, *optional*, defaults to 3):
            Colour channels.
    """

    model_type = "imagebind_vision"
    base_config_key = "vision_config"

    hidden_size: int = 1280
    num_hidden_layers: int = 32
    num_attention_heads: int = 16
    add_kv_bias: bool = False
    image_size: int = 224
    patch_size: int = 14
    num_frames: int = 2
    num_channels: int = 3


@strict
class ImageBindTextConfig(ImageBindEncoderConfig):
    r"""
    Text: CLIP's vocabulary, causal attention, read at the highest id (the end of text).

    Args:
        vocab_size (`int`, *optional*, defaults to 49408):
            Size of CLIP's vocabulary.
        max_position_embeddings (`int`, *optional*, defaults to 77):
            Longest text in tokens, begin and end among them.
    """

    model_type = "imagebind_text"
    base_config_key = "text_config"

    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    add_kv_bias: bool = False
    logit_scale_init_value: float | int | None = 1 / 0.07
    vocab_size: int = 49408
    max_position_embeddings: int = 77


@strict
class ImageBindAudioConfig(ImageBindEncoderConfig):
    r"""
    Sound: overlapping patches of a log-mel spectrogram.

    Args:
        num_mel_bins (`int`, *optional*, defaults to 128):
            Mel bins, the spectrogram's height.
        num_mel_frames (`int`, *optional*, defaults to 204):
            Frames of a clip (10 ms apart), the spectrogram's width.
        patch_size (`int`, *optional*, defaults to 16):
            Height and width of a patch.
        patch_stride (`int`, *optional*, defaults to 10):
            Distance between patches.
    """

    model_type = "imagebind_audio"
    base_config_key = "audio_config"

    drop_path_rate: float | int = 0.1
    logit_scale_init_value: float | int | None = 20.0
    num_mel_bins: int = 128
    num_mel_frames: int = 204
    patch_size: int = 16
    patch_stride: int = 10


@strict
class ImageBindDepthConfig(ImageBindEncoderConfig):
    r"""
    Depth maps (as disparity) of one channel.

    Args:
        image_size (`int`, *optional*, defaults to 224):
            Height and width that the position embedding is made for; other sizes are interpolated.
        patch_size (`int`, *optional*, defaults to 16):
            Height and width of a patch.
    """

    model_type = "imagebind_depth"
    base_config_key = "depth_config"

    hidden_size: int = 384
    num_attention_heads: int = 8
    logit_scale_init_value: float | int | None = 5.0
    image_size: int = 224
    patch_size: int = 16


@strict
class ImageBindThermalConfig(ImageBindEncoderConfig):
    r"""
    Thermal (long-wave infrared) pictures of one channel.

    Args:
        image_size (`int`, *optional*, defaults to 224):
            Height and width that the position embedding is made for; other sizes are interpolated.
        patch_size (`int`, *optional*, defaults to 16):
            Height and width of a patch.
    """

    model_type = "imagebind_thermal"
    base_config_key = "thermal_config"

    logit_scale_init_value: float | int | None = 10.0
    image_size: int = 224
    patch_size: int = 16


@strict
class ImageBindImuConfig(ImageBindEncoderConfig):
    r"""
    Motion: accelerometer and gyroscope, cut along time into patches that a linear map reads.

    Args:
        num_channels (`int`, *optional*, defaults to 6):
            Accelerometer x, y, z and gyroscope x, y, z.
        num_samples (`int`, *optional*, defaults to 2000):
            Samples of a recording of 5 s, 400 a second.
        patch_size (`int`, *optional*, defaults to 8):
            Samples of a patch.
    """

    model_type = "imagebind_imu"
    base_config_key = "imu_config"

    hidden_size: int = 512
    num_hidden_layers: int = 6
    num_attention_heads: int = 8
    drop_path_rate: float | int = 0.7
    head_dropout: float | int = 0.5
    logit_scale_init_value: float | int | None = 5.0
    num_channels: int = 6
    num_samples: int = 2000
    patch_size: int = 8


@strict
class ImageBindConfig(PreTrainedConfig):
    r"""
    Configuration of [`ImageBindModel`]. The defaults are imagebind_huge.

    Args:
        vision_config, text_config, audio_config, depth_config, thermal_config, imu_config (`dict`, *optional*):
            One nested configuration an encoder, as a dictionary or an object; `None` where there is no encoder.
        projection_dim (`int`, *optional*, defaults to 1024):
            Size of the shared space; every encoder projects to it.
        modalities (`list[str]`, *optional*, defaults to all six):
            The encoders that exist, of `"vision"`, `"text"`, `"audio"`, `"depth"`, `"thermal"`, `"imu"`. With none of
            them a PandaGPT can still be given `media_embeds`.
        initializer_range (`float`, *optional*, defaults to 0.02):
            For the library; the encoders have their own.

    Raises:
        ValueError: for an unknown modality.
    """

    model_type = "imagebind"
    sub_configs_defaults = {
        "vision_config": SubConfigSpec(ImageBindVisionConfig, optional=True),
        "text_config": SubConfigSpec(ImageBindTextConfig, optional=True),
        "audio_config": SubConfigSpec(ImageBindAudioConfig, optional=True),
        "depth_config": SubConfigSpec(ImageBindDepthConfig, optional=True),
        "thermal_config": SubConfigSpec(ImageBindThermalConfig, optional=True),
        "imu_config": SubConfigSpec(ImageBindImuConfig, optional=True),
    }

    vision_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    audio_config: dict | PreTrainedConfig | None = None
    depth_config: dict | PreTrainedConfig | None = None
    thermal_config: dict | PreTrainedConfig | None = None
    imu_config: dict | PreTrainedConfig | None = None
    projection_dim: int = 1024
    modalities: list[str] | None = None
    initializer_range: float | int = 0.02

    def __post_init__(self, **kwargs):
        modalities = self.modalities if self.modalities is not None else MODALITIES
        for modality in modalities:
            if modality in MODALITIES and getattr(self, f"{modality}_config") is None:
                setattr(self, f"{modality}_config", {})  # the encoder's defaults
        super().__post_init__(**kwargs)
        self.keep_modalities(modalities)
        for modality in self.modalities:
            getattr(self, f"{modality}_config").projection_dim = self.projection_dim
        self.auto_map = {
            "AutoConfig": "configuration_pandagpt.ImageBindConfig",
            "AutoModel": "modeling_imagebind.ImageBindModel",
        }

    def keep_modalities(self, modalities: Sequence[str]):
        """Keeps these encoders only. Raises `ValueError` when one is unknown or absent."""
        available = [name for name in MODALITIES if getattr(self, f"{name}_config") is not None]
        if not set(modalities) <= set(available):
            raise ValueError(f"ImageBind: modalities must be some of {available}, got {list(modalities)}.")
        self.modalities = [name for name in available if name in modalities]
        for modality in set(available) - set(modalities):
            setattr(self, f"{modality}_config", None)


@strict
class PandaGPTConfig(PreTrainedConfig):
    r"""
    Configuration of [`PandaGPTForConditionalGeneration`]. The defaults are imagebind_huge (without its text encoder,
    which answers nothing) and Vicuna-7B.

    Args:
        imagebind_config (`dict` or [`ImageBindConfig`], *optional*):
            The frozen encoder.
        text_config (`dict` or configuration, *optional*):
            The language model, any causal one of the library; LLaMA-7B when `None`.
        image_token_id, video_token_id, audio_token_id (`int`, *optional*, default to 32000, 32001, 32002):
            The placeholders, which stand after the base tokenizer's last id. They may lie beyond the language model's
            vocabulary, whose weights are never resized.
        thermal_token_id, depth_token_id, imu_token_id (`int`, *optional*, default to 32003, 32004, 32005):
            The placeholders of the other kinds.
        modality_scales (`dict[str, float]`, *optional*):
            What each kind of medium's embedding is multiplied with before the projector, by the names `"image"`,
            `"video"`, `"audio"`, `"thermal"`, `"depth"`, `"imu"`; 1.0 where not given. Converted 2023 checkpoints
            have thermal 10, depth 5 and imu 5.
        modalities (`list[str]`, *optional*):
            The encoders that exist, as in [`ImageBindConfig`]. Given here, it goes to `imagebind_config`.
        tie_word_embeddings (`bool`, *optional*):
            Whether the output layer shares the language model's input embeddings; the language model's own setting
            when `None`.
        initializer_range (`float`, *optional*, defaults to 0.02):
            Standard deviation of the projector's initialisation.

    Raises:
        ValueError: for an unknown modality, an unknown name in `modality_scales`, two equal placeholder ids, or a
            language model whose logits are scaled or capped, which the output layer here does not do.
    """

    model_type = "pandagpt"
    sub_configs_defaults = {
        "imagebind_config": SubConfigSpec(
            config_class=ImageBindConfig,
            init_kwargs={"modalities": [name for name in MODALITIES if name != "text"]},
        ),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
    }

    imagebind_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    image_token_id: int = 32000
    video_token_id: int = 32001
    audio_token_id: int = 32002
    thermal_token_id: int = 32003
    depth_token_id: int = 32004
    imu_token_id: int = 32005
    modality_scales: dict[str, float | int] | None = None
    tie_word_embeddings: bool | None = None
    initializer_range: float | int = 0.02

    def __post_init__(self, **kwargs):
        modalities = kwargs.pop("modalities", None)
        super().__post_init__(**kwargs)
        if modalities is not None:
            self.modalities = modalities
        for name in ("final_logit_softcapping", "logits_scaling", "logit_scale"):
            value = getattr(self.text_config, name, None)
            if value not in (None, 1):
                raise ValueError(
                    "PandaGPTConfig: the output layer is a plain linear map, but the language model "
                    f"({self.text_config.model_type}) asks for {name}={value}."
                )
        if self.tie_word_embeddings is None:
            self.tie_word_embeddings = self.text_config.tie_word_embeddings
        scales = self.modality_scales or {}
        if unknown := [name for name in scales if name not in MEDIA_TYPES]:
            raise ValueError(f"PandaGPTConfig: modality_scales knows {list(MEDIA_TYPES)}, got {unknown}.")
        self.modality_scales = {name: float(scales.get(name, 1.0)) for name in MEDIA_TYPES}
        if len(set(self.placeholder_token_ids)) < len(MEDIA_TYPES):
            raise ValueError(f"PandaGPTConfig: the placeholders' ids must differ, got {self.placeholder_token_ids}.")
        model = "modeling_pandagpt.PandaGPTForConditionalGeneration"
        self.auto_map = {
            "AutoConfig": "configuration_pandagpt.PandaGPTConfig",
            "AutoModel": model,
            "AutoModelForImageTextToText": model,
            "AutoModelForMultimodalLM": model,
            "AutoModelForCausalLM": model,
        }

    @property
    def modalities(self) -> list[str]:
        """`list[str]`: the encoders that exist."""
        return self.imagebind_config.modalities

    @modalities.setter
    def modalities(self, value: Sequence[str]):
        self.imagebind_config.keep_modalities(value)

    @property
    def placeholder_token_ids(self) -> list[int]:
        """`list[int]`: the placeholders' ids in the order of `media_types`."""
        return [getattr(self, f"{name}_token_id") for name in MEDIA_TYPES]


def _name_to_the_library() -> None:
    """
    `transformers serve` and the pipelines' check of a model's type go by the library's own lists of names, to which
    there is no public door: without this the first refuses PandaGPT, and the second logs that it is not supported.
    """
    try:
        from transformers.models.auto import modeling_auto

        for names in (
            modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
        ):
            names.setdefault(PandaGPTConfig.model_type, "PandaGPTForConditionalGeneration")
    except (ImportError, AttributeError):  # the lists are gone or renamed; nothing else depends on them
        return


_name_to_the_library()
ImageBindConfig.register_for_auto_class()
PandaGPTConfig.register_for_auto_class()

__all__ = [
    "ImageBindAudioConfig",
    "ImageBindConfig",
    "ImageBindDepthConfig",
    "ImageBindEncoderConfig",
    "ImageBindImuConfig",
    "ImageBindTextConfig",
    "ImageBindThermalConfig",
    "ImageBindVisionConfig",
    "PandaGPTConfig",
]
