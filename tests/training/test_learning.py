# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""It learns: after both stages a tiny model tells what it sees in pictures that it was never shown.

The control is the same training on the same pictures and texts, but dealt out to each other at random: whatever is
learned without looking at the picture is learned there too.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from tiny_training import command_line
from torch import nn

from demo.untrained import build_config, build_processor
from modeling_pandagpt import PandaGPTForConditionalGeneration
from training.collator import IGNORED, PandaGPTDataCollator
from training.data import load_datasets
from training.sft import parse_arguments, train
from training.trainer import PandaGPTTrainer


SIDE = 56  # of a picture, in pixels: 16 patches
LIGHTS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 70, 220), "yellow": (230, 210, 50)}
GROUNDS = {"black": (20, 20, 20), "grey": (128, 128, 128), "white": (235, 235, 235), "orange": (240, 140, 30)}
KINDS = [(light, ground) for light in LIGHTS for ground in GROUNDS]

# Chance is 1 of 4 colours. Of 256 guesses at random, 40 % are right once in tens of millions of times.
CHANCE, NEAR_CHANCE = 0.25, 0.4


def draw(rng: np.random.Generator, light: str, ground: str) -> Image.Image:
    """A shape of one colour on a ground of another; its form, size, angle and place, both shades and noise vary."""
    shades = [tuple(int(part + rng.integers(-15, 16)) for part in rgb) for rgb in (LIGHTS[light], GROUNDS[ground])]
    picture = Image.new("RGB", (SIDE, SIDE), shades[1])
    radius, turn = rng.uniform(0.2, 0.3) * SIDE, rng.uniform(0, 2 * math.pi)
    x, y = rng.uniform(radius, SIDE - radius, 2)
    corners = int(rng.choice([3, 4, 5, 24]))
    angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
    points = [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]
    ImageDraw.Draw(picture).polygon(points, fill=shades[0])
    noisy = np.asarray(picture) + rng.normal(0, 12, (SIDE, SIDE, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def captions(index: int, light: str, ground: str) -> list[tuple[str, str]]:
    return [("see ?", f"one {light} light on {ground} ground")]


def questions(index: int, light: str, ground: str) -> list[tuple[str, str]]:
    """Two turns, in one order or the other."""
    turns = [("light ?", f"it is {light}"), ("ground ?", f"it is {ground}")]
    return turns[:: -1 if index // len(KINDS) % 2 else 1]


def write_data(folder: Path, number: int, seed: int, say, is_shuffled: bool = False) -> Path:
    """New pictures of every kind, and what `say` says of each; or, shuffled, of another one."""
    rng = np.random.default_rng(seed)
    pictures = folder / f"pictures-{seed}"
    pictures.mkdir()
    partner = rng.permutation(number) if is_shuffled else range(number)
    rows = []
    for index in range(number):
        kind = KINDS[index % len(KINDS)]
        draw(rng, *kind).save(pictures / f"{index}.png")
        messages = []
        for question, answer in say(index, *kind):
            messages.append({"role": "user", "content": [{"type": "text", "text": question}]})
            messages.append({"role": "assistant", "content": answer})
        picture = {"type": "image", "path": str(pictures / f"{partner[index]}.png")}
        messages[0]["content"].insert(0, picture)
        rows.append({"messages": messages})
    path = folder / f"data-{seed}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def teach_encoder(model: PandaGPTForConditionalGeneration, processor) -> float:
    """Stands in for ImageBind's own training: its picture encoder learns to tell the kinds apart, without any words.
    Returns the last loss."""
    rng = np.random.default_rng(100)
    encoder = model.model.imagebind.requires_grad_(True)
    classifier = nn.Linear(model.config.imagebind_config.projection_dim, len(KINDS))
    optimizer = torch.optim.AdamW([*encoder.vision_model.parameters(), *classifier.parameters()], lr=3e-3)
    kinds = [index % len(KINDS) for index in range(80 * len(KINDS))]
    pictures = [draw(rng, *KINDS[kind]) for kind in kinds]
    values, targets = processor.image_processor(pictures, return_tensors="pt")["pixel_values"], torch.tensor(kinds)
    for _ in range(8):
        for batch in torch.randperm(len(kinds)).split(32):
            embeds = encoder.encode("vision", values[batch]).pooler_output
            loss = nn.functional.cross_entropy(classifier(20 * embeds), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    encoder.requires_grad_(False)
    return loss.item()


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A tiny model whose encoder knows pictures, and whose language model knows nothing."""
    folder = tmp_path_factory.mktemp("base")
    processor = build_processor()
    processor.image_processor.size = {"shortest_edge": SIDE}
    processor.image_processor.crop_size = {"height": SIDE, "width": SIDE}
    config = build_config(processor)
    config.imagebind_config.vision_config.image_size = SIDE
    # Steep random weights would keep a few LoRA steps from turning what comes out.
    config.text_config.initializer_range = 0.1
    torch.manual_seed(0)
    model = PandaGPTForConditionalGeneration(config)
    assert teach_encoder(model, processor) < 0.5
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def run_stage(base: Path, data: Path, output: Path, steps: int, *more: object) -> PandaGPTTrainer:
    """A stage of `pandagpt train`; returns its trainer, which holds the trained model."""
    given = ["--max_steps", steps, "--global_batch_size", 16, "--per_device_train_batch_size", 16]
    given += ["--lora_r", 32, "--lora_alpha", 128, "--logging_steps", 50, "--save_strategy", "no", *more]
    return train(*parse_arguments(command_line(base, data, output, *given)))


@torch.no_grad()
def accuracies(trainer: PandaGPTTrainer, data: Path) -> tuple[float, float]:
    """Token accuracy on data: over all trained tokens, and over those that only the picture can tell."""
    processor = trainer.processing_class
    collator = PandaGPTDataCollator(processor, trainer.args.max_length, max_broken_share=0)
    batch = collator(list(load_datasets([{"path": str(data)}])[0]))
    predicted = trainer.model.eval()(**batch).logits[:, :-1].argmax(dim=-1)
    labels = batch["labels"][:, 1:]
    colours = processor.tokenizer.convert_tokens_to_ids([f"▁{word}" for word in (*LIGHTS, *GROUNDS)])
    of_picture = torch.isin(labels, torch.tensor(colours))
    assert (of_picture.sum(dim=1) == 2).all(), "every row names the light's colour and the ground's"
    is_right = predicted == labels
    return is_right[labels != IGNORED].float().mean().item(), is_right[of_picture].float().mean().item()


@pytest.mark.slow
@pytest.mark.parametrize("is_shuffled", [False, True], ids=["told of its picture", "told of another picture"])
def test_two_stages(base, tmp_path, is_shuffled):
    stage_1 = write_data(tmp_path, 640, 1, captions, is_shuffled)
    stage_2 = write_data(tmp_path, 640, 2, questions, is_shuffled)
    run_stage(base, stage_1, tmp_path / "stage_1", 120)
    trainer = run_stage(base, stage_2, tmp_path / "stage_2", 250, "--adapter", tmp_path / "stage_1")
    held_out = write_data(tmp_path, 128, 3, questions)
    everything, of_picture = accuracies(trainer, held_out)
    print(f"shuffled {is_shuffled}: {everything:.4f} of all tokens, {of_picture:.4f} of those that name a colour")
    if is_shuffled:
        assert abs(of_picture - CHANCE) < NEAR_CHANCE - CHANCE
        return
    assert everything > 0.95
    assert of_picture > 0.95
    # The same model, shown other pictures than those that are asked about.
    assert accuracies(trainer, write_data(tmp_path, 128, 4, questions, is_shuffled=True))[1] < NEAR_CHANCE
