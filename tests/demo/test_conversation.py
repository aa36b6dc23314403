# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What a conversation keeps changes how long an answer takes, never the answer."""

import pytest
import torch
from transformers import MistralConfig

from demo.conversation import Conversation
from demo.untrained import build, build_config
from modeling_pandagpt import PandaGPTForConditionalGeneration


GREEDY = {"max_new_tokens": 12, "do_sample": False}
TURNS = (
    ("What is this?", [("image", "picture.png")]),
    ("And what do you hear now?", []),
    ("Now compare.", [("video", "video.mp4"), ("audio", "sound.wav")]),
    ("Which is warm, which is far?", [("depth", "depth.npy"), ("thermal", "thermal.png"), ("imu", "motion.csv")]),
    ("Good. What was the first one?", []),
)


@pytest.fixture(scope="module")
def tiny():
    return build()


@pytest.fixture(autouse=True)
def _in_examples(examples, monkeypatch):
    monkeypatch.chdir(examples)


def answer_anew(model, processor, messages) -> str:
    """The next answer, from nothing but the messages."""
    inputs = processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, add_generation_prompt=True, return_tensors="pt"
    )
    ids = model.generate(**inputs, **GREEDY)[:, inputs["input_ids"].shape[1] :]
    return processor.post_process_image_text_to_text(ids)[0].strip()


@pytest.fixture
def count(tiny, monkeypatch):
    """What the model does: tokens read at each forward, and media encoded by kind."""
    model, _ = tiny
    seen = {"tokens": [], "encoded": []}
    forward, encode = model.model.language_model.forward, model.model._encode

    def counting_forward(*args, **kwargs):
        seen["tokens"].append(kwargs["inputs_embeds"].shape[1])
        return forward(*args, **kwargs)

    def counting_encode(kind, values):
        seen["encoded"].append((kind, len(values)))
        return encode(kind, values)

    monkeypatch.setattr(model.model.language_model, "forward", counting_forward)
    monkeypatch.setattr(model.model, "_encode", counting_encode)
    return seen


@pytest.mark.parametrize("media_fusion", ["sum", "concat"])
def test_every_answer_is_the_one_without_a_cache(tiny, media_fusion, monkeypatch):
    model, processor = tiny
    monkeypatch.setattr(processor, "media_fusion", media_fusion)
    conversation = Conversation(model, processor)
    for question, media in TURNS:
        reply = conversation.ask(question, media, **GREEDY)
        assert reply.answer == answer_anew(model, processor, conversation.messages[:-1])


def test_a_turn_reads_only_what_is_new(tiny, count):
    conversation = Conversation(*tiny)
    first = conversation.ask(*TURNS[0], **GREEDY)
    assert count["encoded"] == [("image", 1)]
    assert count["tokens"][0] == first.input_tokens and set(count["tokens"][1:]) == {1}
    count["tokens"].clear()
    second = conversation.ask(*TURNS[2], **GREEDY)
    assert count["encoded"] == [("image", 1), ("video", 1), ("audio", 1)]
    # An answer cut off by its length is followed by a marker that was never generated.
    assert count["tokens"][0] <= second.input_tokens - first.input_tokens - first.output_tokens + 2
    count["tokens"].clear()
    conversation.ask(*TURNS[4], **GREEDY)
    assert len(count["encoded"]) == 3


def test_no_medium_is_opened_twice(tiny, tmp_path, examples):
    picture = tmp_path / "picture.png"
    picture.write_bytes((examples / "picture.png").read_bytes())
    kept, fresh = Conversation(*tiny), Conversation(*tiny)
    for conversation in (kept, fresh):
        conversation.ask("What is this?", [("image", str(picture))], **GREEDY)
    picture.unlink()
    assert kept.ask("And now?", **GREEDY).answer == fresh.ask("And now?", **GREEDY).answer


def test_the_same_name_in_a_later_turn_is_opened_anew(tiny, tmp_path, examples, count):
    picture = tmp_path / "picture.png"
    conversation = Conversation(*tiny)
    for name in ("picture.png", "thermal.png"):
        picture.write_bytes((examples / name).read_bytes())
        conversation.ask("What is this?", [("image", str(picture))], **GREEDY)
    assert count["encoded"] == [("image", 1)] * 2
    first, second = conversation.media_embeds
    assert not torch.allclose(first, second, atol=1e-3)


def test_an_undone_turn_is_as_if_it_had_never_been(tiny):
    conversation, model, processor = Conversation(*tiny), *tiny
    first = conversation.ask(*TURNS[0], **GREEDY).answer
    conversation.ask(*TURNS[2], **GREEDY)
    conversation.undo()
    assert len(conversation.media_embeds) == 1 and len(conversation.messages) == 2
    assert conversation.ask(*TURNS[3], **GREEDY).answer == answer_anew(model, processor, conversation.messages[:-1])
    conversation.undo()
    conversation.undo()
    assert conversation.messages == [] and conversation.ask(*TURNS[0], **GREEDY).answer == first
    conversation.undo()
    with pytest.raises(ValueError, match="nothing to undo"):
        conversation.undo()


def test_a_stopped_answer_leaves_a_cache_that_can_be_used(tiny):
    model, processor = tiny
    conversation = Conversation(model, processor)
    conversation.ask(*TURNS[0], **GREEDY)

    def stop(text: str):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conversation.ask(*TURNS[2], write=stop, **GREEDY)
    assert len(conversation.messages) == 2 and len(conversation.media_embeds) == 1
    reply = conversation.ask(*TURNS[3], **GREEDY)
    assert reply.answer == answer_anew(model, processor, conversation.messages[:-1])
    assert conversation.cache.get_seq_length() < reply.input_tokens + reply.output_tokens


def test_an_edited_conversation_is_read_from_where_it_differs(tiny, count):
    model, processor = tiny
    conversation = Conversation(model, processor)
    conversation.ask(*TURNS[0], **GREEDY)
    conversation.messages[1] = {"role": "assistant", "content": "something else"}
    count["tokens"].clear()
    reply = conversation.ask(*TURNS[1], **GREEDY)
    assert 1 < count["tokens"][0] < reply.input_tokens
    assert reply.answer == answer_anew(model, processor, conversation.messages[:-1])


def test_generate_goes_on_from_a_filled_cache_with_all_media_given_again(tiny):
    """As a user of the library writes it: the whole prompt, all media, and the cache of the turn before."""
    model, processor = tiny
    messages = [
        {"role": "user", "content": [{"type": "image", "path": "picture.png"}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": "a bird"},
        {"role": "user", "content": [{"type": "audio", "path": "sound.wav"}, {"type": "text", "text": "And?"}]},
    ]
    options = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
    beginning = processor.apply_chat_template(messages[:2], **options)
    inputs = processor.apply_chat_template(messages, add_generation_prompt=True, **options)
    with torch.no_grad():
        cache = model(**beginning, use_cache=True).past_key_values
    expected = model.generate(**inputs, **GREEDY)
    assert torch.equal(model.generate(**inputs, past_key_values=cache, **GREEDY), expected)


def test_a_window_that_has_slid_on_is_read_anew(tiny):
    _, processor = tiny
    config = build_config(processor)
    options = config.text_config.to_diff_dict()
    options.pop("model_type")
    config.text_config = MistralConfig(**options, sliding_window=16)
    torch.manual_seed(0)
    model = PandaGPTForConditionalGeneration(config).eval()
    conversation = Conversation(model, processor)
    for question, media in TURNS[:3]:
        reply = conversation.ask(question, media, **GREEDY)
        assert reply.answer == answer_anew(model, processor, conversation.messages[:-1])
