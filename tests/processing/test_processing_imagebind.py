# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""ImageBind's processor: text ids equal upstream's, six media, saving and loading."""

import gzip
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from processing import processing_imagebind
from processing.processing_imagebind import ImageBindProcessor, clip_tokenizer_from_bpe, flatten_media


START, END = 512 + 3, 512 + 4


@pytest.fixture(scope="module")
def tiny_clip() -> CLIPTokenizer:
    """CLIP's tokenizer with three merges in place of 48894."""
    letters = list(bytes_to_unicode().values())
    merges = [("d", "o"), ("do", "g</w>"), ("a", "b")]
    words = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=merges)


@pytest.fixture(scope="module")
def imagebind(tiny_clip) -> ImageBindProcessor:
    return ImageBindProcessor(tokenizer=tiny_clip)


@pytest.fixture(scope="module")
def golden(reference) -> tuple[ImageBindProcessor, dict]:
    tokenizer = clip_tokenizer_from_bpe(reference / "clip_bpe" / "bpe_simple_vocab_16e6.txt.gz")
    return ImageBindProcessor(tokenizer=tokenizer), json.loads((reference / "preprocess" / "text.json").read_text())


def test_ids_equal_upstream(golden):
    processor, expected = golden
    assert len(expected["texts"]) == 12
    for text, ids in zip(expected["texts"], expected["upstream_ids"], strict=True):
        assert processor(text=text)["input_ids"] == [ids], text
    batch = processor(text=expected["texts"], return_tensors="pt")
    assert torch.equal(batch["input_ids"], torch.tensor(expected["upstream_ids"]))
    assert batch["input_ids"].argmax(dim=1).tolist() == [ids.index(49407) for ids in expected["upstream_ids"]]


def test_ids_survive_saving(golden, tmp_path):
    processor, expected = golden
    processor.save_pretrained(tmp_path)
    again = ImageBindProcessor.from_pretrained(tmp_path)
    assert again(text=expected["texts"])["input_ids"] == expected["upstream_ids"]


def test_short_text_is_padded_with_zeros(imagebind):
    dog = 512 + 1
    inputs = imagebind(text=["dog", "A  DOG\n"], return_tensors="pt")
    a = list(bytes_to_unicode().values()).index("a") + 256
    assert inputs["input_ids"].shape == (2, 77)
    assert inputs["input_ids"][0].tolist() == [START, dog, END] + [0] * 74
    assert inputs["input_ids"][1].tolist() == [START, a, dog, END] + [0] * 73
    assert list(inputs) == ["input_ids"]


def test_long_text_keeps_its_end(imagebind):
    ids = imagebind(text="dog " * 100)["input_ids"][0]
    assert len(ids) == 77
    assert (ids[0], ids[-1]) == (START, END)
    assert END not in ids[:-1]


@pytest.mark.parametrize(
    "text, same_as",
    [
        ("a &amp;amp; b", "a & b"),
        ("caf&eacute;", "café"),
        ("\u201cdog\u2019s\u201d", '"dog\'s"'),
        ("schÃ¶n", "schön"),
        ("\ufb01ne", "fine"),
        ("  dog \t dog\n", "dog dog"),
    ],
)
def test_text_is_repaired(imagebind, text, same_as):
    pytest.importorskip("ftfy")
    assert imagebind(text=text)["input_ids"] == imagebind(text=same_as)["input_ids"]


def test_without_ftfy_ordinary_text_is_the_same_and_a_warning_says_so(imagebind, monkeypatch):
    expected = imagebind(text="a dog &amp;amp; a cat")
    monkeypatch.setattr(processing_imagebind, "ftfy", None)
    warned = []
    monkeypatch.setattr(processing_imagebind.logger, "warning_once", warned.append)
    assert imagebind(text="a dog &amp;amp; a cat")["input_ids"] == expected["input_ids"]
    assert len(warned) == 1 and "pip install ftfy" in warned[0]


def test_a_file_that_is_no_bpe_vocabulary(tmp_path):
    path = tmp_path / "bpe.txt.gz"
    with gzip.open(path, "wt") as file:
        file.write("version\na b\nc d\n")
    with pytest.raises(ValueError, match="is not CLIP's BPE file"):
        clip_tokenizer_from_bpe(path)


def test_text_and_all_media_at_once(imagebind, media):
    names = {"images": "image", "videos": "video"}
    given = {name: media[names.get(name, name)] for name in ("images", "videos", "audio", "thermal", "depth", "imu")}
    inputs = imagebind(text=["a", "b"], **given, return_tensors="pt")
    shapes = {
        "input_ids": (2, 77),
        "pixel_values": (2, 3, 224, 224),
        "pixel_values_videos": (2, 15, 3, 2, 224, 224),
        "input_features": (2, 3, 1, 128, 204),
        "thermal_values": (2, 1, 224, 224),
        "depth_values": (2, 1, 224, 224),
        "imu_values": (2, 6, 2000),
    }
    assert {name: tuple(value.shape) for name, value in inputs.items()} == shapes
    assert set(imagebind.model_input_names) == set(shapes)
    for name, medium in given.items():
        (key,) = imagebind(**{name: medium[0]}, return_tensors="pt")
        assert torch.equal(imagebind(**{name: medium[0]}, return_tensors="pt")[key], inputs[key][:1])


def test_keywords_reach_one_processor(imagebind, media):
    inputs = imagebind(audio=media["audio"], videos=media["video"], audio_kwargs={"num_clips": 1}, return_tensors="pt")
    assert inputs["input_features"].shape[1] == 1
    assert inputs["pixel_values_videos"].shape[1] == 15


def test_keywords_reach_every_processor_that_takes_them(imagebind, media):
    millimetres = (media["depth"][0] * 1000).astype(np.uint16)
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 100
    given = {"depth": millimetres, "thermal": deep, "audio": media["audio"], "videos": media["video"]}
    options = {"depth_unit": 0.001, "value_range": (0, 6300), "num_clips": 1, "return_tensors": "pt"}
    inputs = imagebind(**given, **options)
    expected = imagebind(
        depth=millimetres,
        depth_kwargs={"depth_unit": 0.001},
        thermal=deep,
        thermal_kwargs={"value_range": (0, 6300)},
        return_tensors="pt",
    )
    assert torch.equal(inputs["depth_values"], expected["depth_values"])
    assert torch.equal(inputs["thermal_values"], expected["thermal_values"])
    assert inputs["input_features"].shape[1] == 1 and inputs["pixel_values_videos"].shape[1] == 3
    plain = imagebind(depth=media["depth"][0], do_normalize=False, return_tensors="pt")["depth_values"]
    assert 0 < plain.min() and plain.max() < 1


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"media_fusion": "concat"}, TypeError, r"\['media_fusion'\]"),
        ({"depth_units": 0.001}, TypeError, r"\['depth_units'\]"),
        ({"max_disparty": 3, "num_clip": 3}, TypeError, r"\['max_disparty', 'num_clip'\]"),
        ({"depth_unit": 1, "depth_kwargs": {"depth_unit": 2}}, ValueError, "'depth_unit'.* given twice: in depth_kw"),
        ({"sampling_rate": 200, "imu": np.zeros((6, 2000))}, TypeError, "audio_kwargs or imu_kwargs"),
    ],
)
def test_a_keyword_without_effect_is_an_error(imagebind, keywords, error, message):
    with pytest.raises(error, match=message):
        imagebind(text="dog", depth=np.ones((8, 8)), **keywords)


def test_errors(imagebind):
    with pytest.raises(ValueError, match="at least one of"):
        imagebind()
    with pytest.raises(ValueError, match="at least one of"):
        imagebind(images=[])
    with pytest.raises(TypeError, match=r"text\[0\] must be a string, got NoneType"):
        imagebind(text=[None])
    with pytest.raises(ValueError, match=r"images\[1\]"):
        imagebind(images=[np.zeros((8, 8, 3), dtype=np.uint8), "missing.png"])


def test_flatten_media():
    frame, samples, motion = np.zeros((4, 4, 3)), np.zeros(9), np.zeros((6, 9))
    flat = flatten_media(images=[["a", "b"], "c"], videos=[[[frame] * 2], "v"], audio=(samples, 8), imu=None)
    assert flat["images"] == ["a", "b", "c"]
    assert [type(video) for video in flat["videos"]] == [list, str]
    assert flat["audio"] == [(samples, 8)]
    assert flat["imu"] == []
    assert len(flatten_media(imu=np.stack([motion, motion]))["imu"]) == 2
    assert len(flatten_media(videos=np.zeros((2, 3, 4, 4, 3)))["videos"]) == 2
    assert len(flatten_media(videos=([frame, frame], 25.0))["videos"]) == 1
    assert len(flatten_media(audio=[0.0, 0.5])["audio"]) == 1


def test_copies_behave_alike(imagebind):
    twin = pickle.loads(pickle.dumps(imagebind))
    assert twin(text="dog")["input_ids"] == imagebind(text="dog")["input_ids"]


LOAD_ELSEWHERE = """
import sys
from transformers import AutoProcessor

processor = AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
processor.save_pretrained(sys.argv[2])
processor = AutoProcessor.from_pretrained(sys.argv[2], trust_remote_code=True)
print(type(processor).__name__, processor(text="dog")["input_ids"][0][:4])
"""


def test_auto_processor_in_a_process_without_our_source(imagebind, tmp_path):
    imagebind.save_pretrained(tmp_path / "hub")
    result = subprocess.run(
        [sys.executable, "-I", "-c", LOAD_ELSEWHERE, tmp_path / "hub", tmp_path / "again"],
        cwd=tmp_path,
        env={"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == f"ImageBindProcessor [{START}, 513, {END}, 0]"
    assert "processing_pandagpt.py" not in {path.name for path in (tmp_path / "again").iterdir()}
