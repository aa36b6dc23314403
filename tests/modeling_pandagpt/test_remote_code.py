# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The models as Hub code: loaded by every auto class in a process that lacks our source, saved and loaded again."""

import json

import pytest
import torch
from outsider import run_as_outsider
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_models import random_media, tiny_imagebind_config

from modeling_pandagpt import ImageBindModel, PandaGPTForConditionalGeneration


LOAD_WITH_EVERY_AUTO_CLASS = """
import json, sys, torch, transformers
folder, inputs, again = sys.argv[1:]
inputs = torch.load(inputs, weights_only=True)
config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True)
answers = {}
for name in ("AutoModel", "AutoModelForImageTextToText", "AutoModelForMultimodalLM", "AutoModelForCausalLM"):
    model = getattr(transformers, name).from_pretrained(folder, trust_remote_code=True)
    assert type(model).__name__ == "PandaGPTForConditionalGeneration", type(model)
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    answers[name] = model.generate(**inputs, max_new_tokens=6, do_sample=False).tolist()
model.save_pretrained(again)
copy = transformers.AutoModel.from_pretrained(again, trust_remote_code=True)
answers["copy"] = copy.generate(**inputs, max_new_tokens=6, do_sample=False).tolist()
frozen = not any(p.requires_grad for p in copy.model.imagebind.parameters())
print(json.dumps({"model_type": config.model_type, "frozen": frozen, "answers": answers}))
"""


def test_every_auto_class(tiny_model, mixed_batch, tmp_path):
    tiny_model.save_pretrained(tmp_path / "model")
    torch.save(mixed_batch, tmp_path / "inputs.pt")
    printed = run_as_outsider(
        LOAD_WITH_EVERY_AUTO_CLASS, tmp_path, tmp_path / "model", tmp_path / "inputs.pt", tmp_path / "again"
    )
    result = json.loads(printed.splitlines()[-1])
    expected = tiny_model.generate(**mixed_batch, max_new_tokens=6, do_sample=False).tolist()
    assert result["model_type"] == "pandagpt"
    assert result["frozen"]
    assert result["answers"] == dict.fromkeys(result["answers"], expected)
    assert len(result["answers"]) == 5
    code = {path.name for path in (tmp_path / "again").glob("*.py")}
    assert code == {"configuration_pandagpt.py", "media_slots.py", "modeling_imagebind.py", "modeling_pandagpt.py"}
    saved = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("model", "again")]
    assert saved[0]["auto_map"] == saved[1]["auto_map"]
    assert saved[0]["auto_map"]["AutoModelForImageTextToText"] == "modeling_pandagpt.PandaGPTForConditionalGeneration"


IMAGEBIND_ALONE = """
import sys, torch
from transformers import AutoModel
folder, inputs = sys.argv[1:]
model = AutoModel.from_pretrained(folder, trust_remote_code=True, modalities=["audio"])
assert type(model).__name__ == "ImageBindModel"
assert [name for name, _ in model.named_children()] == ["audio_model"]
print(model(**torch.load(inputs, weights_only=True)).audio_embeds.tolist())
"""


def test_imagebind_alone(tmp_path):
    model = ImageBindModel(tiny_imagebind_config()).eval()
    model.save_pretrained(tmp_path / "imagebind")
    media = random_media(audio=2)
    torch.save(media, tmp_path / "inputs.pt")
    printed = run_as_outsider(IMAGEBIND_ALONE, tmp_path, tmp_path / "imagebind", tmp_path / "inputs.pt")
    with torch.no_grad():
        expected = model(**media).audio_embeds
    torch.testing.assert_close(torch.tensor(json.loads(printed.splitlines()[-1])), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"device_map": "cpu"},
        {"device_map": "auto"},
        {"dtype": torch.bfloat16},
        {"dtype": "auto"},
        {"attn_implementation": "eager"},
        {"attn_implementation": {"text_config": "flex_attention", "imagebind_config": "eager"}},
    ],
)
def test_loading_options(tiny_model, mixed_batch, tmp_path, options):
    tiny_model.save_pretrained(tmp_path)
    model = PandaGPTForConditionalGeneration.from_pretrained(tmp_path, **options)
    assert model.dtype == (torch.bfloat16 if options.get("dtype") == torch.bfloat16 else torch.float32)
    keep = mixed_batch["attention_mask"].bool()
    with torch.no_grad():
        logits, expected = model(**mixed_batch).logits[keep], tiny_model(**mixed_batch).logits[keep]
    tolerance = 0.2 if model.dtype == torch.bfloat16 else 1e-4
    torch.testing.assert_close(logits.float(), expected, atol=tolerance, rtol=0)
    assert not any(parameter.requires_grad for parameter in model.model.imagebind.parameters())


@pytest.mark.parametrize("offloaded", ["model.language_model", "model.imagebind", "model.projector"])
def test_weights_may_lie_on_several_devices(tiny_model, mixed_batch, tmp_path, offloaded):
    """Offloading to disk moves every module's inputs, as several GPUs would."""
    tiny_model.save_pretrained(tmp_path / "model")
    parts = ("model.imagebind", "model.projector", "model.language_model", "lm_head")
    device_map = dict.fromkeys(parts, "cpu") | {offloaded: "disk"}
    model = PandaGPTForConditionalGeneration.from_pretrained(
        tmp_path / "model", device_map=device_map, offload_folder=tmp_path / "offload"
    )
    with torch.no_grad():
        torch.testing.assert_close(model(**mixed_batch).logits, tiny_model(**mixed_batch).logits)


def test_lora_and_projector(tiny_model, mixed_batch, tmp_path):
    """One step moves every LoRA weight and the projector, nothing else; the adapter loads to the same logits."""
    tiny_model.save_pretrained(tmp_path / "base")
    base = PandaGPTForConditionalGeneration.from_pretrained(tmp_path / "base")
    lora = LoraConfig(
        r=4,
        target_modules=r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)",
        modules_to_save=["projector"],
        task_type="CAUSAL_LM",
        init_lora_weights=False,  # so that both factors get a gradient in the first step
    )
    model = get_peft_model(base, lora)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(".language_model." in name or ".projector." in name for name in trainable)
    assert len(trainable) == 2 * 4 * 2 + 2  # two layers, four maps, two factors; weight and bias
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    model.train()
    assert not model.get_base_model().model.imagebind.training
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.0)
    model(**mixed_batch, labels=mixed_batch["input_ids"]).loss.backward()
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) != (name in trainable), name

    model.eval()
    with torch.no_grad():
        expected = model(**mixed_batch).logits
    model.save_pretrained(tmp_path / "adapter")
    fresh = PandaGPTForConditionalGeneration.from_pretrained(tmp_path / "base")
    with torch.no_grad():
        again = PeftModel.from_pretrained(fresh, tmp_path / "adapter")
        torch.testing.assert_close(again(**mixed_batch).logits, expected)
        merged = again.merge_and_unload()
        torch.testing.assert_close(merged(**mixed_batch).logits, expected, atol=1e-4, rtol=0)
        # the library's own way from the adapter's folder alone
        loaded = PandaGPTForConditionalGeneration.from_pretrained(tmp_path / "adapter")
        torch.testing.assert_close(loaded(**mixed_batch).logits, expected)
