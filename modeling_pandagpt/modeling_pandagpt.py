# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""PandaGPT: a frozen ImageBind, one linear map, and a language model (arXiv 2305.16355).

Notable:
- One medium is one vector. Media of one slot are summed after projection; the sequence never changes its length.
- Everything about media happens in `PandaGPTModel.forward`, so that trainers which call the base model see it too.
- The placeholders may lie beyond the language model's vocabulary, which is never resized: id 0 is looked up instead.
- `generate` encodes the media once. What goes on from there is batch-first, so beams and several returned sequences
  need nothing of ours.
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModel
from transformers.cache_utils import Cache
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling
from transformers.modeling_utils import PreTrainedModel, slice_logits_to_keep
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple

from .configuration_pandagpt import MEDIA_TYPES, MODALITY_OF_MEDIA_TYPE, PandaGPTConfig
from .media_slots import (
    check_media_counts,
    check_slots,
    fill_slots,
    match_slots,
    media_of_rest,
    types_of_placeholders,
)
from .modeling_imagebind import ImageBindModel, move_to


# The model's inputs in the order of `media_types`.
MEDIA_INPUTS = (
    "pixel_values",
    "pixel_values_videos",
    "input_features",
    "thermal_values",
    "depth_values",
    "imu_values",
)


@dataclass
class PandaGPTModelOutputWithPast(BaseModelOutputWithPast):
    """
    Args:
        media_hidden_states (`torch.FloatTensor` of shape `(batch, media, hidden_size)`, *optional*):
            What each medium adds to its slot: its embedding, scaled and projected. Zero where a row is padded.
    """

    media_hidden_states: torch.FloatTensor | None = None


@dataclass
class PandaGPTCausalLMOutputWithPast(ModelOutput):
    """
    Args:
        loss (`torch.FloatTensor` of shape `(1,)`, *optional*, returned when `labels` is given):
            Language modelling loss.
        logits (`torch.FloatTensor` of shape `(batch, sequence, vocab_size)`):
            Scores of the next token.
        past_key_values (`Cache`, *optional*):
            Keys and values of the language model.
        hidden_states, attentions (`tuple[torch.FloatTensor]`, *optional*):
            The language model's.
        media_hidden_states (`torch.FloatTensor` of shape `(batch, media, hidden_size)`, *optional*):
            What each medium adds to its slot.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[torch.FloatTensor] | None = None
    attentions: tuple[torch.FloatTensor] | None = None
    media_hidden_states: torch.FloatTensor | None = None


@dataclass
class PandaGPTMediaOutput(ModelOutput):
    """
    Media as ImageBind sees them, arranged for a batch.

    Args:
        media_embeds (`torch.FloatTensor` of shape `(batch, media, projection_dim)`):
            ImageBind embeddings, before `modality_scales`. Zero where a row is padded.
        media_types (`torch.LongTensor` of shape `(batch, media)`):
            1..6 = image, video, audio, thermal, depth, imu; 0 pads.
    """

    media_embeds: torch.FloatTensor | None = None
    media_types: torch.LongTensor | None = None


def has_media(values: torch.Tensor | None) -> bool:
    """Whether an input holds any medium; a collator may send an empty one."""
    return values is not None and len(values) > 0


class PandaGPTPreTrainedModel(PreTrainedModel):
    """What the library asks of PandaGPT's models."""

    config: PandaGPTConfig
    base_model_prefix = "model"
    input_modalities = ["image", "video", "audio", "text"]
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = ["past_key_values"]
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        """As the library's; ImageBind comes frozen, which loading by itself would undo."""
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.base_model.imagebind.requires_grad_(False)
        return loaded


class PandaGPTModel(PandaGPTPreTrainedModel):
    r"""
    ImageBind, the projector and the language model without its output layer.

    ImageBind is frozen: it needs no gradients and stays in eval mode under `train()`, until somebody sets
    `requires_grad` on some of its parameters. Keep it so with LoRA, by naming the language model's layers alone:
    `target_modules=r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)"`.

    Under `torch.compile`, a forward with media is one graph when `media_types` are given; deriving them looks at the
    text. Whether media and placeholders agree is then not checked.
    """

    def __init__(self, config: PandaGPTConfig):
        super().__init__(config)
        self.imagebind = ImageBindModel._from_config(config.imagebind_config)
        self.projector = nn.Linear(config.imagebind_config.projection_dim, config.text_config.hidden_size)
        self.language_model = AutoModel.from_config(config.text_config)
        self.imagebind.requires_grad_(False)
        self.post_init()

    @property
    def imagebind_is_trained(self) -> bool:
        """`bool`: whether some parameter of ImageBind requires a gradient."""
        return any(parameter.requires_grad for parameter in self.imagebind.parameters())

    def train(self, mode: bool = True) -> "PandaGPTModel":
        """As `nn.Module.train`, but a frozen ImageBind keeps its dropout and stochastic depth off."""
        super().train(mode)
        if not self.imagebind_is_trained:
            self.imagebind.eval()
        return self

    def _encode(self, media_type: str, values: torch.Tensor, **kwargs) -> BaseModelOutputWithPooling:
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.imagebind_is_trained):
            return self.imagebind.encode(MODALITY_OF_MEDIA_TYPE[media_type], values, **kwargs)

    def _get_features(self, media_type: str, values: torch.Tensor, **kwargs) -> BaseModelOutputWithPooling:
        """Encodes media of one kind; `pooler_output` becomes what each adds to its slot, `(n, hidden_size)`."""
        outputs = self._encode(media_type, values, **kwargs)
        types = torch.full((len(values),), MEDIA_TYPES.index(media_type) + 1, device=values.device)
        outputs.pooler_output = self.project_media(outputs.pooler_output, types)
        return outputs

    @can_return_tuple
    def get_image_features(self, pixel_values: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        """`pooler_output` `(images, hidden_size)`: what each picture `(images, 3, 224, 224)` adds to its slot."""
        return self._get_features("image", pixel_values, **kwargs)

    @can_return_tuple
    def get_video_features(self, pixel_values_videos: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        """`pooler_output` `(videos, hidden_size)`: the same for videos `(videos, clips, 3, 2, 224, 224)`."""
        return self._get_features("video", pixel_values_videos, **kwargs)

    @can_return_tuple
    def get_audio_features(self, input_features: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        """`pooler_output` `(sounds, hidden_size)`: the same for sounds `(sounds, clips, 1, 128, 204)`."""
        return self._get_features("audio", input_features, **kwargs)

    @can_return_tuple
    def get_thermal_features(self, thermal_values: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        """`pooler_output` `(n, hidden_size)`: the same for thermal pictures `(n, 1, 224, 224)`."""
        return self._get_features("thermal", thermal_values, **kwargs)

    @can_return_tuple
    def get_depth_features(self, depth_values: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        """`pooler_output` `(n, hidden_size)`: the same for depth maps `(n, 1, 224, 224)`."""
        return self._get_features("depth", depth_values, **kwargs)

    @can_return_tuple
    def get_imu_features(self, imu_values: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        """`pooler_output` `(n, hidden_size)`: the same for motion recordings `(n, 6, 2000)`."""
        return self._get_features("imu", imu_values, **kwargs)

    def get_placeholder_types(
        self, input_ids: torch.LongTensor | None, inputs_embeds: torch.FloatTensor | None = None
    ) -> torch.LongTensor:
        """
        Where the placeholders stand.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, sequence)`, *optional*):
                The text.
            inputs_embeds (`torch.FloatTensor` of shape `(batch, sequence, hidden_size)`, *optional*):
                Its embeddings, when there are no ids. A placeholder is then known by its embedding, which it has only
                where the language model's vocabulary is padded beyond it.

        Returns:
            `torch.LongTensor` of shape `(batch, sequence)`: 1..6 at a placeholder (as in `media_types`), 0 elsewhere.

        Raises:
            ValueError: when there are no ids and two placeholders have the same embedding.
        """
        token_ids = self.config.placeholder_token_ids
        if input_ids is not None:
            types = torch.zeros_like(input_ids, dtype=torch.long)
            for type_id, token_id in enumerate(token_ids, start=1):
                types = types.masked_fill(input_ids == token_id, type_id)
            return types
        types = torch.zeros_like(inputs_embeds[..., 0], dtype=torch.long)
        known = [token_id for token_id in token_ids if token_id < self.config.text_config.vocab_size]
        embeddings = self.get_input_embeddings()(torch.tensor(known, dtype=torch.long, device=inputs_embeds.device))
        if len(embeddings.unique(dim=0)) < len(known):
            raise ValueError(
                "Two placeholders have the same embedding, so inputs_embeds do not say where media stand."
            )
        for token_id, embedding in zip(known, embeddings, strict=True):
            types = types.masked_fill((inputs_embeds == embedding).all(dim=-1), token_ids.index(token_id) + 1)
        return types

    def encode_media(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        pixel_values_videos: torch.FloatTensor | None = None,
        input_features: torch.FloatTensor | None = None,
        thermal_values: torch.FloatTensor | None = None,
        depth_values: torch.FloatTensor | None = None,
        imu_values: torch.FloatTensor | None = None,
        media_types: torch.LongTensor | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
    ) -> PandaGPTMediaOutput:
        """
        ImageBind embeddings of a batch's media, arranged by row. Give them to `forward` or `generate` instead of the
        media and no encoder runs again.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, sequence)`, *optional*):
                The text, needed when `media_types` is not given: every placeholder then stands for one medium.
            pixel_values (`torch.FloatTensor` of shape `(images, 3, 224, 224)`, *optional*):
                Pictures, in row-major order of `media_types`, as the media below.
            pixel_values_videos (`torch.FloatTensor` of shape `(videos, clips, 3, 2, 224, 224)`, *optional*):
                Videos.
            input_features (`torch.FloatTensor` of shape `(sounds, clips, 1, 128, 204)`, *optional*):
                Sounds.
            thermal_values (`torch.FloatTensor` of shape `(n, 1, 224, 224)`, *optional*):
                Thermal pictures.
            depth_values (`torch.FloatTensor` of shape `(n, 1, 224, 224)`, *optional*):
                Depth maps.
            imu_values (`torch.FloatTensor` of shape `(n, 6, 2000)`, *optional*):
                Motion recordings.
            media_types (`torch.LongTensor` of shape `(batch, media)`, *optional*):
                1..6 = image, video, audio, thermal, depth, imu, in each row's order; 0 pads.
            inputs_embeds (`torch.FloatTensor` of shape `(batch, sequence, hidden_size)`, *optional*):
                The text's embeddings instead of `input_ids`.

        Returns:
            [`PandaGPTMediaOutput`].

        Raises:
            ValueError: when there is no medium, or when media and `media_types` (or placeholders) differ in number,
                with both counts by kind.
        """
        inputs = (pixel_values, pixel_values_videos, input_features, thermal_values, depth_values, imu_values)
        if not any(has_media(values) for values in inputs):
            raise ValueError("encode_media was given no medium.")
        source = "media_types"
        if media_types is None:
            source = "the text's placeholders"
            media_types = types_of_placeholders(self.get_placeholder_types(input_ids, inputs_embeds))
        check_media_counts(media_types, [0 if values is None else len(values) for values in inputs], source)
        embeds = {
            type_id: self._encode(media_type, values).pooler_output
            for type_id, (media_type, values) in enumerate(zip(MEDIA_TYPES, inputs, strict=True), start=1)
            if has_media(values)
        }
        first = next(iter(embeds.values()))
        media_types = media_types.to(first.device)
        media_embeds = first.new_zeros(*media_types.shape, first.shape[-1])
        for type_id, of_type in embeds.items():
            where = (media_types == type_id).unsqueeze(-1)
            media_embeds = media_embeds.masked_scatter(where, of_type.to(media_embeds))
        return PandaGPTMediaOutput(media_embeds=media_embeds, media_types=media_types)

    def project_media(self, media_embeds: torch.FloatTensor, media_types: torch.LongTensor) -> torch.FloatTensor:
        """
        What each medium adds to its slot: W (scale * e) + b, the bias once for each medium (the original's rule).

        Args:
            media_embeds (`torch.FloatTensor` of shape `(batch, media, projection_dim)`):
                ImageBind embeddings.
            media_types (`torch.LongTensor` of shape `(batch, media)`):
                1..6; 0 pads.

        Returns:
            `torch.FloatTensor` of shape `(batch, media, hidden_size)`, zero where `media_types` is 0.
        """
        # The bias says what the projector computes in: a quantised weight is stored as integers, and PEFT hands on the
        # bias of the copy that it trains.
        media_embeds = move_to(self.projector.bias, media_embeds)
        scales = [0.0, *(self.config.modality_scales[name] for name in MEDIA_TYPES)]
        scale = media_embeds.new_tensor(scales)[media_types.to(media_embeds.device)]
        projected = self.projector(media_embeds * scale.unsqueeze(-1))
        return projected.masked_fill((media_types == 0).to(projected.device).unsqueeze(-1), 0.0)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        pixel_values_videos: torch.FloatTensor | None = None,
        input_features: torch.FloatTensor | None = None,
        thermal_values: torch.FloatTensor | None = None,
        depth_values: torch.FloatTensor | None = None,
        imu_values: torch.FloatTensor | None = None,
        media_types: torch.LongTensor | None = None,
        media_slots: torch.LongTensor | None = None,
        media_embeds: torch.FloatTensor | None = None,
        **kwargs,
    ) -> PandaGPTModelOutputWithPast:
        """
        Args:
            input_ids (`torch.LongTensor` of shape `(batch, sequence)`, *optional*):
                The text, with placeholders where media stand. Either this or `inputs_embeds`.
            attention_mask, position_ids, past_key_values, inputs_embeds:
                As the language model's.
            pixel_values, pixel_values_videos, input_features, thermal_values, depth_values, imu_values, media_types:
                The media, as in [`PandaGPTModel.encode_media`].
            media_slots (`torch.LongTensor` of shape `(batch, media)`, *optional*):
                Which placeholder of its row a medium goes to, counted from 1; 0 pads. When not given, the k-th
                placeholder of a kind takes the k-th medium of its kind.
            media_embeds (`torch.FloatTensor` of shape `(batch, media, projection_dim)`, *optional*):
                ImageBind embeddings computed earlier, instead of the media; given with `media_types`.

        Returns:
            [`PandaGPTModelOutputWithPast`].

        Raises:
            ValueError: when both or neither of `input_ids` and `inputs_embeds` are given, when media are given twice,
                or when media and placeholders do not agree, with both counts by kind.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give exactly one of input_ids and inputs_embeds.")
        media = (pixel_values, pixel_values_videos, input_features, thermal_values, depth_values, imu_values)
        is_given = any(has_media(values) for values in media)
        projection_dim = self.config.imagebind_config.projection_dim
        if is_given and media_embeds is not None:
            raise ValueError("Give media or their media_embeds, not both.")
        if is_given:
            encoded = self.encode_media(input_ids, *media, media_types, inputs_embeds)
            media_embeds, media_types = encoded.media_embeds, encoded.media_types

        media_hidden_states = None
        if media_embeds is not None:
            if media_types is None:
                raise ValueError("media_embeds come with media_types (batch, media): the scale depends on the kind.")
            expected = (*media_types.shape, projection_dim)
            if media_embeds.shape != expected:
                raise ValueError(f"media_embeds must be of shape {expected}, got {tuple(media_embeds.shape)}.")
            placeholder_types = self.get_placeholder_types(input_ids, inputs_embeds)
            if media_slots is None:
                media_slots = match_slots(placeholder_types, media_types)
            check_slots(placeholder_types, media_types, media_slots)
            media_hidden_states = self.project_media(media_embeds, media_types)
            if inputs_embeds is None:
                inputs_embeds = self.get_input_embeddings()(input_ids.masked_fill(placeholder_types > 0, 0))
            inputs_embeds = fill_slots(inputs_embeds, placeholder_types, media_hidden_states, media_slots)
        elif inputs_embeds is None:
            if input_ids.shape[1] > 1:  # a single id is a decoding step, and placeholders are never produced
                check_media_counts(
                    self.get_placeholder_types(input_ids), [0] * len(MEDIA_TYPES), "the text's placeholders"
                )
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if media_embeds is None and self.training:
            # Distributed training waits for every trained weight's gradient, also from a batch of text alone.
            nothing = self.project_media(inputs_embeds.new_zeros(1, projection_dim), torch.ones(1).long())
            inputs_embeds = inputs_embeds + 0.0 * nothing.to(inputs_embeds)

        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        return PandaGPTModelOutputWithPast(
            last_hidden_state=outputs.last_hidden_state,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            media_hidden_states=media_hidden_states,
        )


class PandaGPTForConditionalGeneration(PandaGPTPreTrainedModel, GenerationMixin):
    """
    PandaGPT with the language model's output layer: pictures, videos, sounds, thermal pictures, depth maps and motion
    recordings in, in any number, anywhere in a chat; text out.

    Weight paths: `model.imagebind.*`, `model.projector.*`, `model.language_model.*`, `lm_head.*`.
    """

    _tp_plan = {"lm_head": "colwise_gather_output"}

    def __init__(self, config: PandaGPTConfig):
        super().__init__(config)
        self.model = PandaGPTModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        embeddings = self.get_input_embeddings()
        name = next(name for name, module in self.model.named_modules() if module is embeddings)
        self._tied_weights_keys = {"lm_head.weight": f"model.{name}.weight"}  # language models name them variously
        # A padded vocabulary has rows for the placeholders, which are nothing to say.
        in_vocabulary = [i for i in config.placeholder_token_ids if i < config.text_config.vocab_size]
        self.generation_config.suppress_tokens = in_vocabulary or None
        self.post_init()

    def get_image_features(self, pixel_values: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        """See [`PandaGPTModel.get_image_features`], as for the kinds below."""
        return self.model.get_image_features(pixel_values, **kwargs)

    def get_video_features(self, pixel_values_videos: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        return self.model.get_video_features(pixel_values_videos, **kwargs)

    def get_audio_features(self, input_features: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        return self.model.get_audio_features(input_features, **kwargs)

    def get_thermal_features(self, thermal_values: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        return self.model.get_thermal_features(thermal_values, **kwargs)

    def get_depth_features(self, depth_values: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        return self.model.get_depth_features(depth_values, **kwargs)

    def get_imu_features(self, imu_values: torch.FloatTensor, **kwargs) -> BaseModelOutputWithPooling:
        return self.model.get_imu_features(imu_values, **kwargs)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args, **kwargs) -> nn.Module:
        """
        As the library's, but the placeholders alone are no reason to grow: PEFT asks for `len(tokenizer)` rows when it
        loads an adapter, and rows of theirs could be generated.
        """
        if new_num_tokens == max(self.config.placeholder_token_ids) + 1 > self.config.text_config.vocab_size:
            return self.get_input_embeddings()
        return super().resize_token_embeddings(new_num_tokens, *args, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        labels: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        pixel_values_videos: torch.FloatTensor | None = None,
        input_features: torch.FloatTensor | None = None,
        thermal_values: torch.FloatTensor | None = None,
        depth_values: torch.FloatTensor | None = None,
        imu_values: torch.FloatTensor | None = None,
        media_types: torch.LongTensor | None = None,
        media_slots: torch.LongTensor | None = None,
        media_embeds: torch.FloatTensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs,
    ) -> PandaGPTCausalLMOutputWithPast:
        """
        Args:
            labels (`torch.LongTensor` of shape `(batch, sequence)`, *optional*):
                Ids to predict, -100 where there is no loss. Placeholders never have one.
            logits_to_keep (`int` or `torch.Tensor`, *optional*, defaults to 0):
                Compute the logits of the last so many positions only, all when 0, or of the given positions.

        The other arguments are those of [`PandaGPTModel.forward`].

        Returns:
            [`PandaGPTCausalLMOutputWithPast`].

        Raises:
            ValueError: as [`PandaGPTModel.forward`].
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            pixel_values=pixel_values,
            pixel_values_videos=pixel_values_videos,
            input_features=input_features,
            thermal_values=thermal_values,
            depth_values=depth_values,
            imu_values=imu_values,
            media_types=media_types,
            media_slots=media_slots,
            media_embeds=media_embeds,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            is_placeholder = self.model.get_placeholder_types(labels) > 0
            loss = self.loss_function(
                logits=logits,
                labels=labels.masked_fill(is_placeholder, -100),
                vocab_size=self.config.text_config.vocab_size,
                **kwargs,
            )
        return PandaGPTCausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            media_hidden_states=outputs.media_hidden_states,
        )

    @torch.no_grad()
    def generate(self, inputs: torch.Tensor | None = None, **kwargs):
        """
        As the library's `generate`, with the media of [`PandaGPTModel.forward`]. They are encoded once, whatever the
        beams, the returned sequences or the length of the answer.
        """
        media = {name: kwargs.pop(name) for name in MEDIA_INPUTS if name in kwargs}
        if any(has_media(values) for values in media.values()):
            encoded = self.model.encode_media(
                input_ids=inputs if inputs is not None else kwargs.get("input_ids"),
                inputs_embeds=kwargs.get("inputs_embeds"),
                media_types=kwargs.get("media_types"),
                **media,
            )
            kwargs.update(encoded)
        return super().generate(inputs, **kwargs)

    def prepare_inputs_for_generation(  # type: ignore[override]  # the library passes keywords only
        self,
        input_ids: torch.LongTensor,
        inputs_embeds: torch.FloatTensor | None = None,
        is_first_iteration: bool | None = False,
        **kwargs,
    ) -> dict:
        """
        As the library's; media are sent with the prompt only, unless there is no cache to remember them. Of a prompt
        whose beginning is in `past_key_values` already, only the rest is read, and only that rest's media are sent.
        """
        model_inputs = super().prepare_inputs_for_generation(
            input_ids, inputs_embeds=inputs_embeds, is_first_iteration=is_first_iteration, **kwargs
        )
        media_inputs = ("media_embeds", "media_types", "media_slots")  # what encoded media come as
        if not is_first_iteration and kwargs.get("use_cache", True):
            for name in media_inputs:
                model_inputs.pop(name, None)
        elif kwargs.get("media_embeds") is not None and kwargs.get("next_sequence_length") is not None:
            input_ids = input_ids if inputs_embeds is None else None
            placeholder_types = self.model.get_placeholder_types(input_ids, inputs_embeds)
            media = [model_inputs.pop(name, None) for name in media_inputs]
            model_inputs |= media_of_rest(placeholder_types, kwargs["next_sequence_length"], *media)
        return model_inputs


PandaGPTForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")

__all__ = [
    "PandaGPTCausalLMOutputWithPast",
    "PandaGPTForConditionalGeneration",
    "PandaGPTMediaOutput",
    "PandaGPTModel",
    "PandaGPTModelOutputWithPast",
    "PandaGPTPreTrainedModel",
]
