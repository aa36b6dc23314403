# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""ImageBind's processor: media of six modalities, and text in CLIP's vocabulary.

Notable:
- [`MediaProcessorMixin`] holds what this processor and PandaGPT's share: the six media processors, how the library
  finds them again in a Hub folder, and which keyword reaches which of them.
- Text is repaired and unescaped before it is tokenised, as CLIP's own tokenizer does (`ftfy`, then HTML entities
  twice), and padded with 0: the text encoder reads the position of the highest id.
"""

import gzip
import html
from pathlib import Path
from typing import Any, NamedTuple

from transformers import BatchFeature, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.processing_utils import MODALITY_TO_AUTOPROCESSOR_MAPPING, ProcessorMixin
from transformers.utils import is_torchvision_available, logging
from transformers.video_processing_utils import VideoProcessorMixin

from .feature_extraction_pandagpt import PandaGPTFeatureExtractor, PandaGPTImuFeatureExtractor
from .fetch_media import flatten
from .image_processing_pandagpt import (
    PandaGPTDepthImageProcessor,
    PandaGPTDepthImageProcessorPil,
    PandaGPTImageProcessor,
    PandaGPTImageProcessorPil,
    PandaGPTThermalImageProcessor,
    PandaGPTThermalImageProcessorPil,
)
from .video_processing_pandagpt import PandaGPTVideoProcessor


try:
    import ftfy
except ImportError:
    ftfy = None  # type: ignore[assignment]

logger = logging.get_logger(__name__)

# CLIP's vocabulary: 256 bytes, the same as ends of words, 48894 merges, two special tokens.
CLIP_MERGES = 49152 - 256 - 2
TEXT_LENGTH = 77


class Modality(NamedTuple):
    """One kind of media: its name in a chat, its argument of the processors, and what reads it."""

    name: str
    argument: str
    processor: str
    classes: tuple[type, ...]  # (with torchvision, with Pillow), or the only one

    def processor_class(self, backend: str | None = None) -> type:
        """The class for a backend, `"torchvision"` or `"pil"`; by default as the library chooses."""
        backend = backend or ("torchvision" if is_torchvision_available() else "pil")
        return self.classes[-1 if backend == "pil" else 0]


# The order is public: the type id of a medium is its place here, from 1.
MODALITIES = (
    Modality("image", "images", "image_processor", (PandaGPTImageProcessor, PandaGPTImageProcessorPil)),
    Modality("video", "videos", "video_processor", (PandaGPTVideoProcessor,)),
    Modality("audio", "audio", "feature_extractor", (PandaGPTFeatureExtractor,)),
    Modality(
        "thermal",
        "thermal",
        "thermal_image_processor",
        (PandaGPTThermalImageProcessor, PandaGPTThermalImageProcessorPil),
    ),
    Modality("depth", "depth", "depth_image_processor", (PandaGPTDepthImageProcessor, PandaGPTDepthImageProcessorPil)),
    Modality("imu", "imu", "imu_feature_extractor", (PandaGPTImuFeatureExtractor,)),
)


class MediaProcessorMixin(ProcessorMixin):
    """The six media processors of an ImageBind-based processor.

    A subclass names `image_processor`, `video_processor`, `feature_extractor`, `thermal_image_processor`,
    `depth_image_processor`, `imu_feature_extractor` and `tokenizer` in its constructor, in this order; a media
    processor that is `None` is built with its defaults.
    """

    def __init__(self, *processors: Any, chat_template: Any = None) -> None:
        named = dict(zip(self.get_attributes(), processors, strict=True))
        for modality in MODALITIES:
            if named[modality.processor] is None:
                named[modality.processor] = modality.processor_class()()
        super().__init__(**named, chat_template=chat_template)
        # Saving adds this, loading drops it: with it from the start a loaded processor equals the saved one.
        self.auto_map = {"AutoProcessor": f"{type(self).__module__.split('.')[-1]}.{type(self).__name__}"}

    @classmethod
    def _get_arguments_from_pretrained(
        cls,
        pretrained_model_name_or_path: Any,
        processor_dict: dict[str, Any] | None = None,
        subfolder: str = "",
        backend: str | None = None,
        **kwargs: Any,
    ) -> list:
        # The library finds only the first processor of each kind in a Hub folder, and that one through an Auto class,
        # which asks for `trust_remote_code` even where this very class was imported.
        processors = []
        for modality in MODALITIES:
            settings = (processor_dict or {}).get(modality.processor, {})
            if modality.processor in MODALITY_TO_AUTOPROCESSOR_MAPPING:
                settings = settings | {name: value for name, value in kwargs.items() if name in settings}
            processors.append(modality.processor_class(backend)(**settings))
        tokenizer = cls._load_tokenizer_from_pretrained(
            "tokenizer", pretrained_model_name_or_path, subfolder=subfolder, **kwargs
        )
        return [*processors, tokenizer]

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        # Without torchvision the library cannot even name the base class of video processors.
        if argument_name != "video_processor":
            return super().check_argument_for_proper_class(argument_name, argument)
        if not isinstance(argument, VideoProcessorMixin):
            raise TypeError(f"video_processor must be a VideoProcessorMixin, got {type(argument).__name__}")
        return VideoProcessorMixin

    def _kwargs_by_argument(self, media: dict[str, list], **kwargs: Any) -> tuple[dict[str, dict], Any]:
        """Sorts keywords by what they are for: a dict per argument (`text`, `images`, ...), and `return_tensors`.

        As in the library, which knows of four arguments, a keyword reaches every processor that takes it; here one
        that none takes is an error.
        """
        if media["imu"] and kwargs.get("sampling_rate") is not None:
            raise TypeError("sampling_rate may be that of audio or of imu: give it in audio_kwargs or imu_kwargs")
        own = {name: dict(kwargs.pop(f"{name}_kwargs", None) or {}) for name in ("thermal", "depth", "imu")}
        taken = {name: _keywords_of(getattr(self, f"{name}_image_processor")) for name in ("thermal", "depth")}
        sorted_by_library = self._keywords_of_library()
        if unknown := kwargs.keys() - sorted_by_library.union(*taken.values()):
            raise TypeError(f"unexpected keyword arguments {sorted(unknown)}: no processor takes them")
        for name, keywords in taken.items():
            if twice := own[name].keys() & kwargs.keys() & keywords:
                raise ValueError(f"{sorted(twice)} given twice: in {name}_kwargs and as keyword arguments")
            own[name] |= {keyword: kwargs[keyword] for keyword in kwargs.keys() & keywords}
        kwargs = {keyword: value for keyword, value in kwargs.items() if keyword in sorted_by_library}
        merged = self._merge_kwargs(tokenizer_init_kwargs=self.tokenizer.init_kwargs, **kwargs)
        return_tensors = merged["text_kwargs"].pop("return_tensors", None)
        sorted_kwargs = {name: merged[f"{name}_kwargs"] for name in ("text", "images", "videos", "audio")} | own
        for modality in MODALITIES:
            sorted_kwargs[modality.argument]["return_tensors"] = return_tensors
        return sorted_kwargs, return_tensors

    def _keywords_of_library(self) -> set[str]:
        known = self.valid_processor_kwargs.__annotations__
        typed = [*known.values(), self.image_processor, self.video_processor, self.feature_extractor]
        return {"common_kwargs", *known}.union(*map(_keywords_of, typed))

    def _process_media(self, media: dict[str, list], kwargs: dict[str, dict]) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        for modality in MODALITIES:
            if media[modality.argument]:
                outputs |= getattr(self, modality.processor)(media[modality.argument], **kwargs[modality.argument])
        return outputs


class ImageBindProcessor(MediaProcessorMixin):
    r"""
    Makes the inputs of [`ImageBindModel`]: any of six kinds of media, and text, all into one space.

    Args:
        image_processor (`PandaGPTImageProcessor`, *optional*): for `images`.
        video_processor (`PandaGPTVideoProcessor`, *optional*): for `videos`.
        feature_extractor (`PandaGPTFeatureExtractor`, *optional*): for `audio`.
        thermal_image_processor (`PandaGPTThermalImageProcessor`, *optional*): for `thermal`.
        depth_image_processor (`PandaGPTDepthImageProcessor`, *optional*): for `depth`.
        imu_feature_extractor (`PandaGPTImuFeatureExtractor`, *optional*): for `imu`.
        tokenizer (`CLIPTokenizer`): CLIP's vocabulary, e.g. of `clip_tokenizer_from_bpe`.
    """

    text_kwargs = {"padding": "max_length", "truncation": True, "max_length": TEXT_LENGTH}

    def __init__(
        self,
        image_processor: Any = None,
        video_processor: Any = None,
        feature_extractor: Any = None,
        thermal_image_processor: Any = None,
        depth_image_processor: Any = None,
        imu_feature_extractor: Any = None,
        tokenizer: Any = None,
    ) -> None:
        super().__init__(
            image_processor,
            video_processor,
            feature_extractor,
            thermal_image_processor,
            depth_image_processor,
            imu_feature_extractor,
            tokenizer,
        )

    def __call__(
        self,
        images: Any = None,
        text: str | list[str] | None = None,
        videos: Any = None,
        audio: Any = None,
        thermal: Any = None,
        depth: Any = None,
        imu: Any = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """
        Args:
            text (`str` or `list[str]`, *optional*): becomes `input_ids` (n, 77), padded with 0. Long text is cut
                and keeps its end token (PandaGPT's copy of ImageBind loses it, and then pools at the start).
            images, videos, audio, thermal, depth, imu (*optional*): one medium or a list of them, each what its
                processor takes: a path, URL, base64 string, bytes, array, ...
            kwargs: `return_tensors`; `images_kwargs`, `videos_kwargs`, `audio_kwargs`, `thermal_kwargs`,
                `depth_kwargs`, `imu_kwargs` for single processors; any other reaches every processor that takes it.

        Returns:
            `BatchFeature` with, of what was given, `input_ids`, `pixel_values` (n, 3, 224, 224),
            `pixel_values_videos` (n, clips, 3, 2, 224, 224), `input_features` (n, clips, 1, 128, 204),
            `thermal_values` and `depth_values` (n, 1, 224, 224), `imu_values` (n, 6, 2000).

        Raises:
            `ValueError`: if nothing is given, or a medium cannot be read (named by its position).
            `TypeError`: if `text` is neither a string nor a list of strings, or nothing takes a keyword.
        """
        media = flatten_media(images=images, videos=videos, audio=audio, thermal=thermal, depth=depth, imu=imu)
        if text is None and not any(media.values()):
            raise ValueError("give at least one of text, images, videos, audio, thermal, depth, imu")
        sorted_kwargs, return_tensors = self._kwargs_by_argument(media, **kwargs)
        outputs = {} if text is None else {"input_ids": self._tokenize(list_of_texts(text), **sorted_kwargs["text"])}
        outputs |= self._process_media(media, sorted_kwargs)
        return BatchFeature(outputs, tensor_type=return_tensors)

    def _tokenize(self, texts: list[str], padding: bool | str, max_length: int, **kwargs: Any) -> list[list[int]]:
        # By hand: the tokenizer's own pad token is the end token, which would win the highest id's place.
        ids = self.tokenizer([_clean(text) for text in texts], max_length=max_length, **kwargs)["input_ids"]
        if padding in (False, None, "do_not_pad"):
            return ids
        width = max_length if padding == "max_length" else max(map(len, ids))
        return [row + [0] * (width - len(row)) for row in ids]

    @property
    def unused_input_names(self) -> list[str]:
        return ["attention_mask"]


def clip_tokenizer_from_bpe(path: str | Path) -> CLIPTokenizer:
    """Builds CLIP's tokenizer from `bpe_simple_vocab_16e6.txt.gz`, the file that ImageBind ships.

    Raises:
        `ValueError`: if the file holds too few merges.
    """
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[1 : CLIP_MERGES + 1]
    merges = [tuple(line.split()) for line in lines]
    if len(merges) != CLIP_MERGES or any(len(merge) != 2 for merge in merges):
        raise ValueError(f"{path} is not CLIP's BPE file: expected {CLIP_MERGES} merges of two pieces after line 1")
    letters = list(bytes_to_unicode().values())
    words = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {word: i for i, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=TEXT_LENGTH)  # type: ignore[arg-type]


def _keywords_of(processor: Any) -> set[str]:
    """The keywords of a processor's call, or of the typed dictionary of a kind of them."""
    return set(getattr(getattr(processor, "valid_kwargs", processor), "__annotations__", ()))


def list_of_texts(text: Any) -> list[str]:
    """Returns one text or a list of texts as a list.

    Raises:
        `TypeError`: if something else is among them; names its position.
        `ValueError`: if the list is empty.
    """
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, list | tuple):
        raise TypeError(f"text must be a string or a list of strings, got {type(text).__name__}")
    if not texts:
        raise ValueError("text is an empty list")
    for position, item in enumerate(texts):
        if not isinstance(item, str):
            raise TypeError(f"text[{position}] must be a string, got {type(item).__name__}")
    return list(texts)


def flatten_media(**media: Any) -> dict[str, list]:
    """Turns what was given for each argument (nothing, a medium, a list or rows of them) into a flat list of media."""
    return {name: [] if value is None else flatten(value, name) for name, value in media.items()}


def _clean(text: str) -> str:
    if ftfy is not None:
        text = ftfy.fix_text(text)
    else:
        logger.warning_once(
            "ftfy is not installed: text with broken Unicode gets other ids than ImageBind was trained with "
            "(`pip install ftfy`)"
        )
    return html.unescape(html.unescape(text)).strip()


ImageBindProcessor.register_for_auto_class("AutoProcessor")
