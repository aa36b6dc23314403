# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Processors with the tiny tokenizer, and small media of each kind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import AutoTokenizer

from processing.processing_pandagpt import PandaGPTProcessor


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The golden tiny PandaGPT: what the original's own code made and computed."""
    return ROOT / "tests" / "fixtures" / "pandagpt_tiny"


@pytest.fixture(scope="session")
def templates() -> dict[str, str]:
    return {path.stem: path.read_text() for path in (ROOT / "processing" / "chat_templates").glob("*.jinja")}


@pytest.fixture(scope="session")
def make_processor(tiny, templates) -> Callable[..., PandaGPTProcessor]:
    """Builds a processor with the original's prompt; by default on the tiny tokenizer."""

    def make(folder: Path = tiny / "base_llama", **kwargs) -> PandaGPTProcessor:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        PandaGPTProcessor.add_placeholder_tokens(tokenizer)
        return PandaGPTProcessor(**{"tokenizer": tokenizer, "chat_template": templates["vicuna_v0"], **kwargs})

    return make


@pytest.fixture(scope="session")
def processor(make_processor) -> PandaGPTProcessor:
    return make_processor()


@pytest.fixture(scope="session")
def concat_processor(make_processor) -> PandaGPTProcessor:
    return make_processor(media_fusion="concat")


@pytest.fixture(scope="session")
def media() -> dict[str, list]:
    """Two different media of each kind, as small as they may be."""
    rng = np.random.default_rng(0)
    imu = rng.normal(size=(2, 6, 2000)).astype(np.float32)
    return {
        "image": [Image.new("RGB", (8, 8), color) for color in ("red", "blue")],
        "video": [[Image.new("RGB", (8, 8), color)] * 3 for color in ("red", "blue")],
        "audio": [(rng.uniform(-1, 1, size).astype(np.float32), 16000) for size in (8000, 9000)],
        "thermal": [Image.new("L", (8, 8), grey) for grey in (10, 200)],
        "depth": [np.full((8, 8), metres, dtype=np.float32) for metres in (1.0, 4.0)],
        "imu": list(imu),
    }
