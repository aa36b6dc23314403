# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What a running conversation keeps: every message so far, the media's embeddings, and the language model's cache.

Notable:
- The whole conversation is read anew at each turn, so a medium is seen in its own turn and in all later ones. What was
  computed is kept: the cache holds the longest beginning that a turn shares with the one before, and no medium is
  opened or encoded twice.
- A turn that fails leaves no trace: only an answered question becomes part of the conversation.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache, TextStreamer

from processing.processing_imagebind import MODALITIES
from processing.processing_pandagpt import STOP_MARKER


ARGUMENTS = {modality.name: modality.argument for modality in MODALITIES}
TYPE_IDS = {modality.name: type_id for type_id, modality in enumerate(MODALITIES, 1)}

# The tiny model of a toy world that comes along.
BUNDLED = str(Path(__file__).with_name("pandagpt-tiny"))

# What may become the stop marker when more text comes.
STOP_MARKER_BEGINS = re.compile(r"\n#{0,3}\Z")


def is_medium(block: dict | str) -> bool:
    """Whether a part of a message's content (a block, or a letter where the content is a string) is a medium."""
    return not isinstance(block, str) and block["type"] != "text"


@dataclass
class Reply:
    """
    One answered question.

    Args:
        question (`str`):
            What was asked.
        media (`list[tuple[str, str]]`):
            Kind and source of each medium that came with the question.
        answer (`str`):
            What was answered, without the stop marker.
        input_tokens (`int`):
            Tokens of the whole conversation up to the answer.
        output_tokens (`int`):
            Tokens that were generated, the stop marker's among them.
        seconds (`float`):
            Time from the question to the last token, reading the media included.
    """

    question: str
    media: list[tuple[str, str]]
    answer: str
    input_tokens: int
    output_tokens: int
    seconds: float


class AnswerStreamer(TextStreamer):
    """
    Hands the answer on as it grows, without the blanks before it and the stop marker after it.

    Args:
        tokenizer (`PreTrainedTokenizerBase`):
            Decodes the tokens.
        write (`Callable[[str], None]`):
            Receives each new piece of text.
    """

    def __init__(self, tokenizer: Any, write: Callable[[str], None]):
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.write = write
        self.answer = ""
        self.held_back = ""

    def on_finalized_text(self, text: str, stream_end: bool = False):
        text = self.held_back + text
        ready = (STOP_MARKER if stream_end else STOP_MARKER_BEGINS).sub("", text)
        self.held_back = text[len(ready) :]
        if not self.answer:
            ready = ready.lstrip()
        if ready:
            self.answer += ready
            self.write(ready)


class Conversation:
    """
    Questions and answers with one model.

    Args:
        model ([`PandaGPTForConditionalGeneration`]):
            The model that answers.
        processor ([`PandaGPTProcessor`]):
            Its processor.
        system (`str`, *optional*):
            What the model is told before the first question.
        processor_kwargs (`dict[str, dict]`, *optional*):
            Options of the processor for all media of a kind, such as `{"depth_kwargs": {"depth_unit": 0.001}}`.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        system: str | None = None,
        processor_kwargs: dict[str, dict] | None = None,
    ):
        self.model = model
        self.processor = processor
        self.text_side = processor.text_side()
        self.system = system
        self.processor_kwargs = processor_kwargs or {}
        self.clear()

    def clear(self) -> None:
        """Forget everything but the system message."""
        self.messages: list[dict] = [{"role": "system", "content": self.system}] if self.system else []
        width = self.model.config.imagebind_config.projection_dim
        self.media_embeds = torch.zeros(0, width, device=self.model.device, dtype=self.model.dtype)  # (media, width)
        self.cache, self.cached_ids = self._empty_cache(), torch.tensor([])

    def undo(self) -> None:
        """
        Forget the last question with its media and its answer.

        Raises:
            ValueError: when nothing was asked yet.
        """
        if not self.messages or self.messages[-1]["role"] != "assistant":
            raise ValueError("There is nothing to undo: no question was answered yet.")
        *self.messages, question, _ = self.messages
        media = sum(map(is_medium, question["content"]))
        self.media_embeds = self.media_embeds[: len(self.media_embeds) - media]

    def ask(
        self,
        question: str,
        media: Sequence[tuple[str, str]] = (),
        write: Callable[[str], None] = lambda text: None,
        **generation: Any,
    ) -> Reply:
        """
        Put a question and keep it, with its answer, as a part of the conversation.

        Args:
            question (`str`):
                The question.
            media (`Sequence[tuple[str, str]]`, *optional*):
                Kind (`"image"`, `"video"`, `"audio"`, `"thermal"`, `"depth"` or `"imu"`) and source (a path, a URL or
                base64) of each medium that comes with it.
            write (`Callable[[str], None]`, *optional*):
                Receives the answer piece by piece.
            generation:
                Options of `generate`.

        Returns:
            [`Reply`]

        Raises:
            ValueError: for a medium that cannot be read; names the medium.
        """
        started = time.perf_counter()
        blocks = [{"type": kind, kind: source} for kind, source in media]
        messages = [*self.messages, {"role": "user", "content": [*blocks, {"type": "text", "text": question}]}]
        inputs = self.text_side.apply_chat_template(
            messages, tokenize=True, return_dict=True, add_generation_prompt=True, return_tensors="pt"
        ).to(self.model.device)
        given = [block for message in messages for block in message["content"] if is_medium(block)]
        media_embeds = torch.cat([self.media_embeds, self._encode(given[len(self.media_embeds) :])])
        if len(media_embeds):
            inputs["media_embeds"] = media_embeds.unsqueeze(0)
        self._crop_cache(inputs["input_ids"][0])
        streamer = AnswerStreamer(self.processor.tokenizer, write)
        sequence = self.model.generate(**inputs, past_key_values=self.cache, streamer=streamer, **generation)[0]
        self.cached_ids = sequence[: self.cache.get_seq_length()]
        answer = streamer.answer.strip()
        self.messages = [*messages, {"role": "assistant", "content": answer}]
        self.media_embeds = media_embeds
        prompt_length = inputs["input_ids"].shape[1]
        seconds = time.perf_counter() - started
        return Reply(question, list(media), answer, prompt_length, len(sequence) - prompt_length, seconds)

    def _encode(self, blocks: list[dict]) -> torch.Tensor:
        """ImageBind's embeddings of new media, (media, projection_dim)."""
        if not blocks:
            return self.media_embeds[:0]
        sources: dict[str, list[str]] = {}
        for block in blocks:
            sources.setdefault(ARGUMENTS[block["type"]], []).append(block[block["type"]])
        values = self.processor(**sources, return_tensors="pt", **self.processor_kwargs)
        values = values.to(self.model.device, dtype=self.model.dtype)
        media_types = torch.tensor([[TYPE_IDS[block["type"]] for block in blocks]])
        with torch.no_grad():
            return self.model.model.encode_media(**values, media_types=media_types).media_embeds[0]

    def _empty_cache(self) -> DynamicCache:
        return DynamicCache(config=self.model.config.get_text_config(decoder=True))

    def _crop_cache(self, ids: torch.Tensor) -> None:
        """Leave in the cache what `ids` (length) begin with, but for their last token, which must be read anew."""
        shared = min(len(self.cached_ids), len(ids) - 1)
        differs = (self.cached_ids[:shared].to(ids) != ids[:shared]).nonzero()
        shared = int(differs[0]) if len(differs) else shared
        surplus = self.cache.get_seq_length() - shared
        try:
            if surplus:
                self.cache.crop(-surplus)
        except RuntimeError:  # what a sliding window or a recurrent layer has let go of cannot come back
            shared, self.cache = 0, self._empty_cache()
        # What a failed or stopped answer adds to the cache is not counted, and cropped by the next question.
        self.cached_ids = ids[:shared]
