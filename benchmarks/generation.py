# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What do media, batches and a conversation's memory do to the speed of answers?

```bash
python -m benchmarks.generation >> benchmarks/RESULTS.md
```

A LLaMA of about a billion parameters and, for the video, imagebind_huge's vision encoder, both with random weights in
float32. A second turn is timed to its first token: with what the conversation kept, and in a new conversation that is
given the same messages.
"""

from typing import Annotated, Any

import numpy as np
import torch
import typer
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.timing import Pair, measure, print_heading, print_row, print_table, seconds_of
from demo.conversation import Conversation
from demo.untrained import build_processor
from modeling_pandagpt import PandaGPTConfig, PandaGPTForConditionalGeneration
from modeling_pandagpt.configuration_pandagpt import MEDIA_TYPES
from processing import PandaGPTProcessor


PROMPT = NEW = 64


def build(processor: PandaGPTProcessor, layers: int, encoder_layers: int) -> PandaGPTForConditionalGeneration:
    """A random PandaGPT whose language model is LLaMA's width of 1B."""
    text_config = LlamaConfig(
        vocab_size=32000,
        hidden_size=2048,
        intermediate_size=5632,
        num_hidden_layers=layers,
        num_attention_heads=32,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    config = PandaGPTConfig(
        imagebind_config={"modalities": ["vision"], "vision_config": {"num_hidden_layers": encoder_layers}},
        text_config=text_config,
        **{f"{kind}_token_id": 32000 + place for place, kind in enumerate(MEDIA_TYPES)},
    )
    torch.manual_seed(0)
    return PandaGPTForConditionalGeneration(config).eval()


def compare_with_plain_llama(model: Any, turns: int) -> None:
    config = model.config.text_config
    with torch.device("meta"):
        plain = LlamaForCausalLM(config)
    plain.model, plain.lm_head = model.model.language_model, model.lm_head  # the same weights, not copies
    plain.generation_config.pad_token_id = 2
    plain.eval()
    ids = torch.randint(3, config.vocab_size, (8, PROMPT))
    ids[:, 5] = model.config.image_token_id
    media = {
        "media_embeds": torch.nn.functional.normalize(torch.randn(8, 1, 1024), dim=-1),
        "media_types": torch.ones(8, 1, dtype=torch.long),
    }
    text = ids.where(ids < config.vocab_size, 0)

    def generate(one: Any, input_ids: torch.Tensor, new: int = NEW, **inputs: torch.Tensor) -> None:
        mask = torch.ones_like(input_ids)
        options = {"do_sample": False, "min_new_tokens": new, "max_new_tokens": new}
        one.generate(input_ids=input_ids, attention_mask=mask, **inputs, **options)

    def first(row: int = 0) -> dict[str, torch.Tensor]:
        return {name: values[row : row + 1] for name, values in media.items()}

    pair = measure(lambda: generate(model, ids[:1], **first()), lambda: generate(plain, text[:1]), turns)
    print_row(f"{NEW} tokens after {PROMPT}, with a medium", "`LlamaForCausalLM.generate`", pair, 0.97)
    pair = measure(
        lambda: generate(model, ids, 16, **media),
        lambda: [generate(model, ids[row : row + 1], 16, **first(row)) for row in range(8)],
        turns,
        warm_up=False,
    )
    print_row("8 questions in a batch, 16 tokens each", "one by one", pair, 3)


def second_turn(model: Any, processor: Any, question: str, media: list, turns: int) -> Pair:
    """Time to the first token of a second question: with and without what the first turn left."""
    one_token = {"max_new_tokens": 1, "do_sample": False}
    kept = Conversation(model, processor)
    kept.ask(question, media, **one_token)
    messages = list(kept.messages)

    def ask_again() -> None:
        kept.ask("And what is beside it?", **one_token)

    def ask_anew() -> None:
        conversation = Conversation(model, processor)
        conversation.messages = list(messages)
        conversation.ask("And what is beside it?", **one_token)

    pair = Pair([], [])
    for _ in range(turns):
        pair.ours.append(seconds_of(ask_again))
        kept.undo()
        pair.other.append(seconds_of(ask_anew))
    return pair


def main(
    turns: Annotated[int, typer.Option(min=1)] = 5,
    layers: Annotated[int, typer.Option(min=1, help="Of the language model; fewer make a trial.")] = 20,
    encoder_layers: Annotated[int, typer.Option(min=1)] = 32,
) -> None:
    """Print a section of RESULTS.md."""
    processor = build_processor()
    model = build(processor, layers, encoder_layers)
    words = processor.tokenizer.vocab_size
    command = f"python -m benchmarks.generation --turns {turns} --layers {layers} --encoder-layers {encoder_layers}"
    print_heading("Answers (`generation.py`)", command)
    parameters = sum(parameter.numel() for parameter in model.model.language_model.parameters()) / 1e9
    print(f"Language model: {parameters:.2f} billion parameters.\n")
    print_table()
    compare_with_plain_llama(model, turns)
    # The demo's tokenizer stands in for LLaMA's: its placeholders have other ids.
    for kind in MEDIA_TYPES:
        setattr(model.config, f"{kind}_token_id", getattr(processor, f"{kind}_token_id"))
    model.generation_config.suppress_tokens = list(range(words, 32000))
    text = " ".join(["the panda is on the tree"] * 65)  # 390 tokens, and the prompt's own
    print_row("second turn after 400 tokens", "a new conversation", second_turn(model, processor, text, [], turns), 4)
    frames = np.random.default_rng(0).integers(0, 255, (50, 240, 320, 3), dtype=np.uint8)
    video = [("video", frames)]
    pair = second_turn(model, processor, "What is this?", video, turns)
    print_row("second turn after a video", "a new conversation", pair, 15)


if __name__ == "__main__":
    typer.run(main)
