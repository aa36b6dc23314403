# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Cards say what is known and nothing else, the Hub accepts their metadata, and every Python block of them runs."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard, SpaceCard
from peft import LoraConfig, get_peft_model
from tiny_models import tiny_imagebind_config

from demo.untrained import build
from hub_cards.cards import LOSS_CURVE, write_card, write_space_card, write_training_card
from hub_cards.licences import CODE, IMAGEBIND_BY_MODEL_CARD, IMAGEBIND_BY_README, LLAMA_1, PANDAGPT
from modeling_pandagpt import PandaGPTConfig
from modeling_pandagpt.configuration_pandagpt import ORIGINAL_MODALITY_SCALES


RUN = {
    "base_model": "someone/base",
    "base_model_revision": "0123456789abcdef0123456789abcdef01234567",
    "continued_from": None,
    "train": "full",
    "data": [{"path": "user/data", "on_hub": True}, {"path": "/home/somebody/private/conversations.json"}],
    "hyperparameters": {"learning_rate": 5e-4, "max_steps": -1, "seed": 42, "lora_r": 32, "warmup_type": "log"},
    "num_processes": 2,
    "zero_stage": 2,
    "steps": 1234,
    "epochs": 1.99996,
    "history": [
        *({"step": step, "loss": 3 / step, "image_token_accuracy": step / 10} for step in range(1, 5)),
        {"step": 4, "eval_loss": 0.625, "eval_image_token_accuracy": 0.5},
    ],
    "versions": {"torch": "2.13.0", "trl": "1.16.0"},
}
RESULTS = {
    "task": "open_questions",
    "model": "/home/somebody/private/model",
    "data": "/home/somebody/private/test.jsonl",
    "samples": 300,
    "scores": {"exact_match": {"value": 0.512, "low": 0.49, "high": 0.53}},
    "settings": {"limit": 300},
    "groups": [
        {"by": {"modality": "image"}, "samples": 201, "scores": {"exact_match": {"value": 0.75}}},
        {"by": {"modality": "audio"}, "samples": 99, "scores": {"exact_match": {"value": 0.25}, "gap": {"value": 1}}},
    ],
    "published": [
        {"model": "A|B", "source": "arXiv", "note": "by eye", "metric": "exact_match", "value": 50.0, "ours": 51.2}
    ],
    "model_index": {
        "results": [
            {
                "task": {"type": "visual-question-answering"},
                "dataset": {"type": "/home/somebody/private/test.jsonl", "name": "a | b"},
                "metrics": [{"type": "exact_match", "value": 0.512}],
            }
        ]
    },
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A tiny model, an adapter of it, and their cards, as they are pushed."""
    folder = tmp_path_factory.mktemp("cards")
    model, processor = build()
    folders = {"model": folder / "model", "adapter": folder / "adapter"}
    for part in (model, processor):
        part.save_pretrained(folders["model"])
    targets = LoraConfig(r=2, target_modules=r".*language_model.*\.q_proj", modules_to_save=["projector"])
    adapted = get_peft_model(model, targets)
    adapted.peft_config["default"].base_model_name_or_path = "tester/card-model"
    adapted.save_pretrained(folders["adapter"])
    processor.save_pretrained(folders["adapter"])
    write_card(folders["model"], "tester/card-model")
    write_card(
        folders["adapter"],
        "tester/card-adapter",
        kind="adapter",
        base="tester/card-model",
        base_config=PandaGPTConfig.from_pretrained(folders["model"]),
    )
    return folders


def write_config(folder: Path, config, **files) -> Path:
    config.save_pretrained(folder)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_card_is_made_of_facts(tmp_path):
    config = build()[0].config
    card = ModelCard.load(write_card(write_config(tmp_path, config, facts=RUN, results=RESULTS), "user/panda"))
    data = card.data.to_dict()
    assert data["base_model"] == "someone/base" and data["base_model_relation"] == "finetune"
    assert data["pipeline_tag"] == "any-to-any" and data["library_name"] == "transformers"
    assert data["datasets"] == ["user/data"] and {"custom_code", "imagebind", "imu"} <= set(data["tags"])
    (result,) = card.data.eval_results
    assert (result.metric_value, result.dataset_type) == (0.512, "test.jsonl")
    for said in (
        "| `image` | a picture file or an array | **trained** in this run |",
        "| **emergent**: not in this run's data, evaluated below |",
        "| `learning_rate` | 0.0005 |",
        "1,234 steps, 2 epochs, 2 processes, DeepSpeed ZeRO-2.",
        "| exact match | 0.512 [0.49, 0.53] |",
        "| modality | samples | exact match | gap |\n|---|---|---|---|\n",
        "| image | 201 | 0.75 |  |\n| audio | 99 | 0.25 | 1 |",
        "| | metric | theirs | here (first 300 rows alone) |\n|---|---|---|---|\n",
        "| A\\|B (arXiv), by eye | exact match | 50 | 51.2 |",
        "conversations.json (not on the Hub)",
        "| `eval_loss` | 0.625 |",
    ):
        assert said in card.text, said
    assert "/home" not in card.content and "lora_r" not in card.text and "max_steps" not in card.text
    assert f"![Loss by step]({LOSS_CURVE})" in card.text
    assert (tmp_path / LOSS_CURVE).read_bytes().startswith(b"\x89PNG")


def test_what_nobody_knows_is_left_out(tmp_path):
    card = ModelCard.load(write_card(write_config(tmp_path, build()[0].config), "user/panda"))
    assert set(card.data.to_dict()) == {"library_name", "pipeline_tag", "tags"}
    headings = re.findall(r"^## (.+)", card.text, flags=re.MULTILINE)
    assert headings == ["Uses", "How to start", "Modalities", "Memory", "Limits", "Licences", "Citation"]
    assert "how far it was taken" not in card.text and "None" not in card.content
    assert not (tmp_path / LOSS_CURVE).exists()


def test_a_converted_original(tmp_path):
    """The README's modalities, its 15.2 GB, and ImageBind's two licences beside LLaMA's."""
    config = PandaGPTConfig(modality_scales=ORIGINAL_MODALITY_SCALES)
    card = ModelCard.load(write_card(write_config(tmp_path, config), "user/panda-7b"))
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    states = dict(re.findall(r"^\| `(\w+)` \|.*\| (\*\*.+) \|$", card.text, flags=re.MULTILINE))
    wanted = dict(re.findall(r"^\| `(\w+)` \|.*\| \*\*(\w+)\*\*.* \|$", readme, flags=re.MULTILINE))
    assert {kind: re.findall(r"\w+", state)[0] for kind, state in states.items()} == wanted
    assert "| bfloat16 or float16 | 15.2 GB |" in card.text
    for licence in (CODE, IMAGEBIND_BY_README, IMAGEBIND_BY_MODEL_CARD, PANDAGPT, LLAMA_1):
        assert f"| {licence.part} | [{licence.name}]({licence.link}) |" in card.text
    assert card.data.license == "other" and "llama" in card.data.to_dict()["license_name"]
    assert "not meant for any real-world application" in card.text


def test_imagebind_has_a_card_of_its_own(tmp_path):
    card = ModelCard.load(write_card(write_config(tmp_path, tiny_imagebind_config()), "user/bind", kind="imagebind"))
    assert card.data.pipeline_tag == "feature-extraction"
    assert "image_embeds @ embeddings.text_embeds.T" in card.text and "PandaGPT" not in card.text
    with pytest.raises(ValueError, match="of the kind 'imagebind', not 'model'"):
        write_card(tmp_path, "user/bind")


def test_a_run_that_is_not_over(folders, tmp_path):
    """What a trainer pushes with a checkpoint: its facts are in no file yet, its base is a folder of this machine."""
    shutil.copytree(folders["adapter"], tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = str(folders["model"])
    (tmp_path / "run" / "adapter_config.json").write_text(json.dumps(settings))
    run = RUN | {"base_model": str(folders["model"]), "base_model_revision": None, "train": "lora"}
    card = ModelCard.load(write_training_card(tmp_path / "run", "user/run", run))
    assert card.data.base_model is None and card.data.library_name == "peft"
    assert str(tmp_path.parent) not in card.content and str(folders["model"]) not in card.content
    assert "| LoRA | rank 2, alpha 8" in card.text and "| `lora_r` | 32 |" in card.text
    assert "## Memory" in card.text


@pytest.mark.parametrize(
    "change, message",
    [({"base": "/a/folder"}, "must be a Hub id"), ({"kind": "adapter"}, "of the kind 'model', not 'adapter'")],
)
def test_wrong_arguments(tmp_path, change, message):
    write_config(tmp_path, build()[0].config)
    with pytest.raises(ValueError, match=message):
        write_card(tmp_path, "user/panda", **change)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match="holds no checkpoint"):
        write_card(tmp_path, "user/panda")


def test_a_space(tmp_path):
    card = SpaceCard.load(write_space_card(tmp_path, "user/demo", models=["user/panda", str(tmp_path)]))
    assert card.data.sdk == "gradio" and card.data.models == ["user/panda"] and card.data.app_file == "app.py"
    assert str(tmp_path) not in card.content


PUSH = """
import sys
from huggingface_hub import HfApi, ModelCard

for repo, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    HfApi().create_repo(repo)
    HfApi().upload_folder(repo_id=repo, folder_path=folder)
    ModelCard.load(repo).validate()
try:
    ModelCard("---\\ntags: [\\n---\\n").validate()
except Exception:
    print("validated")
"""


@pytest.fixture(scope="module")
def pushed(loopback_hub, folders, tmp_path_factory) -> dict[str, str]:
    """The cards as the Hub gives them back, after it has accepted their metadata."""
    repos = {kind: f"tester/card-{kind}" for kind in folders}
    arguments = [str(part) for kind in folders for part in (repos[kind], folders[kind])]
    ran = run(PUSH, loopback_hub.environment(), tmp_path_factory.mktemp("push"), *arguments)
    assert ran == "validated\n"
    return {kind: loopback_hub.files(repos[kind])["README.md"].decode() for kind in folders}


def run(code: str, environment: dict[str, str], folder: Path, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def python_blocks(card: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", card, flags=re.MULTILINE | re.DOTALL)


def test_every_python_block_runs(pushed, loopback_hub, examples, tmp_path):
    """In one fresh process that has nothing but the Hub, beside files of the names that the blocks use."""
    for example in examples.glob("*.*"):
        shutil.copy(example, tmp_path)
    blocks = [block for card in pushed.values() for block in python_blocks(card)]
    assert len(blocks) == 4
    code = f"import sys\nfor block in {blocks!r}:\n    exec(block, {{}})\n    print('ran')\n"
    printed = run(code, loopback_hub.environment(), tmp_path)
    assert printed.count("ran\n") == len(blocks)
    assert len(printed.splitlines()) >= 2 * len(blocks), printed  # each has said something
