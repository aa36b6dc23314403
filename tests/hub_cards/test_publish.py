# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Models and adapters published to a Hub, and loaded from it by processes that have nothing but their names."""

import json
from pathlib import Path

import pytest
import torch
from hub_processes import run, sent_elsewhere
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_models import convert
from transformers import LlamaConfig

import pandagpt
from demo.untrained import build
from hub_cards.assemble import check_loads, check_no_local_path
from hub_cards.licences import (
    CODE,
    IMAGEBIND_BY_MODEL_CARD,
    IMAGEBIND_BY_README,
    LLAMA_1,
    descends_from_llama_1,
    licences_of,
)
from hub_cards.upload import PublishError


CHAT = [{"role": "user", "content": [{"type": "text", "text": "what is this"}]}]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, examples) -> dict:
    """Folders of a base and an adapter of it, inputs with a picture and a sound, and what both models make of them."""
    folder = tmp_path_factory.mktemp("checkpoints")
    model, processor = build()
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "audio"}, {"type": "text", "text": "what now"}]}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True)
    inputs = processor(
        text=[text], images=[str(examples / "picture.png")], audio=[str(examples / "sound.wav")], return_tensors="pt"
    )
    torch.save(dict(inputs), folder / "inputs.pt")
    model.save_pretrained(folder / "base")
    processor.save_pretrained(folder / "base")
    torch.manual_seed(1)
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        target_modules=r".*language_model.*\.(q_proj|v_proj)",
        modules_to_save=["projector"],
        init_lora_weights=False,
    )
    base = pandagpt.PandaGPTForConditionalGeneration.from_pretrained(folder / "base")
    get_peft_model(base, lora).save_pretrained(folder / "adapter")
    processor.save_pretrained(folder / "adapter")
    # Of loaded models: a tensor in a file lies elsewhere in memory than a new one, which changes the last bits.
    loaded = pandagpt.PandaGPTForConditionalGeneration.from_pretrained(folder / "base")
    with torch.no_grad():
        logits = {"base": loaded(**inputs).logits}
        logits["adapter"] = PeftModel.from_pretrained(loaded, folder / "adapter").eval()(**inputs).logits
    assert not torch.equal(logits["base"], logits["adapter"])
    torch.save(logits, folder / "logits.pt")
    return {"folder": folder, **{name: folder / name for name in ("base", "adapter")}}


PUBLISH = """
import contextlib, io, json, sys
from hub_cards.publish import main

folder = sys.argv[1]
said = {}
for name, more in {"base": [], "adapter": ["--private", "--base", "tester/base"]}.items():
    kind = "model" if name == "base" else "adapter"
    with contextlib.redirect_stdout(io.StringIO()) as output:
        main([kind, f"{folder}/{name}", "--repo", f"tester/{name}", *more])
    said[name] = output.getvalue()

import pandagpt, torch
from pandagpt import load
for part in (pandagpt.PandaGPTForConditionalGeneration, pandagpt.PandaGPTProcessor):
    part.from_pretrained(f"{folder}/base").push_to_hub("tester/pushed")

inputs, expected = (torch.load(f"{folder}/{name}.pt", weights_only=True) for name in ("inputs", "logits"))
for name in ("base", "adapter"):
    model, processor = load(f"tester/{name}", device="cpu")
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, expected[name]), name
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def published(loopback_hub, checkpoints, tmp_path_factory) -> dict[str, str]:
    """How to load `tester/base` and `tester/adapter`, as the command said when it had published them."""
    elsewhere = tmp_path_factory.mktemp("author")
    said = json.loads(run(PUBLISH, loopback_hub, elsewhere, checkpoints["folder"]).splitlines()[-1])
    return {name: text[text.index("from transformers") :] for name, text in said.items()}


LOAD = """
import json, sys, tempfile
import torch
from huggingface_hub import HfApi, hf_hub_download
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor, pipeline

folder, said, chat, picture = sys.argv[1], *map(json.loads, sys.argv[2:4]), sys.argv[4]
inputs, expected = (torch.load(f"{folder}/{name}.pt", weights_only=True) for name in ("inputs", "logits"))
trust = {"trust_remote_code": True}

@torch.no_grad()
def check(model, name):
    assert type(getattr(model, "base_model", model)).__module__.split(".")[0] in ("transformers_modules", "peft")
    assert torch.equal(model.eval()(**inputs).logits, expected[name]), name

check(AutoModel.from_pretrained("tester/base", **trust), "base")
check(AutoModelForImageTextToText.from_pretrained("tester/pushed", **trust), "base")
check(AutoModelForImageTextToText.from_pretrained("tester/adapter", **trust), "adapter")
for name in ("base", "adapter", "pushed"):
    processor = AutoProcessor.from_pretrained(f"tester/{name}", **trust)
    text = processor.apply_chat_template([{"role": "user", "content": [
        {"type": "image"}, {"type": "audio"}, {"type": "text", "text": "what now"}]}], add_generation_prompt=True)
    again = processor(text=[text], images=[f"{picture}/picture.png"], audio=[f"{picture}/sound.wav"],
                      return_tensors="pt")
    assert all(torch.equal(again[key], inputs[key]) for key in inputs), name
    ask = pipeline("image-text-to-text", model=f"tester/{name}", **trust)
    assert ask(text=chat, max_new_tokens=2, return_full_text=False)[0]["generated_text"].strip(), name

# The base moves on. Who has pinned it does not notice.
weights = load_file(hf_hub_download("tester/base", "model.safetensors"))
weights["model.projector.bias"] += 1
with tempfile.TemporaryDirectory() as changed:
    save_file(weights, f"{changed}/model.safetensors", metadata={"format": "pt"})
    HfApi().upload_file(
        path_or_fileobj=f"{changed}/model.safetensors", path_in_repo="model.safetensors", repo_id="tester/base"
    )
moved = AutoModelForImageTextToText.from_pretrained("tester/base", **trust)
with torch.no_grad():
    assert not torch.equal(moved(**inputs).logits, expected["base"])
for name in ("base", "adapter"):
    scope = {}
    exec(said[name], scope)
    check(scope["model"], name)
    assert type(scope["processor"]).__name__ == "PandaGPTProcessor"
    if name == "base":
        check(PeftModel.from_pretrained(scope["model"], "tester/adapter"), "adapter")
check(AutoPeftModelForCausalLM.from_pretrained("tester/adapter", **trust), "adapter")
"""


def test_strangers_load_what_was_published(loopback_hub, checkpoints, published, examples, tmp_path):
    """By every door, bit for bit, also after a connection that ended in the middle of a file."""
    with loopback_hub.fault("GET", "/storage/", "cut") as fault:
        arguments = (checkpoints["folder"], json.dumps(published), json.dumps(CHAT), examples)
        run(LOAD, loopback_hub, tmp_path, *arguments, is_author=False)
    assert fault.times == 0
    assert sent_elsewhere(loopback_hub) == {None}


def test_a_published_repository_is_complete(loopback_hub, checkpoints, published):
    base = loopback_hub.history("tester/base")[-2]  # the first commit after the repository's birth
    adapter = loopback_hub.history("tester/adapter")
    assert len(adapter) == 2 and base in published["base"]
    assert published["adapter"].count(base) == published["adapter"].count(f'"revision": "{adapter[0]}"') == 1
    model_files = loopback_hub.files("tester/base", base)
    adapter_files = loopback_hub.files("tester/adapter")
    code = {"configuration_pandagpt.py", "media_slots.py", "modeling_imagebind.py", "modeling_pandagpt.py"}
    processor = {
        *("feature_extraction_pandagpt.py", "fetch_media.py", "image_processing_pandagpt.py"),
        *("processing_imagebind.py", "processing_pandagpt.py", "video_processing_pandagpt.py"),
        *("chat_template.jinja", "processor_config.json", "tokenizer.json", "tokenizer_config.json"),
    }
    every = {".gitattributes", "README.md", "LICENSES.md", *processor}
    assert set(model_files) == every | code | {"config.json", "generation_config.json", "model.safetensors"}
    assert set(adapter_files) == every | {"adapter_config.json", "adapter_model.safetensors"}
    assert set(loopback_hub.files("tester/pushed")) == set(model_files) - {"LICENSES.md"}
    assert set(json.loads(model_files["config.json"])["auto_map"]) == {
        *("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoModelForImageTextToText"),
        "AutoModelForMultimodalLM",
    }
    settings = json.loads(adapter_files["adapter_config.json"])
    assert (settings["base_model_name_or_path"], settings["revision"]) == ("tester/base", base)
    assert not loopback_hub.repos["model", "tester/base"].private
    assert loopback_hub.repos["model", "tester/adapter"].private
    here = str(checkpoints["folder"].parent).encode()
    for files in (model_files, adapter_files, loopback_hub.files("tester/pushed")):
        assert not [path for path, content in files.items() if here in content]


@pytest.mark.parametrize(
    "value", ["{here}", "{here}/deeper/../", "/home/somebody/base", "~/models/base", r"D:\models", "/tmp"]
)
def test_no_place_of_this_machine_goes_along(tmp_path, value):
    (tmp_path / "deeper").mkdir()
    settings = {"a": [{"b": value.format(here=tmp_path)}]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(PublishError, match="adapter_config.json names"):
        check_no_local_path(tmp_path)


def test_text_is_no_place(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(["/home/somebody/piece"]), encoding="utf-8")
    settings = ["user/name", "/", "a/b/c", "https://a.b/c/d", ".*/x", "~", "</s>", "/s"]
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    check_no_local_path(tmp_path)


def test_a_check_has_no_token(tmp_path, monkeypatch):
    """Whatever code it runs."""
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    monkeypatch.setattr(
        "hub_cards.assemble.CHECK",
        "import os, sys\nfrom huggingface_hub import get_token\n"
        "sys.exit(f'{get_token()} {os.environ.get(\"HF_TOKEN\")}')\n",
    )
    with pytest.raises(PublishError, match="not load where our source is not: None None"):
        check_loads(tmp_path)


def test_what_descends_from_llama_1():
    vicuna = pandagpt.PandaGPTConfig()
    assert descends_from_llama_1(vicuna)
    assert licences_of(vicuna) == [CODE, IMAGEBIND_BY_README, IMAGEBIND_BY_MODEL_CARD, LLAMA_1]
    llama_2 = LlamaConfig(max_position_embeddings=4096, rms_norm_eps=1e-5)
    assert not descends_from_llama_1(pandagpt.PandaGPTConfig(text_config=llama_2))
    assert not descends_from_llama_1(pandagpt.ImageBindConfig())


PUBLISH_ONE = """
import sys
from hub_cards.publish import main

main(sys.argv[1:])
"""

LOAD_ONE = """
import json, sys, torch
import transformers

repo, revision, folder, auto_class = sys.argv[1:]
options = {"trust_remote_code": True, "revision": revision}
model = getattr(transformers, auto_class).from_pretrained(repo, **options).eval()
transformers.AutoProcessor.from_pretrained(repo, **options)
with torch.no_grad():
    output = model(**torch.load(f"{folder}/inputs.pt", weights_only=True))
print(json.dumps(output.logits.tolist() if auto_class != "AutoModel" else output.image_embeds.tolist()))
"""


def _loaded(hub, folder, repo: str, inputs, auto_class: str = "AutoModelForImageTextToText", revision: str = "main"):
    printed = run(LOAD_ONE, hub, folder, repo, revision, inputs, auto_class, is_author=False)
    return torch.tensor(json.loads(printed.splitlines()[-1]))


@pytest.mark.slow
def test_an_adapter_is_published_as_one_model(loopback_hub, checkpoints, tmp_path):
    """Merged, into a branch of its own."""
    more = ("--repo", "tester/merged", "--revision", "first/try")
    printed = run(PUBLISH_ONE, loopback_hub, tmp_path, "model", checkpoints["adapter"], *more)
    assert loopback_hub.history("tester/merged", "first/try")[0] in printed
    assert len(loopback_hub.files("tester/merged")) == 1  # main stays as it was born
    logits = _loaded(loopback_hub, tmp_path, "tester/merged", checkpoints["folder"], revision="first/try")
    expected = torch.load(checkpoints["folder"] / "logits.pt", weights_only=True)["adapter"]
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)  # merging adds in another order


OLD_BASE = """
import json, pathlib, shutil, sys, torch
from huggingface_hub import HfApi
import pandagpt
from hub_cards.assemble import config_of, merge

source = pathlib.Path(sys.argv[1])
api = HfApi()
api.create_repo("tester/moving")
commit = api.upload_folder(repo_id="tester/moving", folder_path=source / "base").oid
model = pandagpt.PandaGPTForConditionalGeneration.from_pretrained(source / "base")
model.model.projector.bias.data += 1
model.config.text_config.rms_norm_eps = 0.5
model.save_pretrained("changed")
api.upload_folder(repo_id="tester/moving", folder_path="changed")

shutil.copytree(source / "adapter", "adapter")
adapter = pathlib.Path("adapter")
for name, change in {
    "adapter_config.json": {"base_model_name_or_path": "tester/moving", "revision": None},
    "facts.json": {"base_model_revision": commit},
}.items():
    known = json.loads((adapter / name).read_text()) if (adapter / name).is_file() else {}
    (adapter / name).write_text(json.dumps(known | change))
assert config_of(adapter).text_config.rms_norm_eps != 0.5
merge(adapter, pathlib.Path("merged").absolute())
inputs, expected = (torch.load(source / f"{name}.pt", weights_only=True) for name in ("inputs", "logits"))
with torch.no_grad():
    logits = pandagpt.PandaGPTForConditionalGeneration.from_pretrained("merged").eval()(**inputs).logits
torch.testing.assert_close(logits, expected["adapter"], atol=1e-4, rtol=0)
print("merged as trained")
"""

CODE_OF_OTHERS = """
import json, sys
from huggingface_hub import HfApi
from hub_cards.publish import main

HfApi(token="hf_stranger").create_repo("stranger/base")
with open(f"{sys.argv[1]}/base/config.json", "rb") as config:
    HfApi(token="hf_stranger").upload_file(
        path_or_fileobj=config.read(), path_in_repo="config.json", repo_id="stranger/base"
    )
arguments = ["adapter", f"{sys.argv[1]}/adapter", "--repo", "tester/wary", "--base", "stranger/base"]
said = []
for more in ([], ["--dry-run"], ["--dry-run", "--trust-base"]):
    try:
        main(arguments + more)
    except SystemExit as end:
        said.append(str(end.code))
print(json.dumps(said))
"""


@pytest.mark.slow
def test_code_of_others_is_not_run_unasked(loopback_hub, checkpoints, tmp_path):
    printed = run(CODE_OF_OTHERS, loopback_hub, tmp_path, checkpoints["folder"])
    *refused, trusted = json.loads(printed.splitlines()[-1])
    assert len(refused) == 2 and all("stranger/base: read it, then say --trust-base" in said for said in refused)
    assert "does not load" in trusted  # it is run now: the repository has a configuration alone
    assert ("model", "tester/wary") not in loopback_hub.repos


@pytest.mark.slow
def test_the_base_is_read_at_the_commit_of_its_training(loopback_hub, checkpoints, tmp_path):
    """What a training run recorded, where PEFT's settings have no revision."""
    printed = run(OLD_BASE, loopback_hub, tmp_path, checkpoints["folder"])
    assert printed.splitlines()[-1] == "merged as trained"


@pytest.mark.slow
def test_imagebind_is_published_alone(loopback_hub, tmp_path):
    fixtures = Path(__file__).parents[1] / "fixtures"
    golden = fixtures / "imagebind_tiny"
    convert(
        ["--imagebind", golden / "imagebind_tiny.pth", "--imagebind-config", golden / "imagebind_tiny_config.json"]
        + ["--clip-tokenizer", fixtures / "clip_tokenizer", "--output", tmp_path / "imagebind"]
    )
    printed = run(PUBLISH_ONE, loopback_hub, tmp_path, "model", tmp_path / "imagebind", "--repo", "tester/imagebind")
    assert "AutoModel.from_pretrained" in printed
    model = pandagpt.ImageBindModel.from_pretrained(tmp_path / "imagebind")
    size = model.config.vision_config.image_size
    picture = {"pixel_values": torch.ones(1, 3, size, size)}
    torch.save(picture, tmp_path / "inputs.pt")
    with torch.no_grad():
        expected = model(**picture).image_embeds
    assert torch.equal(_loaded(loopback_hub, tmp_path, "tester/imagebind", tmp_path, "AutoModel"), expected)


@pytest.mark.slow
def test_llama_1_is_private_unless_said(loopback_hub, checkpoints, tmp_path):
    config = pandagpt.PandaGPTConfig.from_pretrained(checkpoints["base"])
    shape = {"vocab_size": 32000, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6}
    config.text_config.update(shape)
    pandagpt.PandaGPTForConditionalGeneration(config).save_pretrained(tmp_path / "llama")
    pandagpt.PandaGPTProcessor.from_pretrained(checkpoints["base"]).save_pretrained(tmp_path / "llama")
    printed = run(PUBLISH_ONE, loopback_hub, tmp_path, "model", tmp_path / "llama", "--repo", "tester/llama")
    assert "tester/llama is to be private" in printed and "LLaMA-1" in printed
    assert loopback_hub.repos["model", "tester/llama"].private
    assert b"LLaMA" in loopback_hub.files("tester/llama")["LICENSES.md"]
    more = ("--repo", "tester/llama-public", "--public")
    assert "private" not in run(PUBLISH_ONE, loopback_hub, tmp_path, "model", tmp_path / "llama", *more)
    assert not loopback_hub.repos["model", "tester/llama-public"].private


@pytest.mark.slow
def test_a_dry_run_sends_nothing(loopback_hub, checkpoints, tmp_path):
    before = len(loopback_hub.log)
    more = ("--repo", "tester/dry", "--dry-run")
    printed = run(PUBLISH_ONE, loopback_hub, tmp_path, "model", checkpoints["base"], *more, token=None)
    assert "model.safetensors" in printed and "README.md" in printed
    assert len(loopback_hub.log) == before


@pytest.mark.slow
def test_a_folder_that_does_not_load_stays_here(loopback_hub, checkpoints, tmp_path):
    model = pandagpt.PandaGPTForConditionalGeneration.from_pretrained(checkpoints["base"])
    model.save_pretrained(tmp_path / "broken")
    pandagpt.PandaGPTProcessor.from_pretrained(checkpoints["base"]).save_pretrained(tmp_path / "broken")
    weights = load_file(tmp_path / "broken" / "model.safetensors")
    del weights["model.projector.weight"]
    save_file(weights, tmp_path / "broken" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(AssertionError, match="do not fit the configuration.*model.projector.weight"):
        run(PUBLISH_ONE, loopback_hub, tmp_path, "model", tmp_path / "broken", "--repo", "tester/broken")
    assert ("model", "tester/broken") not in loopback_hub.repos


TRAIN = """
import sys, torch
import pandagpt
from transformers import Trainer, TrainingArguments

folder = sys.argv[1]
model = pandagpt.PandaGPTForConditionalGeneration.from_pretrained(f"{folder}/base")
processor = pandagpt.PandaGPTProcessor.from_pretrained(f"{folder}/base")
rows = [dict(input_ids=torch.arange(1, 9), labels=torch.arange(1, 9))] * 4
arguments = TrainingArguments(
    "run", push_to_hub=True, hub_model_id="tester/trained", max_steps=1, report_to=[], use_cpu=True,
    remove_unused_columns=False,
)
trainer = Trainer(model, arguments, train_dataset=rows, processing_class=processor)
trainer.train()
trainer.push_to_hub()
inputs = torch.load(f"{folder}/inputs.pt", weights_only=True)
saved = pandagpt.PandaGPTForConditionalGeneration.from_pretrained("run")
with torch.no_grad():
    torch.save(saved(**inputs).logits, "logits.pt")
"""


@pytest.mark.slow
def test_the_library_s_trainer_pushes_a_working_repository(loopback_hub, checkpoints, tmp_path):
    run(TRAIN, loopback_hub, tmp_path, checkpoints["folder"])
    logits = _loaded(loopback_hub, tmp_path, "tester/trained", checkpoints["folder"])
    assert torch.equal(logits, torch.load(tmp_path / "logits.pt", weights_only=True))


CHAT_BY_ID = """
import sys
import pandagpt

sys.argv = ["pandagpt", "chat", *sys.argv[1:]]
pandagpt.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["base", "adapter"])
def test_the_terminal_takes_a_name_of_the_hub(loopback_hub, published, examples, name, tmp_path):
    more = ("--image", examples / "picture.png", "--model", f"tester/{name}", "--max-new-tokens", 4)
    assert run(CHAT_BY_ID, loopback_hub, tmp_path, "what is this", *more).strip()
