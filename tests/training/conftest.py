# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What the tests of training share: the golden model, converted, a tiny untrained one, and data in several forms."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_models import convert, golden_sources
from transformers import AutoTokenizer

from demo.untrained import build
from modeling_pandagpt import PandaGPTForConditionalGeneration
from processing import PandaGPTProcessor


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def golden_processor(fixtures) -> PandaGPTProcessor:
    """The golden tokenizer with the original's prompt."""
    tokenizer = AutoTokenizer.from_pretrained(fixtures / "pandagpt_tiny" / "base_llama")
    PandaGPTProcessor.add_placeholder_tokens(tokenizer)
    template = (ROOT / "processing" / "chat_templates" / "vicuna_v0.jinja").read_text(encoding="utf-8")
    return PandaGPTProcessor(tokenizer=tokenizer, chat_template=template)


@pytest.fixture(scope="session")
def golden_pandagpt(fixtures, tmp_path_factory) -> Path:
    """The golden tiny PandaGPT, converted and merged."""
    output = tmp_path_factory.mktemp("golden") / "pandagpt"
    convert([*golden_sources(fixtures), "--output", output])
    return output


@pytest.fixture(scope="session")
def untrained() -> tuple[PandaGPTForConditionalGeneration, PandaGPTProcessor]:
    """A tiny untrained model of six modalities and its processor; leave both as they are."""
    return build()


@pytest.fixture(scope="session")
def original_data(tmp_path_factory) -> Path:
    """A json file in the original's format, beside its `images/`: eight pictures, one conversation about each."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    records = []
    for index in range(8):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{index}.jpg")
        turns = [("human", "what is it ?"), ("gpt", f"a panda on the {'red' if index % 2 else 'blue'} road")]
        turns += [("human", "and now ?"), ("gpt", "the same " * index + "panda")] if index % 3 == 0 else []
        records.append(
            {
                "image_name": str(index) if index % 2 else f"{index}.jpg",
                "conversation": [{"from": speaker, "value": text} for speaker, text in turns],
            }
        )
    path = folder / "data.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return path
