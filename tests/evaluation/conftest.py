# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What the tests of evaluation share: a few things to ask about, and models that know them or guess."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from planted_models import FILES, THINGS, answers_of, planted_pandagpt

from evaluation.model import Loaded
from evaluation.run import evaluate
from evaluation.settings import parse
from modeling_pandagpt.configuration_pandagpt import MODALITY_OF_MEDIA_TYPE


@pytest.fixture(scope="session")
def media(tmp_path_factory) -> Path:
    """A folder with a folder for each thing, and its picture, thermal picture and motion in there."""
    folder = tmp_path_factory.mktemp("things")
    generator = np.random.default_rng(0)
    for thing in range(THINGS):
        own = folder / "media" / str(thing)
        own.mkdir(parents=True)
        Image.fromarray(generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(own / FILES["image"])
        Image.fromarray(generator.integers(0, 255, (8, 8), dtype=np.uint8)).save(own / FILES["thermal"])
        np.save(own / FILES["imu"], generator.normal(size=(6, 2000)).astype(np.float32))
    return folder


@pytest.fixture(scope="session")
def planted(media) -> Callable[..., Loaded]:
    """A model to which all things have been shown; it knows the answers, or guesses among them."""
    model, processor = planted_pandagpt()
    model.plant(processor, [answers_of(thing) for thing in range(THINGS)])
    readers = {
        "image": (processor.image_processor, "pixel_values"),
        "thermal": (processor.thermal_image_processor, "thermal_values"),
        "imu": (processor.imu_feature_extractor, "imu_values"),
    }
    for kind, (reader, name) in readers.items():
        paths = [str(media / "media" / str(thing) / FILES[kind]) for thing in range(THINGS)]
        with torch.inference_mode():
            values = reader(paths, return_tensors="pt")[name]
            embeds = model.model.imagebind.encode(MODALITY_OF_MEDIA_TYPE[kind], values).pooler_output
        for thing, embed in enumerate(embeds):
            model.show(embed, thing)

    def load(knows: bool = True) -> Loaded:
        model.draw_lots(knows)
        return Loaded("planted", None, processor, model.model.imagebind, model)

    return load


@pytest.fixture
def write_rows(media) -> Callable[[str, list[dict]], Path]:
    """Writes rows beside the media."""

    def write(name: str, rows: list[dict]) -> Path:
        path = media / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def run(monkeypatch, tmp_path) -> Callable[..., dict]:
    """Evaluates a model that is already loaded, as the command does, and gives what stands in results.json."""

    def run(loaded: Loaded, *arguments: object) -> dict:
        monkeypatch.setattr("evaluation.run.load", lambda *_: loaded)
        given = ["--model", "planted", "--device", "cpu", "--workers", 0, "--output", tmp_path / "results.json"]
        settings = parse([str(argument) for argument in (*given, *arguments)])
        content = evaluate(settings)
        assert content == json.loads((Path(settings.output)).read_text())
        return content

    return run
