# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What the library's tests import from modules that its source distribution lacks."""

import base64
from pathlib import Path


EXAMPLES = Path(__file__).parents[2] / "demo" / "examples"


class ExportTesterMixin:
    """Nothing: the exporters' tests are not distributed."""


class GenerationTesterMixin:
    """
    Nothing but the mark of a model that generates: the generation tests are not distributed. Generation is tested in
    `tests/modeling_pandagpt/test_generation.py`.
    """


# Common settings of a configuration, none at its default, for `ConfigTester`.
config_common_kwargs = {
    "return_dict": False,
    "output_hidden_states": True,
    "output_attentions": True,
    "dtype": "float16",
    "chunk_size_feed_forward": 5,
    "architectures": ["BertModel"],
    "id2label": {0: "no", 1: "yes"},
    "label2id": {"no": 0, "yes": 1},
    "problem_type": "regression",
}


def url_to_local_path(url: str) -> str:
    """An example file of ours of the same kind as the file at `url`; the tests run without a network.

    As a data URL: a chat's "url" names no file.
    """
    name = {".mp4": "video.mp4", ".wav": "sound.wav", ".mp3": "sound.wav"}.get(Path(url).suffix, "picture.png")
    return f"data:;base64,{base64.b64encode((EXAMPLES / name).read_bytes()).decode()}"


def run_distributed(*args, **kwargs):
    raise RuntimeError("The distributed tests are not run here: they need several devices.")


_get_distributed_backend = _get_distributed_device_type = _get_rank_device = _set_rank_device = run_distributed
_start_rank_processes = run_distributed
