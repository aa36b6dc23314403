# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Models whose score is known beforehand: they see the media and read the question as any other, and then know the
answer, or draw lots."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from demo.untrained import build
from modeling_pandagpt import ImageBindModel, PandaGPTForConditionalGeneration
from modeling_pandagpt.modeling_pandagpt import PandaGPTCausalLMOutputWithPast


COLOURS = ("red", "blue", "green", "yellow")
THINGS = 24
QUESTIONS = ("what is it ?", "and now ?", "is it red ?", "tell of it")
FILES = {"image": "picture.png", "thermal": "thermal.png", "imu": "motion.npy"}


def answers_of(thing: int) -> dict[str, str]:
    colour, other = COLOURS[thing % 4], COLOURS[thing // 4 % 4]
    is_red = "yes" if colour == "red" else "no"
    return dict(zip(QUESTIONS, (colour, other, is_red, f"a {colour} bird on the {other} tree"), strict=True))


def chat_row(thing: int, kind: str, questions: tuple[str, ...], **columns: Any) -> dict[str, Any]:
    messages = []
    for place, question in enumerate(questions):
        medium = [{"type": kind, "path": f"media/{thing}/{FILES[kind]}"}] if place == 0 else []
        messages += [
            {"role": "user", "content": [*medium, {"type": "text", "text": question}]},
            {"role": "assistant", "content": answers_of(thing)[question]},
        ]
    return {"id": f"{thing}-{kind}", "messages": messages, "modality": kind, **columns}


class PlantedPandaGPT(PandaGPTForConditionalGeneration):
    """A tiny PandaGPT whose encoders are real, and which has been told what to say.

    `plant` gives it, for everything that is shown, the answers by question. It knows a thing by its embedding.
    """

    def plant(self, processor, answers: Sequence[dict[str, str]], knows: bool = True) -> "PlantedPandaGPT":
        self.tokenizer = processor.tokenizer
        self.answers = answers
        self.draw_lots(knows)
        self.known: list[tuple[torch.Tensor, int]] = []
        return self

    def draw_lots(self, knows: bool) -> None:
        self.knows = knows
        self.lots = np.random.default_rng(0)

    def show(self, embedding: torch.Tensor, thing: int) -> None:
        self.known.append((embedding, thing))

    def say(self, ids: torch.Tensor, embedding: torch.Tensor) -> str:
        text = self.tokenizer.decode(ids)
        asked = max(self.answers[0], key=text.rfind)  # the last question of the conversation
        if not self.knows:
            choices = sorted({answers[asked] for answers in self.answers})
            return choices[self.lots.integers(len(choices))]
        nearest = min(self.known, key=lambda known: float((known[0] - embedding).norm()))
        return self.answers[nearest[1]][asked]

    def generate(self, inputs=None, input_ids=None, media_embeds=None, **kwargs) -> torch.Tensor:
        said = [self.say(ids, embeds[0]) for ids, embeds in zip(input_ids, media_embeds, strict=True)]
        rows = self.tokenizer(
            [f" {text}" for text in said], add_special_tokens=False, padding_side="right", padding=True
        )
        return torch.cat([input_ids, torch.tensor(rows["input_ids"])], dim=1)

    def forward(self, input_ids=None, media_embeds=None, logits_to_keep: Any = 0, **kwargs):
        """Makes the tokens of a text certain if the text ends with what it would say, and else all alike."""
        logits = torch.zeros(*input_ids.shape, self.config.text_config.vocab_size)
        for row, (ids, embeds) in enumerate(zip(input_ids, media_embeds, strict=True)):
            if self.tokenizer.decode(ids).rstrip("# \n").endswith(self.say(ids, embeds[0])):
                logits[row, torch.arange(len(ids) - 1), ids[1:].clamp(max=logits.shape[-1] - 1)] = 30.0
        return PandaGPTCausalLMOutputWithPast(logits=logits[:, -logits_to_keep:])


class PlantedImageBind(ImageBindModel):
    """A tiny ImageBind to which things are vectors that it was given, whatever shows them; or any vectors at all."""

    def plant(self, dimensions: int, knows: bool = True) -> "PlantedImageBind":
        self.dimensions = dimensions
        self.knows = knows
        self.things: dict[str, int] = {}
        return self

    def show(self, values: torch.Tensor, thing: int) -> None:
        self.things[_digest(values)] = thing

    def encode(self, modality: str, values: torch.Tensor, **kwargs) -> BaseModelOutputWithPooling:
        return BaseModelOutputWithPooling(pooler_output=torch.stack([self._vector(row) for row in values]))

    def _vector(self, values: torch.Tensor) -> torch.Tensor:
        if self.knows:
            return torch.eye(self.dimensions)[self.things[_digest(values)]]
        generator = np.random.default_rng(int(_digest(values)[:8], 16))
        return torch.nn.functional.normalize(torch.from_numpy(generator.normal(size=self.dimensions)).float(), dim=0)


def _digest(values: torch.Tensor) -> str:
    return hashlib.sha256(values.numpy().tobytes()).hexdigest()


def planted_pandagpt() -> tuple[PlantedPandaGPT, Any]:
    model, processor = build()
    planted = PlantedPandaGPT(model.config).eval()
    planted.load_state_dict(model.state_dict())
    return planted, processor
