# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What a running conversation keeps: the model, its processor and every message so far, media included.

Notable:
- The whole conversation is read anew at each turn, so a medium is seen in its own turn and in all later ones.
- A turn that fails leaves no trace: only an answered question becomes part of the conversation.
- Our own installed classes load the model, so no code of a repository is ever executed.
"""

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import TextStreamer
from transformers.configuration_utils import PreTrainedConfig
from transformers.utils.peft_utils import find_adapter_config_file

import pandagpt
from processing.processing_pandagpt import STOP_MARKER


# What may become the stop marker when more text comes.
STOP_MARKER_BEGINS = re.compile(r"\n#{0,3}\Z")


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
        self.system = system
        self.processor_kwargs = processor_kwargs or {}
        self.clear()

    def clear(self) -> None:
        """Forget everything but the system message."""
        self.messages: list[dict] = [{"role": "system", "content": self.system}] if self.system else []

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
        inputs = self.processor.apply_chat_template(
            messages,
            tokenize=True,
            return_dict=True,
            add_generation_prompt=True,
            return_tensors="pt",
            processor_kwargs=self.processor_kwargs,
        ).to(self.model.device, dtype=self.model.dtype)
        streamer = AnswerStreamer(self.processor.tokenizer, write)
        sequence = self.model.generate(**inputs, streamer=streamer, **generation)[0]
        answer = streamer.answer.strip()
        self.messages = [*messages, {"role": "assistant", "content": answer}]
        prompt_length = inputs["input_ids"].shape[1]
        seconds = time.perf_counter() - started
        return Reply(question, list(media), answer, prompt_length, len(sequence) - prompt_length, seconds)


def load(name: str, revision: str | None = None, dtype: str = "auto", device: str = "auto") -> tuple[Any, Any]:
    """
    Load a model with its processor by our own installed classes.

    Args:
        name (`str`):
            Hub id or folder of a model, or of an adapter, whose base is then loaded too.
        revision (`str`, *optional*):
            Branch, tag or commit on the Hub of what `name` names. The base of an adapter has a revision of its own,
            which the adapter's configuration may name.
        dtype (`str`, *optional*, defaults to `"auto"`):
            The weights' type; `"auto"` takes the checkpoint's.
        device (`str`, *optional*, defaults to `"auto"`):
            Where the model runs; `"auto"` spreads it over what there is.

    Returns:
        `tuple[PandaGPTForConditionalGeneration, PandaGPTProcessor]`

    Raises:
        OSError: when there is no such model.
        ValueError: when it is not a PandaGPT.
    """
    base, base_revision = name, revision
    adapter_config = find_adapter_config_file(name, revision=revision)
    if adapter_config:
        with open(adapter_config, encoding="utf-8") as file:
            settings = json.load(file)
        base, base_revision = settings["base_model_name_or_path"], settings.get("revision")
    config, _ = PreTrainedConfig.get_config_dict(base, revision=base_revision)
    if config.get("model_type") != "pandagpt":
        raise ValueError(f"{base} holds a model of type {config.get('model_type')!r}, expected 'pandagpt'.")
    # Left unsaid, the library asks at the terminal whether code may run.
    model = pandagpt.PandaGPTForConditionalGeneration.from_pretrained(
        base, revision=base_revision, dtype=dtype, device_map=device, trust_remote_code=False
    )
    if adapter_config:
        model.load_adapter(name, adapter_kwargs={"revision": revision})
    processor = pandagpt.PandaGPTProcessor.from_pretrained(name, revision=revision, trust_remote_code=False)
    return model.eval(), processor
