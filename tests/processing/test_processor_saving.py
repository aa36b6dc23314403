# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""PandaGPT's processor saved, copied, and loaded where our source is not."""

import copy
import pickle
import subprocess
import sys

import torch

from processing.processing_pandagpt import INERT, PandaGPTProcessor


def test_copies_behave_alike(processor, media):
    given = {"text": f"<image> <{INERT}audio>", "images": media["image"][0], "return_tensors": "pt"}
    expected = processor(**given)
    for twin in (copy.deepcopy(processor), pickle.loads(pickle.dumps(processor))):
        inputs = twin(**given)
        assert all(torch.equal(inputs[name], expected[name]) for name in expected)


LOAD_ELSEWHERE = """
import sys
import torch
from transformers import AutoImageProcessor, AutoFeatureExtractor, AutoProcessor

assert not any(name.split(".")[0] in ("processing", "modeling_pandagpt") for name in sys.modules)
processor = AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
processor.save_pretrained(sys.argv[2])
processor = AutoProcessor.from_pretrained(sys.argv[2], trust_remote_code=True)
assert type(processor).__module__.startswith("transformers_modules."), type(processor).__module__
AutoImageProcessor.from_pretrained(sys.argv[2], trust_remote_code=True)
AutoFeatureExtractor.from_pretrained(sys.argv[2], trust_remote_code=True)
blocks = [
    {"type": "image", "image": torch.zeros(3, 8, 8)},
    {"type": "video", "video": torch.zeros(4, 3, 8, 8)},
    {"type": "audio", "audio": (torch.zeros(8000), 16000)},
    {"type": "thermal", "thermal": torch.zeros(8, 8, dtype=torch.uint8)},
    {"type": "depth", "depth": torch.ones(8, 8)},
    {"type": "imu", "imu": torch.zeros(6, 2000)},
    {"type": "text", "text": "Is <image> inert?"},
]
inputs = processor.apply_chat_template(
    [{"role": "user", "content": blocks}], tokenize=True, return_dict=True, return_tensors="pt"
)
torch.save(dict(inputs), sys.argv[3])
print(processor.media_fusion)
"""


def test_auto_processor_in_a_process_without_our_source(concat_processor, tmp_path):
    concat_processor.save_pretrained(tmp_path / "hub")
    result = subprocess.run(
        [sys.executable, "-I", "-c", LOAD_ELSEWHERE, tmp_path / "hub", tmp_path / "again", tmp_path / "inputs.pt"],
        cwd=tmp_path,
        env={"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "concat"
    inputs = torch.load(tmp_path / "inputs.pt", weights_only=True)
    assert inputs["media_slots"].tolist() == [[1, 2, 3, 4, 5, 6]]
    shapes = {
        "pixel_values": (1, 3, 224, 224),
        "pixel_values_videos": (1, 15, 3, 2, 224, 224),
        "input_features": (1, 3, 1, 128, 204),
        "thermal_values": (1, 1, 224, 224),
        "depth_values": (1, 1, 224, 224),
        "imu_values": (1, 6, 2000),
    }
    assert {name: tuple(inputs[name].shape) for name in shapes} == shapes
    for folder in ("hub", "again"):
        shipped = {path.name for path in (tmp_path / folder).glob("*.py")}
        assert shipped == {
            "feature_extraction_pandagpt.py",
            "fetch_media.py",
            "image_processing_pandagpt.py",
            "processing_imagebind.py",
            "processing_pandagpt.py",
            "video_processing_pandagpt.py",
        }


def test_keywords_of_loading_reach_the_first_processor_of_a_kind(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    again = PandaGPTProcessor.from_pretrained(tmp_path, do_normalize=False, num_clips=2, pad_token="<unk>")
    assert (again.image_processor.do_normalize, again.depth_image_processor.do_normalize) == (False, True)
    assert (again.video_processor.num_clips, again.feature_extractor.num_clips) == (2, 2)
    assert again.tokenizer.pad_token == "<unk>"
    assert type(PandaGPTProcessor.from_pretrained(tmp_path, backend="pil").depth_image_processor).__name__.endswith(
        "Pil"
    )


def test_settings_of_every_processor_survive_saving(make_processor, tmp_path):
    processor = make_processor(media_fusion="concat")
    processor.thermal_image_processor.value_range = (1.0, 2.0)
    processor.depth_image_processor.depth_unit = 0.001
    processor.imu_feature_extractor.duration = 4.0
    processor.video_processor.num_clips = 2
    processor.feature_extractor.num_clips = 1
    processor.save_pretrained(tmp_path)
    again = PandaGPTProcessor.from_pretrained(tmp_path)
    assert again.media_fusion == "concat"
    assert tuple(again.thermal_image_processor.value_range) == (1.0, 2.0)
    assert again.depth_image_processor.depth_unit == 0.001
    assert again.imu_feature_extractor.duration == 4.0
    assert again.video_processor.num_clips == 2
    assert again.feature_extractor.num_clips == 1
    assert again.chat_template == processor.chat_template
    assert again.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    assert again.tokenizer.padding_side == "left"
