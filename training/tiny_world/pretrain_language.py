# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Phase 1: a tiny LLaMA that learns to speak about the world from text alone, with the library's Trainer.

It reads captions where media would stand, and answers what is asked about them. No medium is ever drawn.
"""

from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset
from transformers import LlamaForCausalLM, set_seed

from training.collator import PandaGPTDataCollator
from training.tiny_world.language import QUESTIONS, ask, caption, words
from training.tiny_world.models import SLOT, language_config, language_tokenizer, pandagpt_processor
from training.tiny_world.muon import MuonTrainer, pretraining_arguments
from training.tiny_world.world import sample


BATCH = 64
MAX_LENGTH = 256  # tokens; no conversation is as long
MOST_QUESTIONS = 3  # of a conversation, some with two turns
LEARNING_RATE, MUON_RATE = 2e-3, 2e-2


class Conversations(Dataset):
    """Conversations by their number, each about an individual of its own, drawn from a seed of its own."""

    def __init__(self, count: int, seed: int):
        self.count = count
        self.seed = seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, index])
        one = sample(rng)
        questions = rng.choice(QUESTIONS, rng.integers(1, 1 + MOST_QUESTIONS))
        with_colour = "colour" in questions or bool(rng.random() < 0.5)
        turns = [turn for question in questions for turn in ask(one, rng, str(question)).messages()]
        # Where the embedding of a medium will stand.
        turns[0]["content"].insert(0, {"type": "text", "text": caption(one, rng, with_colour).join(SLOT)})
        return {"id": str(index), "messages": turns}


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
