# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The tiny model's configurations, processors and tokenizers: everything of the big one, in about 4 million weights.

Notable:
- Nothing here is a class of its own: the tiny model is an ordinary ImageBind and an ordinary LLaMA, only small.
- The tokenizer knows the toy world's words whole and spells everything else, so that any question can be read.
"""

import re
import string
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, PreTrainedTokenizerFast

from modeling_pandagpt import ImageBindConfig, PandaGPTConfig
from modeling_pandagpt.configuration_pandagpt import MEDIA_TYPES
from processing import ImageBindProcessor, PandaGPTProcessor
from processing.processing_imagebind import MODALITIES


PICTURE_SIZE = 64  # pixels
PROJECTION_DIM = 64

# The processors' settings where they differ from the big model's: small pictures, one clip of each video and sound.
_SMALL = {"size": {"shortest_edge": PICTURE_SIZE}, "crop_size": {"height": PICTURE_SIZE, "width": PICTURE_SIZE}}
SETTINGS: dict[str, dict[str, Any]] = {
    "image_processor": _SMALL,
    "video_processor": _SMALL | {"num_clips": 1, "num_crops": 1},
    "feature_extractor": {"num_clips": 1},
    "thermal_image_processor": _SMALL,
    "depth_image_processor": _SMALL,
    "imu_feature_extractor": {},
}

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
PAD, UNKNOWN = "<pad>", "<unk>"
TURN, STOP = "<|im_start|>", "<|im_end|>"  # as in ChatML
SLOT = ("<Img>", "</Img>")
ROLES = ("system", "user", "assistant")


def imagebind_config(vocab_size: int) -> ImageBindConfig:
    """Six encoders of width 128 (text: 64) into a space of 64 dimensions."""
    encoder = {
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "drop_path_rate": 0.0,
        "head_dropout": 0.0,
        # The usual 0.02 suits far wider layers: at this width it learns much more slowly.
        "initializer_range": 0.06,
        "logit_scale_init_value": 10.0,
    }
    picture = encoder | {"image_size": PICTURE_SIZE, "patch_size": 8}
    wave = encoder | {"num_hidden_layers": 3}
    return ImageBindConfig(
        vision_config=picture,
        text_config=encoder | {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": vocab_size},
        audio_config=wave | {"patch_size": 16, "patch_stride": 16},
        thermal_config=picture,
        depth_config=picture,
        imu_config=wave | {"patch_size": 40},
        projection_dim=PROJECTION_DIM,
    )


def language_config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """A LLaMA of four layers. The placeholders lie beyond its vocabulary."""
    return LlamaConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.06,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _own(config: Any) -> dict[str, Any]:
    """A configuration without the folder that it came from."""
    return {name: value for name, value in config.to_dict().items() if name != "_name_or_path"}


def pandagpt_config(imagebind: ImageBindConfig, language: LlamaConfig, processor: PandaGPTProcessor) -> PandaGPTConfig:
    """Both in one; every modality enters the projector as it is, with norm 1."""
    config = PandaGPTConfig(
        imagebind_config=_own(imagebind),
        text_config=_own(language),
        **{f"{medium}_token_id": getattr(processor, f"{medium}_token_id") for medium in MEDIA_TYPES},
    )
    config.modalities = [name for name in config.modalities if name != "text"]
    return config


def word_tokenizer(texts: Iterable[str], marks: Sequence[str], **special_tokens: str) -> PreTrainedTokenizerFast:
    """
    A tokenizer whose vocabulary is the words of some texts, and characters to spell all others with.

    Args:
        texts (`Iterable[str]`):
            Texts with all the words.
        marks (`Sequence[str]`):
            Special tokens, which get the highest ids in this order.
        special_tokens:
            Which of them begins, ends, ..., as `PreTrainedTokenizerFast` takes it.

    Returns:
        `PreTrainedTokenizerFast`: the padding has the id 0.
    """
    words = {word for text in texts for word in re.findall(r"\w+|[^\w\s]", text)}
    words |= {word.lower() for word in words} | {*ROLES, *string.ascii_letters, *string.digits, *string.punctuation}
    spelling = [f"##{character}" for character in (*string.ascii_letters, *string.digits)]
    pieces = [PAD, UNKNOWN, *sorted(words), *spelling, *marks]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("isolated")]
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(marks))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, unk_token=UNKNOWN, **special_tokens)


def language_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """The language model's tokenizer, with ChatML's marks."""
    return word_tokenizer(texts, [*SLOT, TURN, STOP], eos_token=STOP)


def caption_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """The text encoder's tokenizer. The end of text has the highest id: there the encoder reads."""
    tokenizer = word_tokenizer(texts, [BEGIN, END], bos_token=BEGIN, eos_token=END)
    ends = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (BEGIN, END)]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=ends
    )
    return tokenizer


def media_processors() -> dict[str, Any]:
    """One processor a kind of medium, with the small settings."""
    return {modality.processor: modality.processor_class()(**SETTINGS[modality.processor]) for modality in MODALITIES}


def imagebind_processor(texts: Iterable[str]) -> ImageBindProcessor:
    return ImageBindProcessor(**media_processors(), tokenizer=caption_tokenizer(texts))


def pandagpt_processor(tokenizer: PreTrainedTokenizerFast) -> PandaGPTProcessor:
    PandaGPTProcessor.add_placeholder_tokens(tokenizer)
    template = files("processing") / "chat_templates" / "chatml.jinja"
    return PandaGPTProcessor(
        **media_processors(), tokenizer=tokenizer, chat_template=template.read_text(encoding="utf-8")
    )
