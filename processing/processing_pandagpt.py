# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""PandaGPT's processor: a chat with media in it becomes token ids with slots, and tensors to fill them.

Notable:
- A chat template writes one placeholder per medium, each in its own `<Img>…</Img>`. Only `PandaGPTProcessor.__call__`
  makes one slot of adjacent ones (`media_fusion="sum"`, the original's way), so text that was rendered elsewhere and
  `apply_chat_template` give the same. The slot keeps the placeholder of its first medium.
- A placeholder that somebody typed in a message is text. `apply_chat_template` puts `INERT`, a character that no text
  contains, behind its `<`; the tokenizer's normaliser takes it out again, after special tokens have been looked for.
  The ids are those of the base tokenizer, and the offsets of all tokens stay right.
- Media go undecoded from the chat to our media processors; the library would resample audio in another way.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import models, normalizers
from transformers import BatchFeature
from transformers.utils import is_sentencepiece_available, logging

from .fetch_media import scheme_of
from .processing_imagebind import MODALITIES, MediaProcessorMixin, flatten_media, list_of_texts


if is_sentencepiece_available():
    from sentencepiece import SentencePieceProcessor

logger = logging.get_logger(__name__)

MEDIA_NAMES = tuple(modality.name for modality in MODALITIES)
PLACEHOLDERS = tuple(f"<{name}>" for name in MEDIA_NAMES)
MEDIA_TYPES = {placeholder: type_id for type_id, placeholder in enumerate(PLACEHOLDERS, start=1)}

_PLACEHOLDER = re.compile("|".join(PLACEHOLDERS))
# One placeholder and those beside it, with or without an `<Img>…</Img>` of their own.
_ADJACENT = re.compile(rf"(?:{_PLACEHOLDER.pattern})(?:(?: ?</Img> ?<Img>)?(?:{_PLACEHOLDER.pattern}))*")
# What the original stops at ("##", the beginning of the next turn), and the whole of it.
STOP_MARKER = re.compile(r"\n###?\Z")

# A noncharacter: Unicode reserves it for use inside a program, so that it stands in no text.
INERT = "\ufdd0"

_RATES = {"video": "fps", "audio": "sampling_rate", "imu": "sampling_rate"}


class PandaGPTProcessor(MediaProcessorMixin):
    r"""
    Makes the inputs of [`PandaGPTForConditionalGeneration`] from chats, or from text, with six kinds of media.

    Args:
        image_processor (`PandaGPTImageProcessor`, *optional*): for `images`.
        video_processor (`PandaGPTVideoProcessor`, *optional*): for `videos`.
        feature_extractor (`PandaGPTFeatureExtractor`, *optional*): for `audio`.
        thermal_image_processor (`PandaGPTThermalImageProcessor`, *optional*): for `thermal`.
        depth_image_processor (`PandaGPTDepthImageProcessor`, *optional*): for `depth`.
        imu_feature_extractor (`PandaGPTImuFeatureExtractor`, *optional*): for `imu`.
        tokenizer (`PreTrainedTokenizerBase`): the language model's, after `PandaGPTProcessor.add_placeholder_tokens`.
        chat_template (`str` or `dict[str, str]`, *optional*): Jinja source; `processing/chat_templates` holds two.
        media_fusion (`str`, *optional*, defaults to `"sum"`): `"sum"` gives adjacent media one slot, in which the
            model adds them up, as the original does; `"concat"` gives each medium a slot of its own.

    Raises:
        `ValueError`: if the tokenizer lacks the placeholders, or `media_fusion` is neither of the two.
        `TypeError`: if a processor is of the wrong kind.
    """

    # Read token by token for the chat template's mask, where a tensor would only be slower.
    skip_tensor_conversion = [*MediaProcessorMixin.skip_tensor_conversion, "offset_mapping"]
    text_kwargs = {"padding": True}

    def __init__(
        self,
        image_processor: Any = None,
        video_processor: Any = None,
        feature_extractor: Any = None,
        thermal_image_processor: Any = None,
        depth_image_processor: Any = None,
        imu_feature_extractor: Any = None,
        tokenizer: Any = None,
        chat_template: str | dict[str, str] | None = None,
        media_fusion: str = "sum",
    ) -> None:
        if media_fusion not in ("sum", "concat"):
            raise ValueError(f'media_fusion must be "sum" or "concat", got {media_fusion!r}')
        super().__init__(
            image_processor,
            video_processor,
            feature_extractor,
            thermal_image_processor,
            depth_image_processor,
            imu_feature_extractor,
            tokenizer,
            chat_template=chat_template,
        )
        self.media_fusion = media_fusion
        vocabulary = tokenizer.get_vocab()
        missing = [placeholder for placeholder in PLACEHOLDERS if placeholder not in vocabulary]
        if missing:
            raise ValueError(
                f"the tokenizer lacks {' '.join(missing)}: call PandaGPTProcessor.add_placeholder_tokens(tokenizer)"
            )
        for modality, placeholder in zip(MODALITIES, PLACEHOLDERS, strict=True):
            setattr(self, f"{modality.name}_token", placeholder)
            setattr(self, f"{modality.name}_token_id", vocabulary[placeholder])
        _drop_inert_marks(tokenizer)

    @staticmethod
    def add_placeholder_tokens(tokenizer: Any) -> None:
        """Prepares the tokenizer of a language model, in place.

        `<image> <video> <audio> <thermal> <depth> <imu>` become special tokens after the last id. Padding goes to the
        left, where generation needs it, and uses the end token if there is no pad token, as the original does. A
        vocabulary that was read from a SentencePiece model alone gets its merges in SentencePiece's order.

        Raises:
            `ValueError`: if the tokenizer has neither a pad token nor an end token.
        """
        tokenizer.add_tokens(list(PLACEHOLDERS), special_tokens=True)
        tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "left"  # the second is what is saved
        if tokenizer.pad_token is None:
            if tokenizer.eos_token is None:
                raise ValueError("the tokenizer has neither a pad token nor an end token: set one of them")
            tokenizer.pad_token = tokenizer.eos_token
        _order_merges_by_score(tokenizer)

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
            text (`str` or `list[str]`, *optional*): the prompts, with one placeholder per medium. The begin token is
                added where the tokenizer adds it and no prompt has it. Without text, media alone are processed.
            images, videos, audio, thermal, depth, imu (*optional*): the media of each kind in the order of their
                placeholders over the whole batch, as a flat list or as a list per row; each what its processor
                takes: a path, URL, base64 string, bytes, array, ...
            kwargs: `return_tensors`; the tokenizer's keywords (rows are padded by default; a truncation that would
                cut a placeholder away is an error; the original's `max_tgt_len` counts from the slot on, so that
                `max_length` is 8 more); `images_kwargs`, `videos_kwargs`, `audio_kwargs`, `thermal_kwargs`,
                `depth_kwargs`, `imu_kwargs` for single processors; any other reaches every processor that takes it.

        Returns:
            `BatchFeature` with `input_ids` and `attention_mask` (batch, length) and, of what was given,
            `pixel_values` (n, 3, 224, 224), `pixel_values_videos` (n, clips, 3, 2, 224, 224), `input_features`
            (n, clips, 1, 128, 204), `thermal_values` and `depth_values` (n, 1, 224, 224), `imu_values` (n, 6, 2000),
            `media_types` (batch, media), 1 to 6 in the row's order, and `media_slots` (batch, media), the placeholder
            of the row to which the medium goes, from 1; both padded with 0.

        Raises:
            `ValueError`: if nothing is given, the numbers of placeholders and media of a kind differ, truncation
                would cut a placeholder away, or a medium cannot be read (named by its position).
            `TypeError`: if `text` is neither a string nor a list of strings, or nothing takes a keyword.
        """
        media = flatten_media(images=images, videos=videos, audio=audio, thermal=thermal, depth=depth, imu=imu)
        if text is None and not any(media.values()):
            raise ValueError("give at least one of text, images, videos, audio, thermal, depth, imu")
        sorted_kwargs, return_tensors = self._kwargs_by_argument(media, **kwargs)
        outputs = {} if text is None else self._process_text(list_of_texts(text), media, **sorted_kwargs["text"])
        outputs |= self._process_media(media, sorted_kwargs)
        return BatchFeature(outputs, tensor_type=return_tensors, skip_tensor_conversion=self.skip_tensor_conversion)

    def _process_text(
        self,
        texts: list[str],
        media: dict[str, list],
        return_text_replacement_offsets: bool = False,
        return_mm_token_type_ids: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        _check_counts(texts, media)
        rows = [self._find_slots(text) for text in texts]
        texts = [_collapse(text, slots) for text, slots in zip(texts, rows, strict=True)]
        bos = self.tokenizer.bos_token
        if bos and texts and all(text.startswith(bos) for text in texts):
            kwargs["add_special_tokens"] = False
        outputs = dict(self.tokenizer(texts, **kwargs))
        self._check_not_truncated(outputs["input_ids"], rows)
        if return_text_replacement_offsets:
            outputs["text_replacement_offsets"] = [_replacement_offsets(slots) for slots in rows]
        if return_mm_token_type_ids:
            outputs["mm_token_type_ids"] = self.create_mm_token_type_ids(outputs["input_ids"])
        if any(rows):
            types = [[MEDIA_TYPES[p] for slot in row for p in _PLACEHOLDER.findall(slot.group())] for row in rows]
            slots = [[k for k, slot in enumerate(row, 1) for _ in _PLACEHOLDER.findall(slot.group())] for row in rows]
            outputs["media_types"], outputs["media_slots"] = _pad(types), _pad(slots)
        return outputs

    def _find_slots(self, text: str) -> list[re.Match]:
        return list((_ADJACENT if self.media_fusion == "sum" else _PLACEHOLDER).finditer(text))

    def _check_not_truncated(self, input_ids: list[list[int]], rows: list[list[re.Match]]) -> None:
        type_ids = self.create_mm_token_type_ids(input_ids)
        for position, (row, slots) in enumerate(zip(type_ids, rows, strict=True)):
            kept = sum(map(bool, row))
            if kept != len(slots):
                raise ValueError(
                    f"text[{position}] has {len(slots)} placeholders, of which truncation to {len(row)} tokens leaves "
                    f"{kept}: raise max_length, or drop the media that no longer fit"
                )

    def create_mm_token_type_ids(self, input_ids: list[list[int]]) -> list[list[int]]:
        """Returns for every token the type of the medium whose slot it is, 1 to 6 as in `media_types`, else 0."""
        types = {getattr(self, f"{modality.name}_token_id"): type_id for type_id, modality in enumerate(MODALITIES, 1)}
        return [[types.get(token, 0) for token in row] for row in input_ids]

    def text_side(self) -> "PandaGPTProcessor":
        """Returns a processor that opens no medium, and gives the same `input_ids`, `media_types` and `media_slots`.

        For media that were encoded earlier, whose embeddings the model takes as `media_embeds`.
        """
        parts = {name: getattr(self, name) for name in self.get_attributes()}
        return _TextSide(**parts, chat_template=self.chat_template, media_fusion=self.media_fusion)

    def decode(self, *args: Any, **kwargs: Any) -> str | list[str]:
        r"""As the tokenizer's `decode`, but drops a trailing stop marker of the original prompt, `\n##` or `\n###`."""
        return _drop_stop_marker(self.tokenizer.decode(*args, **kwargs))

    def batch_decode(self, *args: Any, **kwargs: Any) -> list[str]:
        r"""As the tokenizer's `batch_decode`, but drops a trailing stop marker of each row, `\n##` or `\n###`."""
        return _drop_stop_marker(self.tokenizer.batch_decode(*args, **kwargs))

    def post_process_image_text_to_text(
        self, generated_outputs: Any, skip_special_tokens: bool = True, **kwargs: Any
    ) -> str | list[str]:
        r"""Returns the text of generated ids (batch, length), each without a trailing stop marker."""
        return self.decode(generated_outputs, skip_special_tokens=skip_special_tokens, **kwargs)

    @property
    def model_input_names(self) -> list[str]:
        return [*super().model_input_names, "media_types", "media_slots"]

    def _normalize_conversations(self, conversation: Any) -> tuple[list, bool]:
        # The library's step from what a caller may write to what it goes on with, whether or not it tokenises.
        if not isinstance(conversation, list | tuple) or not conversation:
            raise ValueError("expected a conversation (a list of messages) or a list of conversations, not empty")
        conversations, is_batched = super()._normalize_conversations(conversation)
        for messages in conversations:
            for position, message in enumerate(messages):
                if "content" in message:
                    message["content"] = _normalize_content(message["content"], f"message {position}")
        return conversations, is_batched

    def _resolve_audio_loading_params(self, processor_kwargs: dict) -> dict:
        # The library would declare its own rate for arrays that come without one, and thereby hide the mistake.
        nested = processor_kwargs.get("audio_kwargs") or {}
        return {"sampling_rate": processor_kwargs.get("sampling_rate", nested.get("sampling_rate"))}

    def _multimodal_inputs_from_conversations(
        self, conversations: list, audio_loading_params: dict, load_audio_from_video: bool = False
    ) -> tuple[list, list, list, dict]:
        if load_audio_from_video:
            logger.warning_once("The sound of a video is not heard: give it in a block of its own, of type audio.")
        found: dict[str, list] = {modality.name: [] for modality in MODALITIES}
        for messages in conversations:
            for position, message in enumerate(messages):
                content = message.get("content")
                for place, block in enumerate([] if content is None or isinstance(content, str) else content):
                    kind = block["type"]
                    if kind in found:
                        if kind not in block:
                            raise ValueError(
                                f'block {place} of message {position} has no medium: give it under "{kind}", "path", '
                                '"url" or "base64"'
                            )
                        found[kind].append(block[kind])
        more = {kind: found[kind] for kind in ("thermal", "depth", "imu")}
        return [found["image"]], [found["video"]], found["audio"], more


class _TextSide(PandaGPTProcessor):
    """See `PandaGPTProcessor.text_side`."""

    def _process_media(self, media: dict[str, list], kwargs: dict[str, dict]) -> dict[str, Any]:
        return {}


def _normalize_content(content: Any, where: str) -> str | list[dict]:
    if isinstance(content, str):
        return _make_inert(content)
    if not isinstance(content, list | tuple):
        raise TypeError(f"the content of {where} must be a string or a list of blocks, got {type(content).__name__}")
    return [_normalize_block(block, f"block {place} of {where}") for place, block in enumerate(content)]


def _normalize_block(block: Any, where: str) -> dict[str, Any]:
    """Returns `{"type": "text", "text": …}`, or `{"type": "image", "image": …}` with the medium as it was given."""
    if not isinstance(block, Mapping):
        raise TypeError(f"{where} must be a mapping with a type, got {type(block).__name__}")
    block = {key: value for key, value in block.items() if value is not None}
    kind = str(block.get("type"))
    if kind == "text":
        if not isinstance(block.get("text"), str):
            raise TypeError(f"{where} must have a string under text, got {type(block.get('text')).__name__}")
        return {"type": "text", "text": _make_inert(block["text"])}
    if kind == "input_audio":
        kind, block = "audio", {"base64": _inner(block, kind, "data", where)}
    elif kind.endswith("_url") and kind.removesuffix("_url") in MEDIA_NAMES:
        kind, block = kind.removesuffix("_url"), {"url": _inner(block, kind, "url", where)}
    if kind not in MEDIA_NAMES:
        raise ValueError(f"{where} has the unknown type {kind!r}: expected text, {', '.join(MEDIA_NAMES)}")
    keys = [key for key in (kind, "path", "url", "base64") if key in block]
    if len(keys) > 1:
        raise ValueError(f"{where} gives its {kind} several times, under {', '.join(keys)}: give one of them")
    if not keys:
        return {"type": kind}
    medium = _medium_under(keys[0], block[keys[0]], where)
    if _RATES.get(kind) in block:
        medium = _with_rate(medium, kind, block[_RATES[kind]], where)
    return {"type": kind, kind: medium}


def _medium_under(key: str, medium: Any, where: str) -> Any:
    """Returns the medium. Where blocks come from strangers, "url" and "base64" must not read this machine's files."""
    if key not in ("url", "base64") or hasattr(medium, "shape"):  # the library allows arrays of frames there
        return medium
    scheme = scheme_of(medium) if isinstance(medium, str) else ""
    if key == "url" and scheme not in ("http", "https", "data"):
        raise ValueError(f'{where} must have an http(s) or data URL under url; a file goes under "path"')
    if key == "base64" and not isinstance(medium, str):
        raise ValueError(f"{where} must have a string under base64, got {type(medium).__name__}")
    return f"data:;base64,{medium}" if key == "base64" and scheme != "data" else medium


def _with_rate(medium: Any, kind: str, rate: float, where: str) -> Any:
    if not isinstance(medium, str | os.PathLike | bytes | Mapping):
        return (medium, rate)
    if kind == "imu":
        raise ValueError(f"{where} gives a sampling_rate to a file: pass it for all recordings, in imu_kwargs")
    return medium  # a sound or video file knows its rate


def _inner(block: dict, kind: str, key: str, where: str) -> Any:
    value = block.get(kind)
    value = value.get(key) if isinstance(value, Mapping) else value
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where} has no {key} under {kind}")
    return value


def _make_inert(text: str) -> str:
    return _PLACEHOLDER.sub(lambda typed: f"<{INERT}{typed.group()[1:]}", text)


def _drop_inert_marks(tokenizer: Any) -> None:
    """Lets the tokenizer take `INERT` out of text, after it has looked for special tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return
    normalizer = backend.normalizer
    if normalizer is None:
        backend.normalizer = normalizers.Replace(INERT, "")
    elif INERT in normalizer.normalize_str(INERT):
        backend.normalizer = normalizers.Sequence([normalizers.Replace(INERT, ""), normalizer])


def _order_merges_by_score(tokenizer: Any) -> None:
    """Repairs the BPE merges of a tokenizer that transformers made of a `tokenizer.model`.

    transformers 5 orders them by id, SentencePiece by score. In LLaMA's vocabulary the two differ for runs of spaces,
    whose ids come first and whose scores last, so that every double space would get other ids than the original's.
    """
    path = Path(getattr(tokenizer, "vocab_file", None) or "")
    if path.suffix != ".model" or path.with_name("tokenizer.json").is_file() or not path.is_file():
        return  # without sentencepiece such a folder could not have been read
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    if model.pop("type") != "BPE":
        return
    pieces = SentencePieceProcessor(model_file=str(path))

    def order(merge: tuple[str, str]) -> tuple[float, int, int]:
        left, right = merge
        return pieces.get_score(pieces.piece_to_id(left + right)), len(left), len(right)

    merges = sorted(map(tuple, model.pop("merges")), key=order, reverse=True)
    options = {name: value for name, value in model.items() if value is not None}
    tokenizer.backend_tokenizer.model = models.BPE(merges=merges, **options)


def _check_counts(texts: list[str], media: dict[str, list]) -> None:
    written = Counter(placeholder for text in texts for placeholder in _PLACEHOLDER.findall(text))
    wrong = [
        f"{written[placeholder]} {placeholder} but {len(media[modality.argument])} {modality.argument}"
        for modality, placeholder in zip(MODALITIES, PLACEHOLDERS, strict=True)
        if written[placeholder] != len(media[modality.argument])
    ]
    if wrong:
        raise ValueError(
            f"the text must have one placeholder per medium, got {', '.join(wrong)}; a chat template that does not "
            "write <image>, <video>, ... for media blocks drops them"
        )


def _collapse(text: str, slots: list[re.Match]) -> str:
    for slot in reversed(slots):
        text = text[: slot.start()] + _first(slot) + text[slot.end() :]
    return text


def _first(slot: re.Match) -> str:
    return slot.group()[: slot.group().index(">") + 1]


def _replacement_offsets(slots: list[re.Match]) -> list[dict[str, Any]]:
    """Returns where each slot was in the text and where it is after `_collapse`, in the library's format."""
    offsets, removed = [], 0
    for slot in slots:
        placeholder, start = _first(slot), slot.start() - removed
        new_span = (start, start + len(placeholder))
        removed = slot.end() - new_span[1]
        offsets.append(
            {
                "type": placeholder[1:-1],
                "span": slot.span(),
                "new_span": new_span,
                "text": slot.group(),
                "replacement": placeholder,
            }
        )
    return offsets


def _pad(rows: list[list[int]]) -> list[list[int]]:
    width = max(map(len, rows))
    return [row + [0] * (width - len(row)) for row in rows]


def _drop_stop_marker(decoded: str | list[str]) -> Any:
    if isinstance(decoded, str):
        return STOP_MARKER.sub("", decoded)
    return [STOP_MARKER.sub("", text) for text in decoded]


PandaGPTProcessor.register_for_auto_class("AutoProcessor")
