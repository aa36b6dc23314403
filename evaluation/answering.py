# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""How a model answers a batch of samples, turn by turn, and how likely it finds the options of a question.

Media come as embeddings, so that no encoder runs here; the text is tokenised by the processor as ever.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import set_seed

from processing import PandaGPTProcessor

from .media import Embeddings
from .samples import Block, Sample
from .settings import Settings


# Without these the sampling options of the checkpoint's generation config would go on, to no effect but a warning.
GREEDY = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}


class Answerer:
    """
    Asks a model.

    Args:
        model ([`PandaGPTForConditionalGeneration`]):
            It answers.
        processor ([`PandaGPTProcessor`]):
            Its processor.
        embeddings ([`Embeddings`]):
            Those of all media of the samples.
        settings ([`Settings`]):
            Lengths, sampling and seed.
    """

    def __init__(self, model: Any, processor: PandaGPTProcessor, embeddings: Embeddings, settings: Settings):
        self.model = model
        self.embeddings = embeddings
        self.settings = settings
        self.processor = processor.text_side()
        self.generation = {"max_new_tokens": settings.max_new_tokens, **GREEDY, **settings.generation}

    def answer(self, samples: Sequence[Sample]) -> list[list[str]]:
        """
        Answer every turn of a batch of conversations; the model's own earlier answers are its history.

        Args:
            samples (`Sequence[Sample]`):
                The batch.

        Returns:
            `list[list[str]]`: for each sample the answer to each of its turns.
        """
        set_seed(self.settings.seed + samples[0].index)  # the same answers wherever this batch is computed
        answers: list[list[str]] = [[] for _ in samples]
        for turn in range(max(len(sample.references) for sample in samples)):
            asked = [place for place, sample in enumerate(samples) if len(sample.references) > turn]
            chats = [_history(samples[place], answers[place]) for place in asked]
            for place, answer in zip(asked, self._generate(chats), strict=True):
                answers[place].append(answer)
        return answers

    @torch.inference_mode()
    def _generate(self, chats: list[list[tuple[str, list[Block]]]]) -> list[str]:
        inputs = self._tokenize(chats, add_generation_prompt=True)
        ids = self.model.generate(**inputs, **self.generation)[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.batch_decode(ids, skip_special_tokens=True)]

    def likelihoods(self, samples: Sequence[Sample]) -> list[tuple[list[float], list[int]]]:
        """
        How likely each option of multiple choice questions is as the whole answer, its end included.

        Args:
            samples (`Sequence[Sample]`):
                The batch.

        Returns:
            `list[tuple[list[float], list[int]]]`: for each sample, log-likelihood and number of tokens of each option.
        """
        chats = [
            [*_history(sample, []), ("assistant", [("text", option)])]
            for sample in samples
            for option in sample.options
        ]
        found: list[tuple[float, int]] = []
        for start in range(0, len(chats), self.settings.batch_size):
            found += self._score(chats[start : start + self.settings.batch_size])
        scores = iter(found)
        rows = [[next(scores) for _ in sample.options] for sample in samples]
        return [([value for value, _ in row], [length for _, length in row]) for row in rows]

    @torch.inference_mode()
    def _score(self, chats: list[list[tuple[str, list[Block]]]]) -> list[tuple[float, int]]:
        inputs = self._tokenize(chats, return_assistant_tokens_mask=True)
        is_answer = torch.as_tensor(inputs.pop("assistant_masks")).bool()
        if not is_answer.any(dim=1).all():
            raise ValueError(
                "the chat template does not mark what the assistant says: put it between {% generation %} and "
                "{% endgeneration %}, or choose by letter"
            )
        width = is_answer.shape[1] - int(is_answer.int().argmax(dim=1).min()) + 1
        logits = self.model(**inputs, logits_to_keep=width).logits[:, :-1].float()
        targets = inputs["input_ids"][:, 1 - width :]
        # Placeholders lie beyond the vocabulary; none is part of an answer.
        targets = targets.clamp(max=logits.shape[-1] - 1)
        chosen = logits.log_softmax(dim=-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1).cpu()
        mask = is_answer[:, 1 - width :]
        return [(float(row[kept].double().sum()), int(kept.sum())) for row, kept in zip(chosen, mask, strict=True)]

    def _tokenize(self, chats: list[list[tuple[str, list[Block]]]], **kwargs: Any) -> dict[str, Any]:
        """Ids with the padding on the left, and the embeddings of each row's media."""
        conversations = [
            [{"role": role, "content": [_as_block(block) for block in blocks]} for role, blocks in chat]
            for chat in chats
        ]
        inputs = self.processor.apply_chat_template(
            conversations,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
            **kwargs,
        ).to(self.model.device)
        if "media_types" in inputs:
            inputs["media_embeds"] = self._embeds_of(chats, inputs["media_types"])
        return dict(inputs)

    def _embeds_of(self, chats: list[list[tuple[str, list[Block]]]], media_types: torch.Tensor) -> torch.Tensor:
        keys = [list(_keys_of(chat)) for chat in chats]
        some = self.embeddings.stack(next(row for row in keys if row))
        embeds = torch.zeros(*media_types.shape, some.shape[-1])
        for row, own in enumerate(keys):
            if own:
                embeds[row, : len(own)] = self.embeddings.stack(own)
        return embeds.to(media_types.device)


def _history(sample: Sample, answers: Sequence[str]) -> list[tuple[str, list[Block]]]:
    """The conversation up to the question that comes after so many answers."""
    chat: list[tuple[str, list[Block]]] = []
    given = iter(answers)
    for role, blocks in sample.messages:
        if role == "assistant":
            answer = next(given, None)
            if answer is None:
                return chat
            blocks = [("text", answer)]
        chat.append((role, blocks))
    return chat


def _keys_of(chat: Sequence[tuple[str, list[Block]]]) -> Iterator[str]:
    return (content for _, blocks in chat for kind, content in blocks if kind != "text")


def _as_block(block: Block) -> dict[str, str]:
    kind, content = block
    # A medium's block must hold something; the text side never looks at it.
    return {"type": "text", "text": content} if kind == "text" else {"type": kind, "path": "-"}
