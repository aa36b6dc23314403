# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What do media, batches and a conversation's memory do to the speed of answers?

```bash
python -m benchmarks.generation            # nine minutes on two CPU cores
python -m benchmarks.generation --small    # a trial
```

A LLaMA of about a billion parameters and, for the video, imagebind_huge's vision encoder, both with random weights, in
bfloat16 where the processor multiplies it and in float32 elsewhere. A second turn is timed to its first token: with
what the conversation kept, and in a new conversation that is given the same messages.
"""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.timing import (
    Seconds,
    measure,
    print_heading,
    print_row,
    print_table,
    seconds_of,
    untrained,
)
from demo.conversation import Conversation
from demo.untrained import build_processor
from modeling_pandagpt import PandaGPTConfig, PandaGPTForConditionalGeneration
from modeling_pandagpt.configuration_pandagpt import MEDIA_TYPES
from pandagpt import multiplies_bfloat16
from processing import PandaGPTProcessor


PROMPT = NEW = 64


class Size(NamedTuple):
    """The language model's layers, width and width within the MLP, and the encoder's layers and width."""

    layers: int
    width: int
    wide: int
    encoder_layers: int
    encoder_width: int


FULL, SMALL = Size(20, 2048, 5632, 32, 1280), Size(2, 128, 352, 1, 80)


def build(size: Size) -> PandaGPTForConditionalGeneration:
    """A random PandaGPT."""
    text_config = LlamaConfig(
        vocab_size=32000,
        hidden_size=size.width,
        intermediate_size=size.wide,
        num_hidden_layers=size.layers,
        num_attention_heads=size.width // 64,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    vision_config = {
        "num_hidden_layers": size.encoder_layers,
        "hidden_size": size.encoder_width,
        "intermediate_size": 4 * size.encoder_width,
        "num_attention_heads": size.encoder_width // 80,
    }
    config = PandaGPTConfig(
        imagebind_config={"modalities": ["vision"], "vision_config": vision_config},
        text_config=text_config,
        **{f"{kind}_token_id": 32000 + place for place, kind in enumerate(MEDIA_TYPES)},
    )
    torch.manual_seed(0)
    return untrained(lambda: PandaGPTForConditionalGeneration(config))


def compare_with_plain_llama(model: Any, turns: int) -> None:
    config = model.config.text_config
    with torch.device("meta"):
        plain = LlamaForCausalLM(config)
    plain.model, plain.lm_head = model.model.language_model, model.lm_head  # the same weights, not copied
    plain.generation_config.pad_token_id = 2
    plain.eval()
    ids = torch.randint(3, config.vocab_size, (8, PROMPT))
    ids[:, 5] = model.config.image_token_id
    media = {
        "media_embeds": torch.nn.functional.normalize(torch.randn(8, 1, 1024), dim=-1),
        "media_types": torch.ones(8, 1, dtype=torch.long),
    }
    text = ids.where(ids < config.vocab_size, 0)

    def generate(one: Any, input_ids: torch.Tensor, new: int, **inputs: torch.Tensor) -> None:
        mask = torch.ones_like(input_ids)
        options = {"do_sample": False, "min_new_tokens": new, "max_new_tokens": new}
        one.generate(input_ids=input_ids, attention_mask=mask, **inputs, **options)

    def alone(row: int, new: int) -> None:
        generate(model, ids[row : row + 1], new, **{name: values[row : row + 1] for name, values in media.items()})

    seconds = measure({"ours": lambda: alone(0, NEW), "plain": lambda: generate(plain, text[:1], NEW)}, turns)
    what = f"{NEW} tokens after {PROMPT}, with a medium"
    print_row(what, "`LlamaForCausalLM.generate`", seconds["ours"], seconds["plain"], 0.97)
    new = NEW // 2  # eight long answers one after another take long
    runs: dict[str, Callable[[], Any]] = {
        "batch": lambda: generate(model, ids, new, **media),
        "one by one": lambda: [alone(row, new) for row in range(len(ids))],
    }
    seconds = measure(runs, turns, warm_up=False)
    print_row(f"8 questions in a batch, {new} tokens each", "one by one", seconds["batch"], seconds["one by one"], 3)


def compare_second_turn(
    model: Any, processor: PandaGPTProcessor, question: str, media: list, turns: int
) -> tuple[Seconds, Seconds]:
    """Seconds to the first token of a second question: with and without what the first turn left."""
    one_token = {"max_new_tokens": 1, "do_sample": False}
    kept = Conversation(model, processor)
    kept.ask(question, media, **one_token)
    messages = list(kept.messages)
    ours, other = [], []
    for turn in range(turns):
        # Another question each time, or the cache would hold it.
        question = f"And what is {turn} of it?"
        ours.append(seconds_of(lambda question=question: kept.ask(question, **one_token)))
        kept.undo()
        anew = Conversation(model, processor)
        anew.messages = list(messages)
        other.append(seconds_of(lambda question=question, anew=anew: anew.ask(question, **one_token)))
    return ours, other


def main(
    turns: Annotated[int, typer.Option(min=1)] = 5,
    small: Annotated[bool, typer.Option("--small", help="A trial with smaller models.")] = False,
) -> None:
    """Print a section of RESULTS.md."""
    print_heading("Answers (`generation.py`)", f"python -m benchmarks.generation --turns {turns}{' --small' * small}")
    dtype = torch.bfloat16 if multiplies_bfloat16() else torch.float32
    model = build(SMALL if small else FULL).to(dtype)
    parameters = sum(parameter.numel() for parameter in model.model.language_model.parameters()) / 1e9
    print(f"Language model: {parameters:.2f} billion parameters, {str(dtype).removeprefix('torch.')}.\n")
    print_table()
    compare_with_plain_llama(model, turns)
    # The demo's tokenizer stands in for LLaMA's: its placeholders have other ids.
    processor = build_processor()
    for kind in MEDIA_TYPES:
        setattr(model.config, f"{kind}_token_id", getattr(processor, f"{kind}_token_id"))
    model.generation_config.suppress_tokens = list(range(processor.tokenizer.vocab_size, 32000))
    text = " ".join(["the panda is on the tree"] * 65)  # 390 tokens, and the prompt's own
    seconds = compare_second_turn(model, processor, text, [], turns)
    print_row("first token of a second turn, after 400 tokens", "a new conversation", *seconds, 4)
    frames = np.random.default_rng(0).integers(0, 255, (50, 240, 320, 3), dtype=np.uint8)
    seconds = compare_second_turn(model, processor, "What is this?", [("video", frames)], turns)
    print_row("first token of a second turn, after a video", "a new conversation", *seconds, 15)


if __name__ == "__main__":
    typer.run(main)
