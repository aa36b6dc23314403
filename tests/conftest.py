# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What all tests share: no network, a home of their own, few threads, fixed seeds, and the original's golden data."""

import os
import tempfile
from pathlib import Path


# Before the first import of torch and of the Hub's client, which read these once.
_HOME = tempfile.TemporaryDirectory(prefix="pandagpt-tests-")  # removed when the tests end
os.environ["HF_HOME"] = _HOME.name
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest  # noqa: E402
import torch  # noqa: E402
from transformers import set_seed  # noqa: E402


torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(autouse=True)
def _seed():
    set_seed(0)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of golden data that the original's own code computed; its README says what they are."""
    folder = os.environ.get("PANDAGPT_REFERENCE")
    if not folder:
        pytest.skip("PANDAGPT_REFERENCE is not set: the golden data of the original are not on this machine")
    if not (Path(folder) / "README.md").is_file():
        pytest.fail(f"PANDAGPT_REFERENCE is {folder}, which holds no golden data")
    return Path(folder)


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of committed golden data."""
    return Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def golden_imagebind(fixtures, tmp_path_factory) -> Path:
    """The golden tiny ImageBind, converted."""
    from tiny_models import convert

    output = tmp_path_factory.mktemp("golden") / "imagebind"
    folder = fixtures / "imagebind_tiny"
    convert(
        ["--imagebind", folder / "imagebind_tiny.pth", "--imagebind-config", folder / "imagebind_tiny_config.json"]
        + ["--clip-tokenizer", fixtures / "clip_tokenizer", "--output", output]
    )
    return output


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of example files, one of each modality."""
    return Path(__file__).parents[1] / "demo" / "examples"


@pytest.fixture(scope="session")
def loopback_hub():
    """A Hub of this machine alone. Its users are `tester` (tokens `hf_writer`, `hf_reader`) and `stranger`."""
    from loopback_hub import LoopbackHub

    hub = LoopbackHub()
    yield hub
    hub.stop()
