# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""ImageBind: six encoders, one space (arXiv 2305.05665).

Notable:
- One transformer for all; the encoders differ in how a medium becomes tokens (`…Embeddings`).
- Each encoder is a `PreTrainedModel`, so attention implementation, hidden states and attentions work for each alone.
- Clips of a video or a sound are encoded in one batch; each clip's embedding is normalised, then they are averaged.
- A still picture is never convolved twice: the patch kernel is summed over time instead.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.configuration_utils import PreTrainedConfig
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, PreTrainedModel
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .configuration_pandagpt import (
    MODALITIES,
    ImageBindAudioConfig,
    ImageBindConfig,
    ImageBindDepthConfig,
    ImageBindEncoderConfig,
    ImageBindImuConfig,
    ImageBindTextConfig,
    ImageBindThermalConfig,
    ImageBindVisionConfig,
)


@dataclass
class ImageBindOutput(ModelOutput):
    """
    What [`ImageBindModel`] returns: the embeddings of every input that was given, of norm 1 for each clip and averaged
    over clips (so that a video's or a sound's norm is at most 1).

    Args:
        image_embeds (`torch.FloatTensor` of shape `(images, projection_dim)`, *optional*):
            Embeddings of `pixel_values`.
        video_embeds (`torch.FloatTensor` of shape `(videos, projection_dim)`, *optional*):
            Embeddings of `pixel_values_videos`.
        text_embeds (`torch.FloatTensor` of shape `(texts, projection_dim)`, *optional*):
            Embeddings of `input_ids`.
        audio_embeds (`torch.FloatTensor` of shape `(sounds, projection_dim)`, *optional*):
            Embeddings of `input_features`.
        thermal_embeds (`torch.FloatTensor` of shape `(n, projection_dim)`, *optional*):
            Embeddings of `thermal_values`.
        depth_embeds (`torch.FloatTensor` of shape `(n, projection_dim)`, *optional*):
            Embeddings of `depth_values`.
        imu_embeds (`torch.FloatTensor` of shape `(n, projection_dim)`, *optional*):
            Embeddings of `imu_values`.
    """

    image_embeds: torch.FloatTensor | None = None
    video_embeds: torch.FloatTensor | None = None
    text_embeds: torch.FloatTensor | None = None
    audio_embeds: torch.FloatTensor | None = None
    thermal_embeds: torch.FloatTensor | None = None
    depth_embeds: torch.FloatTensor | None = None
    imu_embeds: torch.FloatTensor | None = None


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,  # (batch, heads, queries, head_dim)
    key: torch.Tensor,  # (batch, heads, keys, head_dim)
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention written out, the way that also returns its weights."""
    scores = query @ key.transpose(-1, -2) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    return (weights @ value).transpose(1, 2).contiguous(), weights


class ImageBindAttention(nn.Module):
    """Self-attention; where the configuration says so, one learned key and value stand after the sequence's own."""

    def __init__(self, config: ImageBindEncoderConfig):
        super().__init__()
        self.config = config
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.is_causal = False
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)
        if config.add_kv_bias:
            self.bias_k = nn.Parameter(torch.empty(1, 1, config.hidden_size))
            self.bias_v = nn.Parameter(torch.empty(1, 1, config.hidden_size))

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        batch = hidden_states.shape[0]
        query = self.q_proj(hidden_states)
        key = self.k_proj(hidden_states)
        value = self.v_proj(hidden_states)
        if self.config.add_kv_bias:
            key = torch.cat([key, self.bias_k.expand(batch, -1, -1)], dim=1)
            value = torch.cat([value, self.bias_v.expand(batch, -1, -1)], dim=1)
        query, key, value = (
            states.view(batch, states.shape[1], self.config.num_attention_heads, self.head_dim).transpose(1, 2)
            for states in (query, key, value)
        )  # (batch, heads, tokens, head_dim)
        attention: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        output, weights = attention(self, query, key, value, attention_mask, scaling=self.scaling, **kwargs)
        return self.out_proj(output.reshape(hidden_states.shape)), weights


class ImageBindMLP(nn.Module):
    def __init__(self, config: ImageBindEncoderConfig):
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation_fn = ACT2FN[config.hidden_act]
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation_fn(self.fc1(hidden_states)))


class ImageBindLayer(GradientCheckpointingLayer):
    """A pre-norm transformer layer. While training, a sample skips a branch with probability `drop_path`."""

    def __init__(self, config: ImageBindEncoderConfig, drop_path: float):
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = ImageBindAttention(config)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = ImageBindMLP(config)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs
    ) -> torch.Tensor:
        attended, _ = self.attention(self.norm1(hidden_states), attention_mask, **kwargs)
        hidden_states = hidden_states + self._skip(attended)
        return hidden_states + self._skip(self.mlp(self.norm2(hidden_states)))

    def _skip(self, branch: torch.Tensor) -> torch.Tensor:
        # dropout1d over (batch, 1, …) drops whole samples and rescales the others: stochastic depth.
        if self.drop_path == 0.0 or not self.training:
            return branch
        return nn.functional.dropout1d(branch.flatten(1).unsqueeze(1), self.drop_path).view_as(branch)


def move_to(parameter: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The values on the device of a parameter and, unless they are integers, in its dtype."""
    if values.is_floating_point():
        values = values.to(parameter.dtype)
    # Offloaded weights are nowhere yet; their modules have hooks that move the inputs.
    return values if parameter.device.type == "meta" else values.to(parameter.device)


def interpolate_position_embedding(position_embedding: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """
    Bicubic interpolation of the patches' part of a position embedding made for a square grid.

    Args:
        position_embedding (`torch.Tensor` of shape `(1, 1 + side * side, hidden_size)`):
            The class token's embedding and those of the patches in rows.
        height, width (`int`):
            Patches in each direction.

    Returns:
        `torch.Tensor` of shape `(1, 1 + height * width, hidden_size)`.
    """
    side = math.isqrt(position_embedding.shape[1] - 1)
    if (height, width) == (side, side):
        return position_embedding
    grid = position_embedding[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, hidden, side, side)
    grid = nn.functional.interpolate(grid.float(), size=(height, width), mode="bicubic").to(grid.dtype)
    return torch.cat([position_embedding[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


class ImageBindVisionPatchEmbedding(nn.Conv3d):
    """Patches in space and time, as (n, hidden, rows, columns)."""

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        if pixel_values.ndim == 4:  # (images, 3, height, width): equal frames, so the kernel's sum over time is exact
            return nn.functional.conv2d(pixel_values, self.weight.sum(dim=2), stride=self.stride[1:])
        return super().forward(pixel_values).squeeze(2)  # (clips, 3, frames, height, width)


class ImageBindVisionEmbeddings(nn.Module):
    """Patches in space and time, class token, positions, and the LayerNorm before the transformer."""

    def __init__(self, config: ImageBindVisionConfig):
        super().__init__()
        patch = (config.num_frames, config.patch_size, config.patch_size)
        num_patches = (config.image_size // config.patch_size) ** 2
        self.patch_embedding = ImageBindVisionPatchEmbedding(
            config.num_channels, config.hidden_size, patch, stride=patch, bias=False
        )
        self.class_embedding = nn.Parameter(torch.empty(1, 1, config.hidden_size))
        self.position_embedding = nn.Parameter(torch.empty(1, num_patches + 1, config.hidden_size))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embedding(pixel_values)
        positions = interpolate_position_embedding(self.position_embedding, *patches.shape[-2:])
        patches = patches.flatten(2).transpose(1, 2)  # (n, patches, hidden)
        tokens = torch.cat([self.class_embedding.expand(len(patches), -1, -1), patches], dim=1)
        return self.norm(tokens + positions)


class ImageBindPatchEmbeddings(nn.Module):
    """Patches of a picture of one channel (thermal, depth, a spectrogram), normalised, class token, positions."""

    def __init__(self, config: ImageBindAudioConfig | ImageBindDepthConfig | ImageBindThermalConfig):
        super().__init__()
        # Not isinstance: loaded as remote code from a folder, configurations are imported twice.
        if config.model_type == "imagebind_audio":
            stride = config.patch_stride
            rows = (config.num_mel_bins - config.patch_size) // stride + 1
            columns = (config.num_mel_frames - config.patch_size) // stride + 1
        else:
            stride = config.patch_size
            rows = columns = config.image_size // stride
        self.grid = (rows, columns)
        self.patch_embedding = nn.Conv2d(1, config.hidden_size, config.patch_size, stride=stride, bias=False)
        self.patch_norm = nn.LayerNorm(config.hidden_size)
        self.class_embedding = nn.Parameter(torch.empty(1, 1, config.hidden_size))
        self.position_embedding = nn.Parameter(torch.empty(1, rows * columns + 1, config.hidden_size))

    def forward(self, values: torch.Tensor) -> torch.Tensor:  # (n, 1, height, width)
        patches = self.patch_embedding(values)
        positions = self.position_embedding
        if tuple(patches.shape[-2:]) != self.grid:
            positions = interpolate_position_embedding(positions, *patches.shape[-2:])
        patches = self.patch_norm(patches.flatten(2).transpose(1, 2))  # (n, patches, hidden)
        return torch.cat([self.class_embedding.expand(len(patches), -1, -1), patches], dim=1) + positions


class ImageBindTextEmbeddings(nn.Module):
    """Tokens of CLIP's vocabulary and their positions."""

    def __init__(self, config: ImageBindTextConfig):
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = nn.Parameter(torch.empty(1, config.max_position_embeddings, config.hidden_size))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:  # (texts, tokens)
        longest = self.position_embedding.shape[1]
        if input_ids.shape[1] > longest:
            raise ValueError(f"input_ids: a text may have {longest} tokens at most, got {input_ids.shape[1]}.")
        return self.token_embedding(input_ids) + self.position_embedding[:, : input_ids.shape[1]]


class ImageBindImuEmbeddings(nn.Module):
    """Patches along time over all six channels, normalised, class token, positions."""

    def __init__(self, config: ImageBindImuConfig):
        super().__init__()
        self.patch_size = config.patch_size
        num_patches = config.num_samples // config.patch_size
        self.patch_embedding = nn.Linear(config.num_channels * config.patch_size, config.hidden_size, bias=False)
        self.patch_norm = nn.LayerNorm(config.hidden_size)
        self.class_embedding = nn.Parameter(torch.empty(1, 1, config.hidden_size))
        self.position_embedding = nn.Parameter(torch.empty(1, num_patches + 1, config.hidden_size))

    def forward(self, imu_values: torch.Tensor) -> torch.Tensor:  # (n, 6, samples)
        patches = imu_values.unfold(-1, self.patch_size, self.patch_size)  # (n, 6, patches, patch_size)
        patches = self.patch_norm(self.patch_embedding(patches.transpose(1, 2).flatten(2)))  # (n, patches, hidden)
        tokens = torch.cat([self.class_embedding.expand(len(patches), -1, -1), patches], dim=1)
        return tokens + self.position_embedding


class ImageBindHead(nn.Module):
    """From the token that is read to the shared space."""

    def __init__(self, config: ImageBindEncoderConfig):
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.head_dropout)
        self.projection = nn.Linear(config.hidden_size, config.projection_dim, bias=False)

    def forward(self, token: torch.Tensor) -> torch.Tensor:
        return self.projection(self.dropout(self.norm(token)))


class ImageBindPreTrainedModel(PreTrainedModel):
    """Weight initialisation and what the library asks of ImageBind's models."""

    config: PreTrainedConfig
    base_model_prefix = "imagebind"
    input_modalities = ["image", "video", "audio", "text"]
    supports_gradient_checkpointing = True
    _no_split_modules = [
        "ImageBindLayer",
        "ImageBindVisionEmbeddings",
        "ImageBindPatchEmbeddings",
        "ImageBindTextEmbeddings",
        "ImageBindImuEmbeddings",
    ]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": ImageBindLayer, "attentions": ImageBindAttention}

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        super()._init_weights(module)
        std = self.config.initializer_range
        if isinstance(module, ImageBindAttention) and module.config.add_kv_bias:
            init.normal_(module.bias_k, std=std)
            init.normal_(module.bias_v, std=std)
        elif isinstance(module, ImageBindEncoder) and module.logit_scale is not None:
            init.constant_(module.logit_scale, math.log(module.config.logit_scale_init_value))
        elif hasattr(module, "position_embedding"):
            init.normal_(module.position_embedding, std=std)
            if hasattr(module, "class_embedding"):
                init.normal_(module.class_embedding, std=std)


class ImageBindEncoder(ImageBindPreTrainedModel):
    """
    One modality's encoder: tokens, transformer, head. The subclasses say how a medium becomes tokens.

    `logit_scale` is the logarithm of the inverse temperature of this modality's similarities (paper, appendix B), or
    `None` where there is none.
    """

    config: ImageBindEncoderConfig
    main_input_name = "values"
    embeddings_class: type[nn.Module] = ImageBindPatchEmbeddings
    _input_embed_layer = "patch_embedding"

    def __init__(self, config: ImageBindEncoderConfig):
        super().__init__(config)
        last = max(config.num_hidden_layers - 1, 1)
        self.embeddings = self.embeddings_class(config)
        self.layers = nn.ModuleList(
            ImageBindLayer(config, config.drop_path_rate * index / last) for index in range(config.num_hidden_layers)
        )
        self.head = ImageBindHead(config)
        self.logit_scale = None
        if config.logit_scale_init_value is not None:
            self.logit_scale = nn.Parameter(torch.tensor(math.log(config.logit_scale_init_value)))
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def forward(self, values: torch.Tensor, **kwargs) -> BaseModelOutputWithPooling:
        """
        Args:
            values (`torch.Tensor`):
                The modality's input, one clip a row.

        Returns:
            [`~transformers.modeling_outputs.BaseModelOutputWithPooling`]: `last_hidden_state`
            `(n, tokens, hidden_size)` and `pooler_output` `(n, projection_dim)`, before any normalisation.
        """
        hidden_states = self.embeddings(values)
        for layer in self.layers:
            hidden_states = layer(hidden_states, is_causal=False, **kwargs)
        return BaseModelOutputWithPooling(
            last_hidden_state=hidden_states, pooler_output=self.head(hidden_states[:, 0])
        )


class ImageBindVisionModel(ImageBindEncoder):
    """Encoder of pictures `(n, 3, 224, 224)` and of video clips `(n, 3, 2, 224, 224)`."""

    config: ImageBindVisionConfig
    input_modalities = ["image", "video"]
    embeddings_class = ImageBindVisionEmbeddings


class ImageBindTextModel(ImageBindEncoder):
    """Encoder of text `(n, tokens)`: causal, and read where the highest id stands, which is the end of text."""

    config: ImageBindTextConfig
    input_modalities = ["text"]
    embeddings_class = ImageBindTextEmbeddings
    _input_embed_layer = "token_embedding"

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def forward(self, values: torch.Tensor, **kwargs) -> BaseModelOutputWithPooling:
        hidden_states = self.embeddings(values)
        mask = create_causal_mask(
            config=self.config, inputs_embeds=hidden_states, attention_mask=None, past_key_values=None
        )
        for layer in self.layers:
            hidden_states = layer(hidden_states, mask, is_causal=True, **kwargs)
        end = values.argmax(dim=-1)
        token = hidden_states[torch.arange(len(values), device=values.device), end]
        return BaseModelOutputWithPooling(last_hidden_state=hidden_states, pooler_output=self.head(token))


class ImageBindAudioModel(ImageBindEncoder):
    """Encoder of log-mel spectrograms `(n, 1, 128, 204)`."""

    config: ImageBindAudioConfig
    input_modalities = ["audio"]


class ImageBindDepthModel(ImageBindEncoder):
    """Encoder of depth maps `(n, 1, 224, 224)`."""

    config: ImageBindDepthConfig
    input_modalities = ["image"]


class ImageBindThermalModel(ImageBindEncoder):
    """Encoder of thermal pictures `(n, 1, 224, 224)`."""

    config: ImageBindThermalConfig
    input_modalities = ["image"]


class ImageBindImuModel(ImageBindEncoder):
    """Encoder of motion recordings `(n, 6, 2000)`."""

    config: ImageBindImuConfig
    input_modalities = ["image"]
    embeddings_class = ImageBindImuEmbeddings


ENCODER_CLASSES = {
    "vision": ImageBindVisionModel,
    "text": ImageBindTextModel,
    "audio": ImageBindAudioModel,
    "depth": ImageBindDepthModel,
    "thermal": ImageBindThermalModel,
    "imu": ImageBindImuModel,
}


class ImageBindModel(ImageBindPreTrainedModel):
    """
    ImageBind: pictures, videos, text, sound, depth, thermal pictures and motion in one space.

    Only the encoders named by `config.modalities` are built, as `vision_model`, `text_model`, `audio_model`,
    `depth_model`, `thermal_model` and `imu_model`; loading never reads the weights of the others.

    Raises:
        ValueError: when `config.modalities` names an encoder that is unknown or that the configuration lacks.
    """

    config: ImageBindConfig
    main_input_name = "pixel_values"

    def __init__(self, config: ImageBindConfig):
        super().__init__(config)
        config.keep_modalities(config.modalities)
        for modality in config.modalities:
            encoder = ENCODER_CLASSES[modality]._from_config(getattr(config, f"{modality}_config"))
            setattr(self, f"{modality}_model", encoder)
        absent = [modality for modality in MODALITIES if modality not in config.modalities]
        self._keys_to_ignore_on_load_unexpected = [rf"(^|\.){modality}_model\." for modality in absent]
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The text encoder's token embeddings. Raises `NotImplementedError`, as the library expects, without one."""
        if "text" not in self.config.modalities:
            raise NotImplementedError("This ImageBind has no text encoder, so it has no token embeddings.")
        return self.text_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module):
        self.text_model.set_input_embeddings(value)

    def get_modality_encoder(self, modality: str) -> ImageBindEncoder:
        """The encoder of `"vision"`, `"text"`, … Raises `ValueError` when `config.modalities` lacks it."""
        if modality not in self.config.modalities:
            raise ValueError(
                f"This ImageBind has no {modality} encoder: it was built with modalities={self.config.modalities}."
            )
        return getattr(self, f"{modality}_model")

    def encode(self, modality: str, values: torch.Tensor, **kwargs) -> BaseModelOutputWithPooling:
        """
        Embeddings of one kind of input.

        Args:
            modality (`str`):
                The encoder: `"vision"`, `"text"`, `"audio"`, `"depth"`, `"thermal"` or `"imu"`.
            values (`torch.Tensor`):
                The encoder's input: `(n, 3, 224, 224)` or `(n, clips, 3, 2, 224, 224)`, `(n, tokens)`,
                `(n, clips, 1, 128, 204)`, `(n, 1, 224, 224)` twice, `(n, 6, 2000)`.

        Returns:
            [`~transformers.modeling_outputs.BaseModelOutputWithPooling`]: `pooler_output` `(n, projection_dim)`, of
            norm 1 for each clip and averaged over clips, not normalised again (as ImageBind does); the rest is the
            encoder's, one row a clip.

        Raises:
            ValueError: when the encoder does not exist, `values` have the wrong number of dimensions, or a clip the
                wrong number of frames.
        """
        encoder = self.get_modality_encoder(modality)
        has_clips = modality == "audio" or (modality == "vision" and values.ndim != 4)
        expected = {"text": 2, "imu": 3, "audio": 5, "vision": 6 if has_clips else 4}.get(modality, 4)
        if values.ndim != expected:
            raise ValueError(
                f"ImageBind's {modality} encoder takes {expected} dimensions, got the shape {tuple(values.shape)}."
            )
        if modality == "vision" and has_clips and values.shape[3] != encoder.config.num_frames:
            raise ValueError(
                f"ImageBind's vision encoder takes clips of {encoder.config.num_frames} frames, got {values.shape[3]}."
            )
        values = move_to(encoder.embeddings.position_embedding, values)  # a weight that is never quantised
        outputs = encoder(values.flatten(0, 1) if has_clips else values, return_dict=True, **kwargs)
        embeds = nn.functional.normalize(outputs.pooler_output, dim=-1)
        outputs.pooler_output = embeds.unflatten(0, values.shape[:2]).mean(dim=1) if has_clips else embeds
        return outputs

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.FloatTensor | None = None,
        pixel_values_videos: torch.FloatTensor | None = None,
        input_ids: torch.LongTensor | None = None,
        input_features: torch.FloatTensor | None = None,
        thermal_values: torch.FloatTensor | None = None,
        depth_values: torch.FloatTensor | None = None,
        imu_values: torch.FloatTensor | None = None,
        **kwargs,
    ) -> ImageBindOutput:
        """
        Args:
            pixel_values (`torch.FloatTensor` of shape `(images, 3, 224, 224)`, *optional*):
                Pictures.
            pixel_values_videos (`torch.FloatTensor` of shape `(videos, clips, 3, 2, 224, 224)`, *optional*):
                Clips of videos.
            input_ids (`torch.LongTensor` of shape `(texts, 77)`, *optional*):
                Texts in CLIP's vocabulary, padded with 0.
            input_features (`torch.FloatTensor` of shape `(sounds, clips, 1, 128, 204)`, *optional*):
                Log-mel spectrograms.
            thermal_values (`torch.FloatTensor` of shape `(n, 1, 224, 224)`, *optional*):
                Thermal pictures.
            depth_values (`torch.FloatTensor` of shape `(n, 1, 224, 224)`, *optional*):
                Depth maps, as normalised disparity.
            imu_values (`torch.FloatTensor` of shape `(n, 6, 2000)`, *optional*):
                Motion recordings.

        Returns:
            [`ImageBindOutput`]: the embeddings of what was given.

        Raises:
            ValueError: when nothing is given, an encoder does not exist, or a shape is wrong.
        """
        inputs = {
            "image_embeds": ("vision", pixel_values),
            "video_embeds": ("vision", pixel_values_videos),
            "text_embeds": ("text", input_ids),
            "audio_embeds": ("audio", input_features),
            "thermal_embeds": ("thermal", thermal_values),
            "depth_embeds": ("depth", depth_values),
            "imu_embeds": ("imu", imu_values),
        }
        given = {name: item for name, item in inputs.items() if item[1] is not None}
        if not given:
            raise ValueError("ImageBindModel was given nothing to encode.")
        kwargs.pop("attention_mask", None)  # a tokenizer may send one; ImageBind's texts have a fixed length
        embeds = {name: self.encode(*item, **kwargs).pooler_output for name, item in given.items()}
        return ImageBindOutput(**embeds)

    def logit_scale(self, modality: str) -> torch.Tensor:
        """
        The factor, at most 100, that ImageBind multiplies this modality's similarities with (a scalar tensor): 20 for
        sound, 10 for thermal, 5 for depth and motion, 1 for vision, learned for text (paper, appendix B, table 9).
        """
        encoder = self.get_modality_encoder(modality)
        if encoder.logit_scale is None:
            return torch.ones((), device=encoder.device)
        return encoder.logit_scale.exp().clamp(max=100.0)


ImageBindModel.register_for_auto_class("AutoModel")

__all__ = ["ImageBindEncoder", "ImageBindModel", "ImageBindOutput", "ImageBindPreTrainedModel"]
