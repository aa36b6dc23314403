# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""PandaGPT: what stands where in the sequence, what trains, and what is refused."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_models import MEDIA_INPUT, PLACEHOLDER, random_media, row_alone, tiny_config
from transformers import GPT2Config, LlamaForCausalLM

from modeling_pandagpt import PandaGPTForConditionalGeneration


@torch.no_grad()
def test_a_batch_gives_each_row_what_it_gives_alone(tiny_model, mixed_batch):
    together = tiny_model(**mixed_batch).logits
    media = random_media(image=1, audio=1, video=1, thermal=1, depth=1, imu=1)
    of_row = [("pixel_values", "input_features", "pixel_values_videos"), (), tuple(MEDIA_INPUT.values())[3:]]
    for index, names in enumerate(of_row):
        alone = tiny_model(**row_alone(mixed_batch, index, {name: media[name] for name in names})).logits
        length = alone.shape[1]
        torch.testing.assert_close(together[index : index + 1, -length:], alone, atol=1e-4, rtol=0)


@torch.no_grad()
def test_the_slot_holds_the_sum_of_projections(tiny_model):
    """W e1 + b + W e2 + b stands at the placeholder, every other position is the text's own embedding."""
    media = random_media(image=1, audio=1)
    input_ids = torch.tensor([[1, 5, PLACEHOLDER["image"], 6]])
    seen = {}
    tiny_model.model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.update(kwargs), with_kwargs=True
    )
    slots = {"media_types": torch.tensor([[1, 3]]), "media_slots": torch.tensor([[1, 1]])}
    tiny_model(input_ids=input_ids, **slots, **media)

    image = tiny_model.get_image_features(media["pixel_values"]).pooler_output
    audio = tiny_model.get_audio_features(media["input_features"]).pooler_output
    text = tiny_model.get_input_embeddings()(torch.tensor([[1, 5, 0, 6]]))
    text[:, 2] = image + audio
    torch.testing.assert_close(seen["inputs_embeds"], text)

    weight, bias = tiny_model.model.projector.weight, tiny_model.model.projector.bias
    embeds = tiny_model.model.imagebind(**media)
    expected = (embeds.image_embeds + embeds.audio_embeds) @ weight.T + 2 * bias
    torch.testing.assert_close(image + audio, expected)


@pytest.mark.parametrize("media_type", PLACEHOLDER)
@torch.no_grad()
def test_modality_scales(media_type, _shared_tiny_model):
    """A scale multiplies the embedding, not the bias."""
    model = PandaGPTForConditionalGeneration(tiny_config(modality_scales={media_type: 7.0})).eval()
    model.load_state_dict(_shared_tiny_model.state_dict())
    media = random_media(**{media_type: 2})
    features = getattr(model, f"get_{media_type}_features")(*media.values()).pooler_output
    plain = getattr(_shared_tiny_model, f"get_{media_type}_features")(*media.values()).pooler_output
    bias = model.model.projector.bias
    torch.testing.assert_close(features - bias, 7 * (plain - bias), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_slots_are_derived_from_the_placeholders(tiny_model):
    """Without media_types and media_slots, the k-th placeholder of a kind takes the k-th medium of its kind."""
    p = PLACEHOLDER
    input_ids = torch.tensor([[1, p["audio"], 5, p["image"], 6, p["image"], 7], [1, 5, 6, 7, 8, p["image"], 9]])
    media = random_media(image=3, audio=1)
    explicit = {
        "media_types": torch.tensor([[3, 1, 1], [1, 0, 0]]),
        "media_slots": torch.tensor([[1, 2, 3], [1, 0, 0]]),
    }
    derived = tiny_model(input_ids=input_ids, **media).logits
    torch.testing.assert_close(derived, tiny_model(input_ids=input_ids, **explicit, **media).logits)
    # media_types alone: their order within a row need not be that of the placeholders
    types = {"media_types": torch.tensor([[1, 1, 3], [1, 0, 0]])}
    torch.testing.assert_close(derived, tiny_model(input_ids=input_ids, **types, **media).logits)
    swapped = media | {"pixel_values": media["pixel_values"].flip(0)}
    assert not torch.allclose(derived, tiny_model(input_ids=input_ids, **swapped).logits, atol=1e-3)


@torch.no_grad()
def test_padding_of_media_may_stand_left_or_right(tiny_model, mixed_batch):
    left = dict(mixed_batch)
    left["media_types"] = torch.tensor([[0, 1, 3, 2], [0, 0, 0, 0], [0, 4, 5, 6]])
    left["media_slots"] = torch.tensor([[0, 1, 1, 2], [0, 0, 0, 0], [0, 1, 2, 3]])
    torch.testing.assert_close(tiny_model(**left).logits, tiny_model(**mixed_batch).logits)


@torch.no_grad()
def test_media_embeds_stand_for_media(tiny_model, mixed_batch):
    text = {name: mixed_batch[name] for name in ("input_ids", "attention_mask")}
    media = {name: mixed_batch[name] for name in (*MEDIA_INPUT.values(), "media_types")}
    encoded = tiny_model.model.encode_media(**media)
    assert encoded.media_embeds.shape == (3, 3, 12)
    assert not encoded.media_embeds[1].any()
    tiny_model.model.imagebind.register_forward_pre_hook(lambda *_: pytest.fail("an encoder ran"))
    for modality in tiny_model.config.modalities:
        encoder = tiny_model.model.imagebind.get_modality_encoder(modality)
        encoder.register_forward_pre_hook(lambda *_: pytest.fail("an encoder ran"))
    logits = tiny_model(**text, **encoded, media_slots=mixed_batch["media_slots"]).logits
    fresh = PandaGPTForConditionalGeneration(tiny_config()).eval()
    fresh.load_state_dict(tiny_model.state_dict())
    torch.testing.assert_close(logits, fresh(**mixed_batch).logits)


@torch.no_grad()
def test_media_embeds_need_no_encoder(tiny_model, mixed_batch, tmp_path):
    tiny_model.save_pretrained(tmp_path)
    model, info = PandaGPTForConditionalGeneration.from_pretrained(tmp_path, modalities=[], output_loading_info=True)
    assert not list(model.model.imagebind.parameters())
    assert not info["missing_keys"] and not info["unexpected_keys"]
    names = ("input_ids", *MEDIA_INPUT.values(), "media_types")
    encoded = tiny_model.model.encode_media(**{name: mixed_batch[name] for name in names})
    text = {name: mixed_batch[name] for name in ("input_ids", "attention_mask", "media_slots")}
    torch.testing.assert_close(model(**text, **encoded).logits, tiny_model(**mixed_batch).logits)
    with pytest.raises(ValueError, match="no vision encoder"):
        model(**mixed_batch)


@torch.no_grad()
def test_text_alone_is_the_language_model_alone(tiny_model):
    """Nothing is resized, so the language model stays bit for bit what it was."""
    llama = LlamaForCausalLM(tiny_model.config.text_config).eval()
    llama.model.load_state_dict(tiny_model.model.language_model.state_dict())
    llama.lm_head.load_state_dict(tiny_model.lm_head.state_dict())
    input_ids = torch.tensor([[1, 5, 6, 7, 8]])
    assert torch.equal(tiny_model(input_ids=input_ids).logits, llama(input_ids=input_ids).logits)
    assert tiny_model.lm_head.weight.shape[0] == 90


@torch.no_grad()
def test_inputs_embeds_where_the_vocabulary_is_padded():
    """With rows for the placeholders, their embeddings say where media stand."""
    text_config = tiny_config().text_config.to_dict() | {"vocab_size": 96}
    model = PandaGPTForConditionalGeneration(tiny_config(text_config=text_config)).eval()
    input_ids = torch.tensor([[1, 5, PLACEHOLDER["imu"], 6]])
    media = random_media(imu=1)
    inputs_embeds = model.get_input_embeddings()(input_ids)
    torch.testing.assert_close(
        model(inputs_embeds=inputs_embeds, **media).logits, model(input_ids=input_ids, **media).logits
    )


def test_loss_ignores_placeholders(tiny_model):
    input_ids = torch.tensor([[1, 5, PLACEHOLDER["image"], 6, 7]])
    media = random_media(image=1)
    outputs = tiny_model(input_ids=input_ids, labels=input_ids, **media)
    targets = torch.tensor([5, -100, 6, 7])
    expected = torch.nn.functional.cross_entropy(outputs.logits[0, :-1], targets)
    torch.testing.assert_close(outputs.loss, expected)


def test_one_step_moves_the_projector_and_the_language_model_alone(tiny_model, mixed_batch):
    model = tiny_model.train()
    assert not model.model.imagebind.training
    assert not any(module.training for module in model.model.imagebind.modules())
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable == {name for name in before if not name.startswith("model.imagebind.")}
    # Both signs of every gradient move a weight under Adam, and the loss reaches every token's output row.
    labels = mixed_batch["input_ids"].masked_fill(mixed_batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.0)
    model(**mixed_batch, labels=labels).loss.backward()
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) != (name in trainable), name


def test_imagebind_trains_when_unfrozen(tiny_model, mixed_batch):
    tiny_model.model.imagebind.audio_model.requires_grad_(True)
    tiny_model.train()
    assert tiny_model.model.imagebind.training
    tiny_model(**mixed_batch, labels=mixed_batch["input_ids"]).loss.backward()
    encoder = tiny_model.model.imagebind
    assert all(p.grad is not None for n, p in encoder.audio_model.named_parameters() if n != "logit_scale")
    assert all(p.grad is None for p in encoder.vision_model.parameters())


def test_gradient_checkpointing_changes_nothing(tiny_model, mixed_batch):
    tiny_model.train()
    labels = mixed_batch["input_ids"]
    plain = tiny_model(**mixed_batch, labels=labels)
    plain.loss.backward()
    gradients = {name: p.grad.clone() for name, p in tiny_model.named_parameters() if p.grad is not None}
    tiny_model.zero_grad()
    tiny_model.activation_checkpointing_enable()
    checkpointed = tiny_model(**mixed_batch, labels=labels)
    checkpointed.loss.backward()
    torch.testing.assert_close(checkpointed.loss, plain.loss)
    for name, parameter in tiny_model.named_parameters():
        if name in gradients:
            torch.testing.assert_close(parameter.grad, gradients[name])


@pytest.mark.parametrize("attention", ["eager", "flex_attention", {"text_config": "flex_attention"}])
@torch.no_grad()
def test_attention_implementations_agree(tiny_model, mixed_batch, attention):
    keep = mixed_batch["attention_mask"].bool()
    expected = tiny_model(**mixed_batch).logits[keep]
    tiny_model.set_attn_implementation(attention)
    torch.testing.assert_close(tiny_model(**mixed_batch).logits[keep], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@torch.no_grad()
def test_dtypes(tiny_model, mixed_batch, dtype):
    keep = mixed_batch["attention_mask"].bool()
    expected = tiny_model(**mixed_batch).logits[keep]
    logits = tiny_model.to(dtype)(**mixed_batch).logits
    assert logits.dtype == dtype
    cosine = torch.nn.functional.cosine_similarity(logits[keep].float(), expected)
    assert cosine.min() > 0.99


@torch.no_grad()
def test_projector_may_have_a_dtype_of_its_own(tiny_model, mixed_batch):
    tiny_model.to(torch.bfloat16)
    tiny_model.model.projector.float()
    assert tiny_model(**mixed_batch).logits.dtype == torch.bfloat16


def test_a_trained_projector_may_have_a_dtype_of_its_own(tiny_model, mixed_batch):
    """As with LoRA in mixed precision: the base is in half precision, what is trained is not."""
    lora = LoraConfig(
        target_modules=r".*language_model.*\.q_proj", modules_to_save=["projector"], task_type="CAUSAL_LM"
    )
    model = get_peft_model(tiny_model.to(torch.bfloat16), lora)
    for name, parameter in model.named_parameters():
        if "projector" in name and parameter.requires_grad:
            parameter.data = parameter.data.float()
    model(**mixed_batch, labels=mixed_batch["input_ids"]).loss.backward()
    assert model.get_base_model().model.projector.weight.grad.dtype == torch.float32


class QuantizedLinear(torch.nn.Module):
    """As quantised layers are: the weight is stored as integers, the bias is not."""

    def __init__(self, linear: torch.nn.Linear):
        super().__init__()
        self.scale = linear.weight.detach().abs().max() / 127
        self.weight = torch.nn.Parameter((linear.weight / self.scale).round().to(torch.int8), requires_grad=False)
        self.bias = linear.bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(inputs, self.weight.to(inputs.dtype) * self.scale, self.bias)


@torch.no_grad()
def test_projector_may_be_quantized(tiny_model, mixed_batch):
    expected = tiny_model(**mixed_batch).media_hidden_states
    tiny_model.model.projector = QuantizedLinear(tiny_model.model.projector)
    torch.testing.assert_close(tiny_model(**mixed_batch).media_hidden_states, expected, atol=0.02, rtol=0)


@torch.no_grad()
def test_media_inputs_may_be_empty(tiny_model, mixed_batch):
    """A collator may send an input of every kind, whatever the batch holds."""
    text = {"input_ids": torch.tensor([[1, 5, 6]])}
    nothing = {name: values[:0] for name, values in random_media(**dict.fromkeys(PLACEHOLDER, 1)).items()}
    torch.testing.assert_close(tiny_model(**text, **nothing).logits, tiny_model(**text).logits)
    media = random_media(audio=1)
    text = {"input_ids": torch.tensor([[1, PLACEHOLDER["audio"], 6]])}
    torch.testing.assert_close(tiny_model(**text, **nothing | media).logits, tiny_model(**text, **media).logits)
    assert tiny_model.generate(**text, **nothing | media, max_new_tokens=2).shape == (1, 5)


def test_text_alone_gives_the_projector_a_gradient_of_zero(tiny_model):
    """Distributed training waits for the gradient of every trained weight in every process."""
    input_ids = torch.tensor([[1, 5, 6, 7]])
    expected = tiny_model(input_ids=input_ids, labels=input_ids).loss
    tiny_model.train()
    loss = tiny_model(input_ids=input_ids, labels=input_ids).loss
    assert torch.equal(loss, expected)
    loss.backward()
    assert not tiny_model.model.projector.weight.grad.any()
    lora = LoraConfig(
        target_modules=r".*language_model.*\.q_proj", modules_to_save=["projector"], task_type="CAUSAL_LM"
    )
    model = get_peft_model(tiny_model, lora).train()
    model(input_ids=input_ids, labels=input_ids).loss.backward()
    assert not model.get_base_model().model.projector.weight.grad.any()


@torch.no_grad()
def test_language_models_that_name_their_embeddings_otherwise():
    gpt2 = GPT2Config(vocab_size=90, n_embd=32, n_layer=2, n_head=2, n_positions=64, tie_word_embeddings=True)
    model = PandaGPTForConditionalGeneration(tiny_config(text_config=gpt2)).eval()
    assert model.lm_head.weight is model.model.language_model.wte.weight
    media = random_media(image=1)
    assert model(input_ids=torch.tensor([[1, PLACEHOLDER["image"], 6]]), **media).logits.shape == (1, 3, 90)


def test_placeholders_of_a_padded_vocabulary_are_suppressed():
    text_config = tiny_config().text_config.to_dict() | {"vocab_size": 93}
    model = PandaGPTForConditionalGeneration(tiny_config(text_config=text_config))
    assert model.generation_config.suppress_tokens == [90, 91, 92]
    answer = model.generate(torch.tensor([[1, 5]]), do_sample=True, temperature=50.0, max_new_tokens=100, top_k=0)
    assert answer.max() < 90
    assert PandaGPTForConditionalGeneration(tiny_config()).generation_config.suppress_tokens is None


@torch.no_grad()
def test_compiled_forward(tiny_model, mixed_batch):
    """One graph, encoders included; the interpreter backend checks the capture without a compiler."""
    compiled = torch.compile(tiny_model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(**mixed_batch).logits, tiny_model(**mixed_batch).logits)


@torch.no_grad()
def test_tuple_outputs(tiny_model, mixed_batch):
    outputs = tiny_model(**mixed_batch)
    as_tuple = tiny_model(**mixed_batch, return_dict=False)
    torch.testing.assert_close(as_tuple[0], outputs.logits)
    assert outputs.media_hidden_states.shape == (3, 3, 32)


class TestErrors:
    """Both counts by kind are named."""

    def test_too_few_media(self, tiny_model):
        input_ids = torch.tensor([[1, PLACEHOLDER["image"], PLACEHOLDER["image"], PLACEHOLDER["audio"]]])
        with pytest.raises(ValueError, match="image: 2 in the text's placeholders, 1 given, audio: 1 in"):
            tiny_model(input_ids=input_ids, **random_media(image=1))

    def test_media_without_placeholder(self, tiny_model):
        with pytest.raises(ValueError, match="thermal: 0 in the text's placeholders, 1 given"):
            tiny_model(input_ids=torch.tensor([[1, 5, 6]]), **random_media(thermal=1))

    def test_placeholder_without_media(self, tiny_model):
        with pytest.raises(ValueError, match="video: 1 in the text's placeholders, 0 given"):
            tiny_model(input_ids=torch.tensor([[1, PLACEHOLDER["video"], 5]]))

    def test_media_types_against_media(self, tiny_model, mixed_batch):
        mixed_batch["pixel_values"] = mixed_batch["pixel_values"].repeat(2, 1, 1, 1)
        with pytest.raises(ValueError, match="image: 1 in media_types, 2 given"):
            tiny_model(**mixed_batch)

    def test_slot_without_medium(self, tiny_model, mixed_batch):
        mixed_batch["media_slots"][2, 1] = 1
        with pytest.raises(
            ValueError, match=r"Row 2 .*depth: 1 placeholders, 1 media.*slots \[1, 3\], the text has 3"
        ):
            tiny_model(**mixed_batch)

    def test_slot_out_of_range(self, tiny_model, mixed_batch):
        mixed_batch["media_slots"][0, 2] = 3
        with pytest.raises(ValueError, match="Row 0 of the batch"):
            tiny_model(**mixed_batch)

    def test_embeds_without_types(self, tiny_model):
        with pytest.raises(ValueError, match="media_types"):
            tiny_model(input_ids=torch.tensor([[1, PLACEHOLDER["imu"]]]), media_embeds=torch.zeros(1, 1, 12))

    @pytest.mark.parametrize("shape", [(1, 1, 12), (3, 3, 11), (12,)])
    def test_shape_of_embeds(self, tiny_model, mixed_batch, shape):
        batch = {name: mixed_batch[name] for name in ("input_ids", "media_types", "media_slots")}
        with pytest.raises(ValueError, match=r"media_embeds must be of shape \(3, 3, 12\), got"):
            tiny_model(**batch, media_embeds=torch.zeros(shape))

    def test_unknown_media_type(self, tiny_model, mixed_batch):
        mixed_batch["media_types"][0, 0] = 8
        with pytest.raises(ValueError, match=r"media_types are 0 \(padding\) to 6, got 8"):
            tiny_model(**mixed_batch)

    def test_placeholders_that_look_alike(self):
        text_config = tiny_config().text_config.to_dict() | {"vocab_size": 96}
        model = PandaGPTForConditionalGeneration(tiny_config(text_config=text_config)).eval()
        model.get_input_embeddings().weight.data[90:] = 0.0
        with pytest.raises(ValueError, match="same embedding"):
            model(inputs_embeds=torch.zeros(1, 3, 32), **random_media(imu=1))

    def test_media_and_their_embeds(self, tiny_model, mixed_batch):
        with pytest.raises(ValueError, match="not both"):
            tiny_model(**mixed_batch, media_embeds=torch.zeros(3, 3, 12))

    def test_ids_and_embeds(self, tiny_model):
        with pytest.raises(ValueError, match="exactly one of input_ids and inputs_embeds"):
            tiny_model()

    def test_absent_encoder(self, tiny_model, tmp_path):
        tiny_model.save_pretrained(tmp_path)
        model = PandaGPTForConditionalGeneration.from_pretrained(tmp_path, modalities=["vision"])
        with pytest.raises(ValueError, match="no audio encoder"):
            model(input_ids=torch.tensor([[1, PLACEHOLDER["audio"]]]), **random_media(audio=1))
