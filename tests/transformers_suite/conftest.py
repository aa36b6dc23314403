# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""
The transformers library's own tests, importable as `transformers_tests`.

They come with the source distribution of the installed version, which pip fetches once into `.cache/`. It leaves out
some folders of the library's tests; `stand_ins` has what is imported from those.
"""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
import transformers
from transformers import dynamic_module_utils


CACHE = Path(__file__).parents[2] / ".cache" / "transformers-sdist" / transformers.__version__
TESTS = CACHE / "transformers_tests"

# Modules that the tests import and the source distribution lacks.
ABSENT = {
    "transformers_tests.distributed_testing_utils",
    "transformers_tests.exporters.test_export",
    "transformers_tests.generation.test_utils",
    "transformers_tests.utils.test_configuration_utils",
    "fetch_hub_objects_for_ci",
}

# The library's own markers.
MARKERS = [
    "accelerate_tests",
    "flash_attn_test",
    "flash_attn_3_test",
    "flash_attn_4_test",
    "slow",
    "torch_compile_test",
]


def pytest_configure(config: pytest.Config):
    for name in MARKERS:
        config.addinivalue_line("markers", f"{name}: the transformers library's")


def fetch_tests():
    """Unpacks the folder `tests` of the installed version's source distribution to `TESTS`, once."""
    if TESTS.is_dir():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    version = transformers.__version__
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        source = ["--no-binary", "transformers", "--dest", folder, f"transformers=={version}"]
        outcome = subprocess.run([*pip, *source], stderr=subprocess.PIPE, text=True)
        if outcome.returncode != 0:
            raise pytest.UsageError(
                f"pip could not download the source distribution of transformers {version}:\n{outcome.stderr}"
            )
        with tarfile.open(Path(folder) / f"transformers-{version}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        tests = Path(folder) / f"transformers-{version}" / "tests"
        (tests / "__init__.py").touch()  # the library's own has one, and executes it
        tests.rename(TESTS)


fetch_tests()
sys.path[:0] = [str(CACHE), str(Path(__file__).parent)]

import stand_ins  # noqa: E402


sys.modules.update(dict.fromkeys(ABSENT, stand_ins))


@pytest.fixture(autouse=True, scope="session")
def _modules_cache(tmp_path_factory):
    """Some tests save a processor with its code and load that, which the library copies to a cache first."""
    dynamic_module_utils.HF_MODULES_CACHE = str(tmp_path_factory.mktemp("modules"))
