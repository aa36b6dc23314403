# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The committed example files are what the toy world's renderers draw."""

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from training.tiny_world.examples import main


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    main(folder)
    return folder


def frames(path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(int)


def test_no_file_is_missing_and_all_are_small(drawn, examples):
    committed = {path.name for path in examples.iterdir() if path.suffix not in {".py", ""}}
    assert committed == {path.name for path in drawn.iterdir()}
    assert sum((examples / name).stat().st_size for name in committed) < 700_000


@pytest.mark.parametrize("name", ["picture.png", "thermal.png"])
def test_pictures(drawn, examples, name):
    ours, committed = (np.array(Image.open(path / name)).astype(int) for path in (drawn, examples))
    assert np.abs(ours - committed).max() <= 2  # the last digit of what is drawn depends on the processor
    assert committed.std() > 30


def test_sound(drawn, examples):
    (ours, rate), (committed, committed_rate) = (soundfile.read(path / "sound.wav") for path in (drawn, examples))
    assert rate == committed_rate == 16_000 and ours.shape == committed.shape == (32_000,)
    assert np.abs(ours - committed).max() <= 2 / 2**15  # the sine's last digit depends on the processor
    assert 0.1 < np.abs(committed).max() < 1


def test_video(drawn, examples):
    ours, committed = frames(drawn / "video.mp4"), frames(examples / "video.mp4")
    assert ours.shape == committed.shape == (16, 256, 256, 3)
    assert np.abs(ours - committed).mean() < 2  # encoders differ by version
    assert np.abs(committed[0] - committed[-1]).mean() > 10  # something moves


def test_depth(drawn, examples):
    ours, committed = np.load(drawn / "depth.npy"), np.load(examples / "depth.npy")
    assert np.allclose(ours, committed, atol=1e-5)
    assert 1 < committed.min() < committed.max() < 50  # metres


def test_motion(drawn, examples):
    ours, committed = (np.loadtxt(path / "motion.csv", delimiter=",", skiprows=1) for path in (drawn, examples))
    assert ours.shape == (2000, 6)
    assert np.allclose(ours, committed, atol=0.0011)
    assert abs(committed[:, 2].mean() - 9.81) < 0.1  # gravity
