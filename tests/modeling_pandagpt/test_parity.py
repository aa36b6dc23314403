# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""
The converted golden PandaGPT equals the original: embeddings, logits, loss, gradients, sampling, answers, stopping.

What needs the tensors of the original's example media reads them from the golden data folder; the rest runs anywhere.
"""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import convert, golden_sources
from transformers import AutoModelForImageTextToText

from modeling_pandagpt import PandaGPTForConditionalGeneration


GENERATION_CASES = ["image_only", "audio_only", "thermal_only", "image_audio", "all_four", "history2"]
TRAINING_CASES = ["batch3", "single", "multi", "long", "batch3_len400"]
KINDS = ("image", "video", "audio", "thermal")


@pytest.fixture(scope="module")
def model(golden_pandagpt) -> PandaGPTForConditionalGeneration:
    return PandaGPTForConditionalGeneration.from_pretrained(golden_pandagpt)


@pytest.fixture(scope="module")
def inference(fixtures) -> tuple[dict, dict[str, torch.Tensor]]:
    folder = fixtures / "pandagpt_tiny"
    return json.loads((folder / "inference.json").read_text()), load_file(folder / "inference.safetensors")


@pytest.fixture(scope="module")
def training(fixtures) -> tuple[dict, dict[str, torch.Tensor]]:
    folder = fixtures / "pandagpt_tiny"
    return json.loads((folder / "train_forward.json").read_text()), load_file(folder / "train_forward.safetensors")


@pytest.fixture(scope="module")
def preprocessed(reference) -> dict[str, dict[str, torch.Tensor]]:
    """What the original made of its example files, by kind and name."""
    folder = reference / "preprocess"
    pictures = load_file(folder / "images_float32.safetensors")
    return {
        "image": {k.removeprefix("vision."): v for k, v in pictures.items() if k.startswith("vision.")},
        "thermal": {k.removeprefix("thermal."): v for k, v in pictures.items() if k.startswith("thermal.")},
        "audio": load_file(folder / "audio.safetensors"),
        "video": {k: v.float() for k, v in load_file(folder / "video_float16.safetensors").items()},
    }


MODEL_INPUT = {
    "image": ("pixel_values", 4),
    "video": ("pixel_values_videos", 6),
    "audio": ("input_features", 5),
    "thermal": ("thermal_values", 4),
}


def generation_inputs(model, case: dict, preprocessed) -> dict[str, torch.Tensor]:
    """The original's prompt: its segments' ids around one slot that holds the sum of all media."""
    kinds = [kind for kind in KINDS for _ in case[f"{kind}_paths"]]
    placeholder = getattr(model.config, f"{kinds[0]}_token_id")
    before, after = case.get("before_ids"), case.get("text_ids")
    input_ids = torch.tensor([[1, *before, placeholder, *after]])
    media = {}
    for kind in dict.fromkeys(kinds):
        name, dimensions = MODEL_INPUT[kind]
        files = [preprocessed[kind][file] for file in case[f"{kind}_paths"]]
        media[name] = torch.cat([file if file.ndim == dimensions else file.unsqueeze(0) for file in files])
    types = torch.tensor([[1 + KINDS.index(kind) for kind in kinds]])
    return {
        "input_ids": input_ids,
        "attention_mask": torch.ones_like(input_ids),
        "media_types": types,
        "media_slots": torch.ones_like(types),
        **media,
    }


def embeds_of(model, inputs: dict) -> torch.Tensor:
    """What the language model is given."""
    seen = {}
    handle = model.model.language_model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.update(kwargs), with_kwargs=True
    )
    with torch.no_grad():
        model(**inputs)
    handle.remove()
    return seen["inputs_embeds"]


@pytest.mark.parametrize("case", GENERATION_CASES)
def test_prompt_embeddings_and_logits(model, inference, preprocessed, case):
    cases, golden = inference
    inputs = generation_inputs(model, cases["cases"][case], preprocessed)
    # The thermal embedding has norm 10, and the video's golden pixels are stored as halves.
    tolerance = {"atol": 5e-4 if case == "all_four" else 2e-5, "rtol": 1e-5}
    torch.testing.assert_close(embeds_of(model, inputs), golden[f"{case}.inputs_embeds"], **tolerance)
    with torch.no_grad():
        logits = model(**inputs).logits
    torch.testing.assert_close(logits, golden[f"{case}.prompt_logits"], atol=2e-4, rtol=0)


@pytest.mark.parametrize("case", GENERATION_CASES)
def test_language_model_logits(model, inference, case):
    """The merged language model alone, from the original's own embeddings."""
    _, golden = inference
    with torch.no_grad():
        logits = model(inputs_embeds=golden[f"{case}.inputs_embeds"]).logits
    torch.testing.assert_close(logits, golden[f"{case}.prompt_logits"], atol=2e-4, rtol=0)


def test_two_pictures_are_summed(model, inference, preprocessed):
    cases, golden = inference
    case = cases["cases"]["image_only"] | {"image_paths": cases["cases_extra"]["two_images_summed"]["image_paths"]}
    embeds = embeds_of(model, generation_inputs(model, case, preprocessed))
    torch.testing.assert_close(embeds, golden["two_images_summed.inputs_embeds"], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("case", GENERATION_CASES)
def test_greedy_answers(model, inference, preprocessed, case):
    """The original's ids begin with one dummy token; its cut of the last two ids is not imitated."""
    cases, _ = inference
    case = cases["cases"][case]
    inputs = generation_inputs(model, case, preprocessed)
    prompt = inputs["input_ids"].shape[1]
    greedy = {"do_sample": False, "max_new_tokens": 24, "eos_token_id": 2}
    answer = model.generate(**inputs, **greedy)[0, prompt:].tolist()
    assert answer == case["greedy_ids_max24_stop2277"][1:]
    stopped = model.generate(**inputs, **greedy | {"eos_token_id": [2, case["stop_test_id"]]})[0, prompt:].tolist()
    assert stopped == case["greedy_ids_max24_with_stop_test_id"][1:]


@pytest.mark.parametrize("case", GENERATION_CASES)
def test_greedy_answers_from_embeddings(model, inference, case):
    cases, golden = inference
    greedy = {"do_sample": False, "max_new_tokens": 24, "eos_token_id": 2}
    answer = model.generate(inputs_embeds=golden[f"{case}.inputs_embeds"], **greedy)[0].tolist()
    assert answer == cases["cases"][case]["greedy_ids_max24_stop2277"][1:]


@pytest.mark.parametrize("case", GENERATION_CASES)
def test_sampling_distribution(model, inference, case):
    """Temperature, the default top-k of 50 and top-p warp the first token's distribution as the original's did."""
    _, golden = inference
    output = model.generate(
        inputs_embeds=golden[f"{case}.inputs_embeds"],
        **{"do_sample": True, "temperature": 0.7, "top_k": 50, "top_p": 0.9, "max_new_tokens": 1},
        return_dict_in_generate=True,
        output_scores=True,
    )
    expected = golden[f"{case}.probs_T0.7_topk50_topp0.9"]
    torch.testing.assert_close(output.scores[0].softmax(-1), expected, atol=1e-4, rtol=0)


def training_inputs(model, training, inference, preprocessed, case: str) -> dict[str, torch.Tensor]:
    cases, golden = training
    text = golden[f"{case}.input_ids"]
    before = inference[0]["cases"]["image_only"]["before_ids"]
    prefix = torch.tensor([[1, *before, model.config.image_token_id]]).expand(len(text), -1)
    pictures = [preprocessed["image"][name] for name in cases["cases"][case]["images"]]
    return {
        "input_ids": torch.cat([prefix, text], dim=1),
        "attention_mask": golden[f"{case}.full_attention_mask"],
        "labels": golden[f"{case}.full_targets"],
        "pixel_values": torch.stack([picture.squeeze(0) if picture.ndim == 4 else picture for picture in pictures]),
    }


@pytest.mark.parametrize("case", TRAINING_CASES)
def test_training_forward(model, training, inference, preprocessed, case):
    _, golden = training
    inputs = training_inputs(model, training, inference, preprocessed, case)
    embeds = embeds_of(model, inputs)
    torch.testing.assert_close(embeds, golden[f"{case}.inputs_embeds"], atol=2e-5, rtol=0)
    with torch.no_grad():
        outputs = model(**inputs)
    keep = inputs["attention_mask"].bool()
    torch.testing.assert_close(outputs.logits[keep], golden[f"{case}.logits"][keep], atol=2e-4, rtol=0)
    torch.testing.assert_close(outputs.loss, golden[f"{case}.loss"][0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("case", TRAINING_CASES)
def test_training_loss_from_embeddings(model, training, case):
    _, golden = training
    with torch.no_grad():
        outputs = model(
            inputs_embeds=golden[f"{case}.inputs_embeds"],
            attention_mask=golden[f"{case}.full_attention_mask"],
            labels=golden[f"{case}.full_targets"],
        )
    torch.testing.assert_close(outputs.loss, golden[f"{case}.loss"][0], atol=1e-5, rtol=0)


def test_gradients_of_the_delta(fixtures, training, inference, preprocessed, tmp_path):
    """LoRA's and the projector's gradients, from the base and the adapter that the converter writes."""
    convert([*golden_sources(fixtures), "--output", tmp_path / "base", "--adapter-output", tmp_path / "adapter"])
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "adapter", trust_remote_code=True)
    model.eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name or "projector.modules_to_save" in name)
    model(**training_inputs(model, training, inference, preprocessed, "batch3")).loss.backward()
    golden = load_file(fixtures / "pandagpt_tiny" / "grads_batch3.safetensors")
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert len(gradients) == len(golden)
    for name, gradient in gradients.items():
        expected = golden[original_name(name)]
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def original_name(name: str) -> str:
    """`model.language_model.layers.0.…lora_A.default.weight` -> the delta's key."""
    if "projector" in name:
        return f"llama_proj.{name.rsplit('.', 1)[1]}"
    return "llama_model.base_model.model.model." + name.split("language_model.", 1)[1]
