# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The prompts: token ids equal the original's, segment by segment, in every conversation; and the loss's mask."""

import json

import pytest
import sentencepiece
import torch
from jinja2 import TemplateError
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from processing.processing_pandagpt import PandaGPTProcessor


LLAMA = "llama_tokenizer"
LLAMA_SLOW = "llama_tokenizer/slow"
PREFIX = "### Human: <Img>"

# Conversations as (question, answer) turns, the last answer possibly missing.
CONVERSATIONS = [
    [("What is it?", None)],
    [("What is it?", "It is a dog.")],
    [("What is it?", "It is a dog."), ("And now?", None)],
    [("What is it?", "It is a dog."), ("And now?", "No."), ("", "")],
    [("café naïve — 猫 🐱 ☃", "1234567 3.14\ttab\nnew line"), ("\n\n  two  spaces  ", " leading and trailing ")],
    [("  leading spaces", "  so here"), ("a##b ### #", "Yes.\n### Title ##\n##")],
    [("</Img> <Img> ### Assistant: no\n### Human: yes", "### Human: what?"), ("…", "…")],
    [("ends with a newline\n", "\n"), ("\nbegins with one", "\nso too\n")],
]


@pytest.fixture(scope="module", params=["tiny", LLAMA, LLAMA_SLOW])
def vocabulary(request, make_processor):
    """A processor, and the SentencePiece model that the original's slow tokenizer reads with."""
    if request.param == "tiny":
        folder = request.getfixturevalue("tiny") / "base_llama"
        model = folder / "tokenizer.model"
    else:
        reference = request.getfixturevalue("reference")
        folder, model = reference / request.param, reference / LLAMA_SLOW / "tokenizer.model"
    return make_processor(folder), sentencepiece.SentencePieceProcessor(model_file=str(model))


def original_segments(turns) -> list[tuple[str, bool]]:
    """What the original tokenises after its slot, piece by piece, and whether the loss covers the piece."""
    segments = []
    for position, (question, answer) in enumerate(turns):
        opening = "</Img> " if position == 0 else "Human: "
        segments.append((f"{opening}{question}\n### Assistant:", False))
        if answer is not None:
            segments.append((f"{answer}\n###", True))
    return segments


def to_messages(turns, media=("image",)) -> list[dict]:
    messages = []
    for question, answer in turns:
        content = [{"type": "text", "text": question}]
        if not messages:
            content = [{"type": kind} for kind in media] + content
        messages.append({"role": "user", "content": content})
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
    return messages


def render_and_tokenize(processor, messages, **kwargs):
    """As with `tokenize=True`, without media: the ids of the rendered text, slots collapsed."""
    text = processor.apply_chat_template(messages, **kwargs)
    slots = processor._find_slots(text)
    for slot in reversed(slots):
        text = text[: slot.start()] + "<image>" + text[slot.end() :]
    return processor.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("turns", CONVERSATIONS)
def test_ids_equal_the_original_segments(vocabulary, turns):
    processor, slow = vocabulary
    after_slot = [token for segment, _ in original_segments(turns) for token in slow.encode(segment)]
    expected = [1, *slow.encode(PREFIX), processor.image_token_id, *after_slot]
    messages = to_messages(turns)
    got = render_and_tokenize(processor, messages, add_generation_prompt=turns[-1][1] is None)
    assert got == expected


def test_legacy_tokenizers_give_the_same_ids(processor, make_processor, tiny):
    """Folders saved by transformers 4 may say `legacy`: then a space goes before text after every special token."""
    tokenizer = AutoTokenizer.from_pretrained(tiny / "base_llama", legacy=True)
    PandaGPTProcessor.add_placeholder_tokens(tokenizer)
    legacy = make_processor(tokenizer=tokenizer)
    for turns in CONVERSATIONS:
        messages = to_messages(turns)
        assert render_and_tokenize(legacy, messages) == render_and_tokenize(processor, messages)


def test_sentencepiece_is_what_the_original_read_with(reference):
    slow = sentencepiece.SentencePieceProcessor(model_file=str(reference / LLAMA_SLOW / "tokenizer.model"))
    golden = json.loads((reference / LLAMA / "golden.json").read_text())["slow_reference_ids"]
    assert len(golden) > 15
    for text, ids in golden.items():
        if "<s>" not in text:  # the slow tokenizer looks for special tokens first
            assert slow.encode(text) == ids, text


@pytest.mark.parametrize("case", ["image_only", "audio_only", "thermal_only", "image_audio", "all_four", "history2"])
def test_inference_prompts_equal_the_golden_ones(processor, media, tiny, case):
    golden = json.loads((tiny / "inference.json").read_text())
    case = golden["cases"][case]
    kinds = [kind for kind in ("image", "audio", "video", "thermal") if case[f"{kind}_paths"]]
    question = [{"type": "text", "text": case["prompt"]}]
    messages = [{"role": "user", "content": [{"type": kind, kind: media[kind][0]} for kind in kinds] + question}]
    inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True, add_generation_prompt=True)
    slot = getattr(processor, f"{kinds[0]}_token_id")
    assert inputs["input_ids"] == [[1, *case["before_ids"], slot, *case["text_ids"]]]
    assert inputs["media_slots"] == [[1] * len(kinds)]


def test_history_as_turns_equals_the_history_in_one_string(processor, tiny):
    golden = json.loads((tiny / "inference.json").read_text())
    turns = [*map(tuple, golden["history"]), (golden["history_input"], None)]
    case = golden["cases"]["history2"]
    ids = render_and_tokenize(processor, to_messages(turns), add_generation_prompt=True)
    assert ids == [1, *case["before_ids"], processor.image_token_id, *case["text_ids"]]


@pytest.mark.parametrize("case", ["batch3", "single", "multi", "long", "batch3_len400"])
def test_training_ids_and_loss_mask_equal_the_golden_ones(processor, media, tiny, case):
    """`max_tgt_len` of the original counts the text after the slot; before it stand 8 tokens, which are never cut."""
    golden = json.loads((tiny / "train_forward.json").read_text())
    tensors = load_file(tiny / "train_forward.safetensors")
    conversations = []
    for name in golden["cases"][case]["conversations"]:
        turns = [turn["value"] for turn in golden["conversations"][name]]
        messages = to_messages(zip(turns[::2], turns[1::2], strict=True))
        messages[0]["content"][0]["image"] = media["image"][0]
        conversations.append(messages)
    inputs = processor.apply_chat_template(
        conversations,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        return_assistant_tokens_mask=True,
        processor_kwargs={
            "truncation": True,
            "max_length": 8 + golden["cases"][case]["max_tgt_len"],
            "padding_side": "right",
        },
    )
    assert torch.equal(inputs["input_ids"][:, 8:], tensors[f"{case}.input_ids"])
    assert torch.equal(inputs["attention_mask"], tensors[f"{case}.full_attention_mask"])
    targets = inputs["input_ids"].masked_fill(inputs["assistant_masks"] == 0, -100)
    assert torch.equal(targets, tensors[f"{case}.full_targets"])


@pytest.mark.parametrize("turns", CONVERSATIONS)
@pytest.mark.parametrize("kinds", [["image"], ["image", "audio", "thermal"]])
def test_mask_covers_the_answers_and_their_markers(vocabulary, media, turns, kinds):
    processor, slow = vocabulary
    messages = to_messages(turns, kinds)
    for block, kind in zip(messages[0]["content"], kinds, strict=False):
        block[kind] = media[kind][0]
    inputs = processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt", return_assistant_tokens_mask=True
    )
    expected = [0] * (len(slow.encode(PREFIX)) + 2)
    for segment, is_answer in original_segments(turns):
        expected += [int(is_answer)] * len(slow.encode(segment))
    if turns[-1][1] is None:  # no generation prompt here
        expected = expected[: inputs["input_ids"].shape[1]]
    assert inputs["assistant_masks"].tolist() == [expected]


def test_prompt_is_a_prefix_of_the_whole_conversation(processor):
    turns = [("What is it?", "It is a dog."), ("And now?", "No.")]
    whole = processor.apply_chat_template(to_messages(turns))
    prompt = processor.apply_chat_template(to_messages([turns[0], ("And now?", None)]), add_generation_prompt=True)
    assert whole.startswith(prompt)
    assert whole.removeprefix(prompt) == " No.\n###"


@pytest.mark.parametrize(
    "content, expected",
    [
        ("Hello.", "Human: Hello."),
        ([{"type": "text", "text": "Hello."}], "Human: Hello."),
        ([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo."}], "Human: Hello."),
        ([{"type": "image"}], "Human: <Img><image> </Img>"),
        ([{"type": "image"}, {"type": "text", "text": ""}], "Human: <Img><image> </Img> "),
        ([{"type": "text", "text": "See"}, {"type": "depth"}], "Human: See <Img><depth> </Img>"),
        ([{"type": "text", "text": "See\n"}, {"type": "imu"}], "Human: See\n<Img><imu> </Img>"),
        ([{"type": "text", "text": ""}, {"type": "imu"}], "Human: <Img><imu> </Img>"),
        (
            [{"type": "image"}, {"type": "audio"}, {"type": "text", "text": "or"}, {"type": "image"}],
            "Human: <Img><image> </Img> <Img><audio> </Img> or <Img><image> </Img>",
        ),
    ],
)
def test_media_stand_where_their_blocks_stand(processor, content, expected):
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    assert text == f"<s> ### {expected}\n### Assistant:"


def test_media_in_a_later_turn(processor):
    messages = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "What?"}]},
    ]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    assert text == "<s> ### Human: Hello.\n### Assistant: Hi.\n### Human: <Img><audio> </Img> What?\n### Assistant:"


def test_system_message_stands_before_the_first_turn(processor):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    assert text == "<s> Be brief.\n### Human: Hello.\n### Assistant:"


@pytest.mark.parametrize("roles", [["tool"], ["user", "system"]])
def test_vicuna_refuses_other_roles(processor, roles):
    with pytest.raises(TemplateError, match=f"expected the role user or assistant.*{roles[-1]}"):
        processor.apply_chat_template([{"role": role, "content": "x"} for role in roles])


def test_continue_final_message(processor):
    messages = to_messages([("What is it?", "It is")])
    assert processor.apply_chat_template(messages, continue_final_message=True).endswith("### Assistant: It is")


@pytest.fixture(scope="module")
def chatml_processor(templates) -> PandaGPTProcessor:
    """A byte-level tokenizer without a begin token, as modern bases have."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", extra_special_tokens=["<|im_start|>"]
    )
    PandaGPTProcessor.add_placeholder_tokens(tokenizer)
    return PandaGPTProcessor(tokenizer=tokenizer, chat_template=templates["chatml"])


def test_chatml(chatml_processor):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image"}, {"type": "audio"}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": "A dog."},
        {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "image"}]},
    ]
    assert chatml_processor.apply_chat_template(messages, add_generation_prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n<Img><image></Img><Img><audio></Img>What?<|im_end|>\n"
        "<|im_start|>assistant\nA dog.<|im_end|>\n"
        "<|im_start|>user\nAnd <Img><image></Img><|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_chatml_collapses_adjacent_media_and_masks_the_answer(chatml_processor, media):
    messages = [
        {
            "role": "user",
            "content": [{"type": kind, kind: media[kind][0]} for kind in ("image", "audio")]
            + [{"type": "text", "text": "What?"}],
        },
        {"role": "assistant", "content": "A dog ☃."},
    ]
    inputs = chatml_processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt", return_assistant_tokens_mask=True
    )
    ids = inputs["input_ids"][0]
    tokenizer = chatml_processor.tokenizer
    assert tokenizer.decode(ids) == (
        "<|im_start|>user\n<Img><image></Img>What?<|im_end|>\n<|im_start|>assistant\nA dog ☃.<|im_end|>\n"
    )
    assert tokenizer.decode(ids[inputs["assistant_masks"][0].bool()]) == "A dog ☃.<|im_end|>"
