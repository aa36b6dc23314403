# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""`generate` with media: batches, beams, sampling, caches; media are encoded once."""

import pytest
import torch
from tiny_models import MEDIA_INPUT, PLACEHOLDER, random_media, row_alone


GREEDY = {"max_new_tokens": 8, "do_sample": False}


def count_encoder_calls(model) -> dict[str, int]:
    calls = dict.fromkeys(model.config.modalities, 0)
    for modality in calls:

        def count(*_, modality=modality):
            calls[modality] += 1

        model.model.imagebind.get_modality_encoder(modality).register_forward_pre_hook(count)
    return calls


def test_rows_of_a_batch_get_their_own_answers(tiny_model, mixed_batch):
    together = tiny_model.generate(**mixed_batch, **GREEDY)[:, mixed_batch["input_ids"].shape[1] :]
    media = random_media(image=1, audio=1, video=1, thermal=1, depth=1, imu=1)
    of_row = [("pixel_values", "input_features", "pixel_values_videos"), (), tuple(MEDIA_INPUT.values())[3:]]
    for index, names in enumerate(of_row):
        inputs = row_alone(mixed_batch, index, {name: media[name] for name in names})
        alone = tiny_model.generate(**inputs, **GREEDY)[0, inputs["input_ids"].shape[1] :]
        assert together[index, : len(alone)].tolist() == alone.tolist()


@pytest.mark.parametrize("options", [{"cache_implementation": "static"}, {"use_cache": False}])
def test_caches_agree(tiny_model, mixed_batch, options):
    expected = tiny_model.generate(**mixed_batch, **GREEDY)
    assert tiny_model.generate(**mixed_batch, **GREEDY, **options).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 3},
        {"num_beams": 4, "num_return_sequences": 3},
        {"do_sample": True, "num_return_sequences": 4, "top_p": 0.9},
        {"use_cache": False},
    ],
)
def test_media_are_encoded_once(tiny_model, mixed_batch, options):
    calls = count_encoder_calls(tiny_model)
    output = tiny_model.generate(**mixed_batch, max_new_tokens=5, **options)
    assert output.shape[0] == 3 * options.get("num_return_sequences", 1)
    assert calls == {"vision": 2, "audio": 1, "depth": 1, "thermal": 1, "imu": 1}  # one picture, one video


def test_beams_see_the_media(tiny_model, mixed_batch):
    """The best beam's score is what the model itself gives to that answer."""
    length = mixed_batch["input_ids"].shape[1]
    options = {"max_new_tokens": 4, "min_new_tokens": 4, "num_beams": 3, "length_penalty": 1.0}
    output = tiny_model.generate(**mixed_batch, **options, return_dict_in_generate=True, output_scores=True)
    mask = torch.cat([mixed_batch["attention_mask"], torch.ones(3, 4, dtype=torch.long)], dim=1)
    inputs = mixed_batch | {"input_ids": output.sequences, "attention_mask": mask}
    with torch.no_grad():
        scores = tiny_model(**inputs).logits[:, length - 1 : -1].log_softmax(-1)
    chosen = scores.gather(2, output.sequences[:, length:, None]).squeeze(-1).sum(dim=1) / 4
    torch.testing.assert_close(output.sequences_scores, chosen, atol=1e-4, rtol=0)


def test_sampling_is_seeded(tiny_model, mixed_batch):
    def sample(seed):
        torch.manual_seed(seed)
        return tiny_model.generate(**mixed_batch, do_sample=True, temperature=2.0, max_new_tokens=8).tolist()

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_media_embeds(tiny_model, mixed_batch):
    text = {name: mixed_batch[name] for name in ("input_ids", "attention_mask", "media_slots")}
    media = {name: mixed_batch[name] for name in (*MEDIA_INPUT.values(), "media_types")}
    expected = tiny_model.generate(**mixed_batch, **GREEDY)
    encoded = tiny_model.model.encode_media(**media)
    calls = count_encoder_calls(tiny_model)
    assert tiny_model.generate(**text, **encoded, **GREEDY).tolist() == expected.tolist()
    assert not any(calls.values())


def test_input_ids_may_be_positional_and_slots_derived(tiny_model):
    input_ids = torch.tensor([[1, PLACEHOLDER["audio"], 5, PLACEHOLDER["image"], 6]])
    media = random_media(image=1, audio=1)
    named = tiny_model.generate(input_ids=input_ids, **media, **GREEDY)
    assert tiny_model.generate(input_ids, **media, **GREEDY).tolist() == named.tolist()


def test_placeholders_are_never_produced(tiny_model, mixed_batch):
    """The output layer has no rows for them; where a padded vocabulary has, suppress_tokens holds them back."""
    output = tiny_model.generate(**mixed_batch, do_sample=True, temperature=50.0, max_new_tokens=64, top_k=0)
    answer = output[:, mixed_batch["input_ids"].shape[1] :]
    assert answer.max() < min(PLACEHOLDER.values())


def test_errors_come_before_the_first_token(tiny_model):
    with pytest.raises(ValueError, match="image: 1 in the text's placeholders, 2 given"):
        tiny_model.generate(torch.tensor([[1, PLACEHOLDER["image"], 5]]), **random_media(image=2))


def test_compiled_generation_with_a_static_cache(tiny_model, mixed_batch):
    expected = tiny_model.generate(**mixed_batch, **GREEDY)
    tiny_model.forward = torch.compile(tiny_model.forward, backend="eager")
    options = {"cache_implementation": "static", "disable_compile": True}
    assert tiny_model.generate(**mixed_batch, **GREEDY, **options).tolist() == expected.tolist()
