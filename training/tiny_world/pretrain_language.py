# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Phase 1: a tiny LLaMA that learns to speak about the world from text alone, with the library's Trainer.

It reads captions where media would stand, and answers what is asked about them. No medium is ever drawn.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset
from transformers import LlamaForCausalLM, set_seed

from training.collator import PandaGPTDataCollator
from training.tiny_world.conversations import BOTH_SHARE, FOLLOWED_SHARE, MOST_QUESTIONS, SAME_KIND_SHARE
from training.tiny_world.language import QUESTIONS, ask, ask_about_both, caption, words
from training.tiny_world.models import SLOT, language_config, language_tokenizer, pandagpt_processor
from training.tiny_world.muon import MuonTrainer, pretraining_arguments
from training.tiny_world.world import sample


BATCH = 64
MAX_LENGTH = 256  # tokens; no conversation is as long
OFTEN = (*QUESTIONS, "is_kind", "is_kind")  # to compare two words takes the longest to learn
LEARNING_RATE, MUON_RATE = 2e-3, 2e-2


class Conversations(Dataset):
    """Conversations by their number, about individuals of their own, drawn from a seed of its own each."""

    def __init__(self, count: int, seed: int):
        self.count = count
        self.seed = seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, index])
        turns = _about_both(rng) if rng.random() < BOTH_SHARE else _about_each(rng)
        return {"id": str(index), "messages": turns}


def _about_each(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Questions about one thing; of some conversations the last ones are about another."""
    questions = [str(question) for question in rng.choice(OFTEN, rng.integers(1, 1 + MOST_QUESTIONS))]
    goes_on_at = rng.integers(1, len(questions)) if len(questions) > 1 and rng.random() < FOLLOWED_SHARE else None
    turns = []
    for asked in (questions[:goes_on_at], questions[goes_on_at:] if goes_on_at else []):
        one = sample(rng)
        with_colour = "colour" in asked or bool(rng.random() < 0.5)
        slots = [_slot(caption(one, rng, with_colour))]
        for question in asked:
            turns += ask(one, rng, question).messages(*slots)
            slots = []
    return turns


def _about_both(rng: np.random.Generator) -> list[dict[str, Any]]:
    first, second = sample(rng), sample(rng)
    if rng.random() < SAME_KIND_SHARE:
        second = replace(second, kind=first.kind)
    slot = _slot(*(caption(one, rng, bool(rng.random() < 0.5)) for one in (first, second)))
    return ask_about_both((first.kind, second.kind), rng).messages(slot)


def _slot(*captions: str) -> dict[str, Any]:
    """Captions where the sum of the embeddings of as many media will stand."""
    return {"type": "text", "text": " and ".join(captions).join(SLOT)}


def pretrain_language(steps: int, seed: int, output: Path) -> None:
    """
    Train the language model.

    Args:
        steps (`int`):
            Batches of 64 conversations, each of which is seen once.
        seed (`int`):
            Of weights and conversations.
        output (`Path`):
            Folder for the LLaMA, with the processor of the PandaGPT that it will be part of.
    """
    set_seed(seed)
    processor = pandagpt_processor(language_tokenizer(words()))
    model = LlamaForCausalLM(language_config(processor.tokenizer))
    arguments = pretraining_arguments(output, steps, BATCH, LEARNING_RATE, seed)
    trainer = MuonTrainer(
        model=model,
        args=arguments,
        train_dataset=Conversations(BATCH * steps, seed),
        data_collator=PandaGPTDataCollator(processor, MAX_LENGTH),
        muon_lr=MUON_RATE,
    )
    trainer.train()
    model.save_pretrained(output)
    processor.save_pretrained(output)
