# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The processor: slots and media of batches, blocks of every spelling, inert text, errors, decoding."""

import base64
import copy
import wave

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from processing.processing_pandagpt import INERT, PLACEHOLDERS, PandaGPTProcessor


ARGUMENTS = {
    "image": "images",
    "video": "videos",
    "audio": "audio",
    "thermal": "thermal",
    "depth": "depth",
    "imu": "imu",
}
OUTPUTS = {
    "image": ("pixel_values", (3, 224, 224)),
    "video": ("pixel_values_videos", (15, 3, 2, 224, 224)),
    "audio": ("input_features", (3, 1, 128, 204)),
    "thermal": ("thermal_values", (1, 224, 224)),
    "depth": ("depth_values", (1, 224, 224)),
    "imu": ("imu_values", (6, 2000)),
}
KINDS = list(ARGUMENTS)


def user(*content) -> list[dict]:
    """A conversation of one message; strings become text blocks."""
    blocks = [{"type": "text", "text": item} if isinstance(item, str) else item for item in content]
    return [{"role": "user", "content": blocks}]


def tokenize(processor, conversation, **kwargs):
    return processor.apply_chat_template(
        conversation,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=True,
        processor_kwargs=kwargs,
    )


def block(kind, medium) -> dict:
    return {"type": kind, kind: medium}


# Slots


def test_all_six_media_share_one_slot(processor, media):
    inputs = tokenize(processor, user(*(block(kind, media[kind][0]) for kind in KINDS), "What?"))
    assert inputs["media_types"].tolist() == [[1, 2, 3, 4, 5, 6]]
    assert inputs["media_slots"].tolist() == [[1] * 6]
    for name, shape in OUTPUTS.values():
        assert inputs[name].shape == (1, *shape)
    ids = inputs["input_ids"][0].tolist()
    assert [ids.count(getattr(processor, f"{kind}_token_id")) for kind in KINDS] == [1, 0, 0, 0, 0, 0]
    assert set(inputs) == {
        "input_ids",
        "attention_mask",
        "media_types",
        "media_slots",
        *(name for name, _ in OUTPUTS.values()),
    }


def test_concat_gives_each_medium_its_slot(concat_processor, media):
    inputs = tokenize(concat_processor, user(*(block(kind, media[kind][0]) for kind in KINDS), "What?"))
    assert inputs["media_types"].tolist() == [[1, 2, 3, 4, 5, 6]]
    assert inputs["media_slots"].tolist() == [[1, 2, 3, 4, 5, 6]]
    text = concat_processor.decode(inputs["input_ids"][0])
    slots = " ".join(f"<Img><{kind}> </Img>" for kind in KINDS)
    assert text == f"<s> ### Human: {slots} What?\n### Assistant:"


def test_slot_keeps_the_placeholder_of_its_first_medium(processor, media):
    inputs = tokenize(processor, user(block("audio", media["audio"][0]), block("image", media["image"][0]), "What?"))
    assert inputs["media_types"].tolist() == [[3, 1]]
    assert processor.audio_token_id in inputs["input_ids"]
    assert processor.image_token_id not in inputs["input_ids"]


@pytest.mark.parametrize("left", [True, False])
def test_batch_of_rows_with_different_media(processor, media, left):
    image, sound, depth = media["image"], media["audio"], media["depth"]
    conversations = [
        user(block("image", image[0]), block("audio", sound[0]), "What?", block("image", image[1]), "And this?"),
        user("Only text."),
        user(block("depth", depth[0]), "How far?"),
    ]
    inputs = tokenize(processor, conversations, padding_side="left" if left else "right")
    assert inputs["media_types"].tolist() == [[1, 3, 1], [0, 0, 0], [5, 0, 0]]
    assert inputs["media_slots"].tolist() == [[1, 1, 2], [0, 0, 0], [1, 0, 0]]
    lengths = inputs["attention_mask"].sum(dim=1)
    for row, conversation in enumerate(conversations):
        alone = tokenize(processor, conversation)["input_ids"][0]
        kept = inputs["input_ids"][row][inputs["attention_mask"][row].bool()]
        assert torch.equal(kept, alone)
        assert inputs["attention_mask"][row, -1 if left else 0] == 1
    assert lengths.unique().numel() == 3


def test_media_are_stacked_in_the_order_of_their_placeholders(processor, media):
    red, blue = media["image"]
    conversations = [user("x", block("image", red), "y", block("image", blue)), user(block("image", blue))]
    inputs = tokenize(processor, conversations)
    expected = processor.image_processor([red, blue, blue], return_tensors="pt")["pixel_values"]
    assert torch.equal(inputs["pixel_values"], expected)


def test_text_alone_gives_no_media_keys(processor):
    assert set(tokenize(processor, [user("Hello."), user("Good morning to you.")])) == {"input_ids", "attention_mask"}


def test_media_alone_are_processed(processor, media):
    for kind, argument in ARGUMENTS.items():
        inputs = processor(**{argument: media[kind][0]}, return_tensors="pt")
        name, shape = OUTPUTS[kind]
        assert list(inputs) == [name]
        assert inputs[name].shape == (1, *shape)


# The two entrances


@pytest.mark.parametrize("fusion", ["sum", "concat"])
def test_rendered_text_gives_what_the_chat_gives(processor, concat_processor, media, fusion):
    processor = processor if fusion == "sum" else concat_processor
    (red, blue), (sound, _) = media["image"], media["audio"]
    chat = user(block("image", red), block("audio", sound), "a <image> b", block("image", blue), "c")
    expected = tokenize(processor, chat)
    text = processor.apply_chat_template(chat, add_generation_prompt=True)
    inputs = processor(text=text, images=[red, blue], audio=[sound], return_tensors="pt")
    assert set(inputs) == set(expected)
    for name, value in inputs.items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("text", ["<image><audio> What?", "<Img><image></Img><Img><audio></Img>What?"])
def test_adjacent_placeholders_in_text_of_other_kinds(processor, media, text):
    inputs = processor(text=text, images=media["image"][0], audio=media["audio"][0], return_tensors="pt")
    assert inputs["media_slots"].tolist() == [[1, 1]]
    assert (inputs["input_ids"] >= processor.image_token_id).sum() == 1


@pytest.mark.parametrize("text", ["<image>, <audio>", "<image> <audio>", "<Img><image></Img>\n<Img><audio></Img>"])
def test_placeholders_with_text_between_are_two_slots(processor, media, text):
    inputs = processor(text=text, images=media["image"][0], audio=media["audio"][0], return_tensors="pt")
    assert inputs["media_slots"].tolist() == [[1, 2]]


def test_flat_and_nested_media_are_the_same(processor, media):
    texts = ["<image> a <image>", "b <image>"]
    red, blue = media["image"]
    flat = processor(text=texts, images=[red, blue, red], return_tensors="pt")
    nested = processor(text=texts, images=[[red, blue], [red]], return_tensors="pt")
    array = processor(text=texts, images=np.stack([red, blue, red]), return_tensors="pt")
    assert torch.equal(flat["pixel_values"], nested["pixel_values"])
    assert torch.equal(flat["pixel_values"], array["pixel_values"])
    assert flat["media_slots"].tolist() == nested["media_slots"].tolist() == [[1, 2], [1, 0]]


@pytest.mark.parametrize(
    "kind, wrap",
    [
        ("video", lambda frames: frames),
        ("video", lambda frames: (frames, 10)),
        ("video", lambda frames: [frames]),
        ("video", lambda frames: [[frames]]),
        ("video", lambda frames: np.stack([np.asarray(frame) for frame in frames])),
        ("audio", lambda pair: pair),
        ("audio", lambda pair: [pair]),
        ("audio", lambda pair: [[pair]]),
        ("audio", lambda pair: (pair[0].tolist(), pair[1])),
        ("audio", lambda pair: {"array": pair[0], "sampling_rate": pair[1]}),
        ("imu", lambda array: [array]),
        ("imu", lambda array: (array, 400)),
    ],
)
def test_a_sequence_that_is_one_medium_is_one(processor, media, kind, wrap):
    inputs = processor(text=f"<{kind}>", **{ARGUMENTS[kind]: wrap(media[kind][0])}, return_tensors="pt")
    expected = processor(text=f"<{kind}>", **{ARGUMENTS[kind]: [media[kind][0]]}, return_tensors="pt")
    name, _ = OUTPUTS[kind]
    assert torch.equal(inputs[name], expected[name])


def test_without_return_tensors_everything_is_lists(processor, media):
    inputs = processor(text=["<image> a", "b"], images=media["image"][0])
    assert inputs["media_types"] == [[1], [0]]
    for name in ("input_ids", "attention_mask", "media_types", "media_slots", "pixel_values"):
        assert isinstance(inputs[name], list), name


def test_begin_token_is_there_once(processor):
    assert processor(text="### Human: hi")["input_ids"] == processor(text="<s> ### Human: hi")["input_ids"]
    assert processor(text="<s> ### Human: hi")["input_ids"][0].count(1) == 1


def test_mm_token_type_ids_are_the_media_types(processor, media):
    inputs = processor(
        text="<image> x <imu>", images=media["image"][0], imu=media["imu"][0], return_mm_token_type_ids=True
    )
    types = inputs["mm_token_type_ids"][0]
    assert [t for t in types if t] == [1, 6]
    assert inputs["input_ids"][0][types.index(6)] == processor.imu_token_id


# Blocks


def as_files(medium, kind, folder):
    path = folder / {"image": "medium.png", "thermal": "medium.png", "audio": "medium.wav"}.get(kind, "medium.npy")
    if kind in ("image", "thermal"):
        medium.save(path)
    elif kind == "audio":
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, medium[1], 0, "NONE", None))
            file.writeframes((medium[0] * 32767).astype("<i2").tobytes())
    else:
        np.save(path, medium)
    return path


@pytest.mark.parametrize("kind", ["image", "audio", "thermal", "depth", "imu"])
def test_blocks_by_path_url_and_base64(processor, media, tmp_path, kind):
    path = as_files(media[kind][0], kind, tmp_path)
    encoded = base64.b64encode(path.read_bytes()).decode()
    blocks = [
        {"type": kind, kind: str(path)},
        {"type": kind, "path": path},
        {"type": kind, "path": path.as_uri()},
        {"type": kind, "url": f"DATA:application/octet-stream;base64,{encoded}"},
        {"type": kind, "base64": encoded},
        {"type": kind, kind: path.read_bytes()},
        {"type": f"{kind}_url", f"{kind}_url": {"url": f"data:application/octet-stream;base64,{encoded}"}},
        {"type": f"{kind}_url", f"{kind}_url": f"data:;base64,{encoded}"},
    ]
    if kind == "audio":
        blocks.append({"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}})
    name, _ = OUTPUTS[kind]
    values = tokenize(processor, user(*blocks))[name]
    assert len(values) == len(blocks)
    assert all(torch.equal(value, values[0]) for value in values)


@pytest.mark.parametrize("spell", [str, lambda path: path.as_uri(), lambda path: path.as_uri().upper()])
def test_urls_and_base64_read_no_file_of_this_machine(processor, tmp_path, monkeypatch, spell):
    monkeypatch.chdir(tmp_path)
    path = as_files((np.zeros(8000, np.float32), 16000), "audio", tmp_path)
    for source in (spell(path), path.name, "A" * 64):
        (tmp_path / ("A" * 64)).write_bytes(path.read_bytes())
        for block in (
            {"type": "audio", "url": source},
            {"type": "audio_url", "audio_url": {"url": source}},
            {"type": "audio_url", "audio_url": source},
            {"type": "audio", "base64": source},
            {"type": "input_audio", "input_audio": {"data": source, "format": "wav"}},
        ):
            with pytest.raises(ValueError, match="must have an http|base64 is broken|^audio.*AAAA"):
                tokenize(processor, user(block))


@pytest.mark.parametrize("value", [b"UklGRg==", 3, ["x"]])
def test_base64_and_urls_are_strings(processor, value):
    for key, message in (("base64", "a string under base64"), ("url", "an http.* URL under url")):
        with pytest.raises(ValueError, match=f"^block 0 of message 0 must have {message}"):
            tokenize(processor, user({"type": "audio", key: value}))


def test_short_base64_is_read(processor):
    gif = "R0lGODdhAQABAIAAAAAAAAAAACwAAAAAAQABAAACAkQBADs="  # 48 characters
    assert tokenize(processor, user({"type": "image", "base64": gif}))["pixel_values"].shape == (1, 3, 224, 224)


def test_video_url_block(processor, tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "video.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for grey in range(0, 250, 25):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), grey, dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    url = f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"
    blocks = [{"type": "video_url", "video_url": {"url": url}}, {"type": "video", "path": str(path)}]
    values = tokenize(processor, user(*blocks))["pixel_values_videos"]
    assert values.shape == (2, 15, 3, 2, 224, 224)
    assert torch.equal(values[0], values[1])


def test_blocks_of_a_data_set_have_empty_columns(processor, media):
    columns = {"text": None, "image": None, "audio": None}
    chat = user({**columns, **block("image", media["image"][0])}, {**columns, "type": "text", "text": "What?"})
    assert torch.equal(
        tokenize(processor, chat)["input_ids"],
        tokenize(processor, user(block("image", media["image"][0]), "What?"))["input_ids"],
    )


def test_rate_in_a_block(processor, media):
    samples, rate = media["audio"][0]
    inputs = tokenize(processor, user({"type": "audio", "audio": samples, "sampling_rate": rate}))
    assert torch.equal(
        inputs["input_features"], tokenize(processor, user(block("audio", (samples, rate))))["input_features"]
    )
    frames = media["video"][0]
    slow = tokenize(processor, user({"type": "video", "video": frames, "fps": 1}))["pixel_values_videos"]
    assert torch.equal(slow, tokenize(processor, user(block("video", (frames, 1))))["pixel_values_videos"])


def test_sound_without_a_rate_is_refused(processor, media):
    samples, rate = media["audio"][0]
    with pytest.raises(ValueError, match=r"audio\[0\].*rate"):
        tokenize(processor, user(block("audio", samples)))
    flat = tokenize(processor, user(block("audio", samples)), sampling_rate=rate)
    nested = tokenize(processor, user(block("audio", samples)), audio_kwargs={"sampling_rate": rate})
    assert torch.equal(flat["input_features"], nested["input_features"])


def test_keywords_reach_their_processors(processor, media):
    millimetres = (media["depth"][0] * 1000).astype(np.uint16)
    inputs = tokenize(
        processor,
        user(block("depth", millimetres), block("image", media["image"][0]), block("video", media["video"][0])),
        depth_kwargs={"depth_unit": 0.001},
        images_kwargs={"do_normalize": False},
        videos_kwargs={"num_clips": 1},
    )
    expected = tokenize(processor, user(block("depth", media["depth"][0])))
    assert torch.allclose(inputs["depth_values"], expected["depth_values"])
    assert 0 <= inputs["pixel_values"].min() and inputs["pixel_values"].max() <= 1
    assert inputs["pixel_values_videos"].shape[1] == 3


def test_length_of_the_text_does_not_cut_the_sound(processor, media):
    chat = user(block("audio", media["audio"][0]), "What?")
    padded = tokenize(processor, chat, padding="max_length", truncation=True, max_length=40)
    assert padded["input_ids"].shape == (1, 40)
    assert torch.equal(padded["input_features"], tokenize(processor, chat)["input_features"])


def test_messages_of_the_caller_stay_as_they_are(processor, media):
    chat = user(
        {"type": "image_url", "image_url": {"url": "data:,x"}}, block("audio", media["audio"][0]), "a <image> b"
    )
    before = copy.deepcopy(chat)
    processor.apply_chat_template(chat)
    assert [list(item) for item in chat[0]["content"]] == [list(item) for item in before[0]["content"]]
    assert chat[0]["content"][2] == before[0]["content"][2]


# Inert text


@pytest.fixture(scope="module", params=["tiny", "llama_tokenizer", "llama_tokenizer/slow"])
def base_and_processor(request, make_processor):
    """A tokenizer without placeholders, and a processor that was made of a second copy."""
    if request.param == "tiny":
        folder = request.getfixturevalue("tiny") / "base_llama"
    else:
        folder = request.getfixturevalue("reference") / request.param
    return AutoTokenizer.from_pretrained(folder), make_processor(folder)


@pytest.mark.parametrize("as_string", [True, False])
@pytest.mark.parametrize("typed", [*PLACEHOLDERS, "<image><image>", "<<image>>", "x<imu>y", "<Img><video></Img>"])
def test_typed_placeholders_are_ordinary_text(base_and_processor, media, typed, as_string):
    base, processor = base_and_processor
    question = f"What does {typed} mean?"
    content = question if as_string else [{"type": "text", "text": question}]
    messages = [
        {"role": "system", "content": question},
        {"role": "user", "content": content},
        {"role": "assistant", "content": question},
        {"role": "user", "content": content},
    ]
    expected = base.encode(
        f"<s> {question}\n### Human: {question}\n### Assistant: {question}\n### Human: {question}\n### Assistant:",
        add_special_tokens=False,
    )
    inputs = tokenize(processor, messages)
    assert inputs["input_ids"].tolist() == [expected]
    assert "media_types" not in inputs


def test_typed_placeholder_beside_a_real_one(processor, media):
    inputs = tokenize(processor, user(block("image", media["image"][0]), "Is <image> <audio> a tag?"))
    assert inputs["media_types"].tolist() == [[1]]
    assert processor.decode(inputs["input_ids"][0]) == (
        "<s> ### Human: <Img><image> </Img> Is <image> <audio> a tag?\n### Assistant:"
    )
    assert (inputs["input_ids"] == processor.image_token_id).sum() == 1


def test_typed_placeholder_does_not_shift_the_mask(processor):
    messages = [*user("What is <image>?"), {"role": "assistant", "content": "A <video> tag."}]
    inputs = processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt", return_assistant_tokens_mask=True
    )
    answer = inputs["input_ids"][0][inputs["assistant_masks"][0].bool()]
    assert processor.tokenizer.decode(answer) == "A <video> tag.\n###"


def test_collapsed_slots_do_not_shift_the_mask(processor, media):
    pair = [block("image", media["image"][0]), block("audio", media["audio"][0])]
    messages = [*user(*pair, "First?", *pair, "Second?", *pair), {"role": "assistant", "content": "A dog."}]
    inputs = processor.apply_chat_template(
        [*messages, *messages],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        return_assistant_tokens_mask=True,
    )
    assert inputs["media_slots"].tolist() == [[1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]]
    answers = inputs["input_ids"][0][inputs["assistant_masks"][0].bool()]
    assert processor.tokenizer.decode(answers) == "A dog.\n### A dog.\n###"


def test_other_special_tokens_follow_the_library(processor):
    """As in the original, and as in transformers, `</s>` in a message ends a sequence unless it is sanitised."""
    eos = processor.tokenizer.eos_token_id
    assert eos in tokenize(processor, user("a </s> b"))["input_ids"]
    inputs = processor.apply_chat_template(
        user("a </s> <image> b"), tokenize=True, return_dict=True, return_tensors="pt", sanitize_control_tokens=True
    )
    assert eos not in inputs["input_ids"]
    assert processor.decode(inputs["input_ids"][0]).startswith("<s> ### Human: a </s> <image> b")


def test_inert_mark_is_gone_after_every_reload(processor, tmp_path):
    for _ in range(2):
        processor.save_pretrained(tmp_path)
        processor = PandaGPTProcessor.from_pretrained(tmp_path)
    assert INERT not in processor.tokenizer.decode(tokenize(processor, user("a <image> b"))["input_ids"][0])
    assert str(processor.tokenizer.backend_tokenizer.normalizer).count("Replace") == 1


# Errors


@pytest.mark.parametrize(
    "content, error, message",
    [
        ([{"type": "smell", "smell": 1}], ValueError, "block 0 of message 0 has the unknown type 'smell'"),
        (["x", {"type": "image"}], TypeError, "block 0 of message 0 must be a mapping with a type, got str"),
        ([{"text": "x"}], ValueError, "block 0 of message 0 has the unknown type"),
        ([{"type": "text"}], TypeError, "block 0 of message 0 must have a string under text"),
        ([{"type": "text", "text": "x"}, {"type": "image"}], ValueError, "block 1 of message 0 has no medium"),
        ([{"type": "image", "path": "a", "url": "b"}], ValueError, "gives its image several times, under path, url"),
        (
            [{"type": "input_audio", "input_audio": {}}],
            ValueError,
            "block 0 of message 0 has no data under",
        ),
        ([{"type": "video_url", "video_url": {}}], ValueError, "block 0 of message 0 has no url under video_url"),
        ([{"type": "imu", "path": "a.npy", "sampling_rate": 100}], ValueError, "block 0 of message 0 .*imu_kwargs"),
        (7, TypeError, "the content of message 0 must be a string or a list of blocks, got int"),
        ([{"type": "image", "image": "missing.png"}], ValueError, r"images\[0\] \('missing.png'\)"),
    ],
)
def test_bad_blocks(processor, content, error, message):
    with pytest.raises(error, match=message):
        tokenize(processor, [{"role": "user", "content": content}])


def test_error_names_the_message(processor):
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, *user("c", {"type": "pdf"})]
    with pytest.raises(ValueError, match="block 1 of message 2 has the unknown type 'pdf'"):
        processor.apply_chat_template(messages)


@pytest.mark.parametrize("conversation", [[], None, "hello"])
def test_no_conversation(processor, conversation):
    with pytest.raises(ValueError, match="expected a conversation"):
        processor.apply_chat_template(conversation)


@pytest.mark.parametrize(
    "text, images, message",
    [
        ("<image> <image>", 1, "2 <image> but 1 images"),
        ("no media", 1, "0 <image> but 1 images"),
        ("<image>", 0, "1 <image> but 0 images"),
        (["<image>", "none"], 2, "1 <image> but 2 images"),
        ("<image> <audio>", 2, "1 <image> but 2 images, 1 <audio> but 0 audio"),
    ],
)
def test_counts_that_differ(processor, media, text, images, message):
    with pytest.raises(ValueError, match=message):
        processor(text=text, images=[media["image"][0]] * images, return_tensors="pt")


def test_template_that_drops_media(processor, media):
    template = "{% for message in messages %}{{ message.content[-1].text }}{% endfor %}"
    with pytest.raises(ValueError, match="0 <image> but 1 images; a chat template .* drops them"):
        processor.apply_chat_template(
            user(block("image", media["image"][0]), "x"), chat_template=template, tokenize=True, return_dict=True
        )


def test_truncation_never_cuts_a_placeholder(processor, media):
    chat = user("A long question before the picture.", block("image", media["image"][0]), "And after it.")
    whole = tokenize(processor, chat)["input_ids"][0].tolist()
    slot = whole.index(processor.image_token_id)
    kept = tokenize(processor, chat, truncation=True, max_length=slot + 1)["input_ids"][0].tolist()
    assert kept == whole[: slot + 1]
    with pytest.raises(ValueError, match=r"text\[0\] has 1 placeholders, of which truncation .* leaves 0"):
        tokenize(processor, chat, truncation=True, max_length=slot)


def test_nothing_and_wrong_text(processor):
    with pytest.raises(ValueError, match="at least one of"):
        processor()
    with pytest.raises(ValueError, match="text is an empty list"):
        processor(text=[])
    with pytest.raises(TypeError, match="text must be a string or a list of strings, got int"):
        processor(text=3)
    with pytest.raises(TypeError, match=r"text\[1\] must be a string, got int"):
        processor(text=["a", 3])


def test_sound_of_a_video_is_not_heard_as_a_server_of_the_library_would_have_it(processor, media):
    conversation = user(block("video", media["video"][0]))
    without = processor.apply_chat_template(conversation, tokenize=True, return_dict=True)
    options = {"tokenize": True, "return_dict": True, "load_audio_from_video": True}
    inputs = processor.apply_chat_template(conversation, **options)
    assert inputs["input_ids"] == without["input_ids"] and "input_features" not in inputs


def test_construction_errors(processor, tiny):
    with pytest.raises(ValueError, match='"sum" or "concat", got \'mean\''):
        PandaGPTProcessor(tokenizer=processor.tokenizer, media_fusion="mean")
    with pytest.raises(ValueError, match="lacks <image> .*add_placeholder_tokens"):
        PandaGPTProcessor(tokenizer=AutoTokenizer.from_pretrained(tiny / "base_llama"))
    with pytest.raises(TypeError, match="video_processor must be a VideoProcessorMixin"):
        PandaGPTProcessor(tokenizer=processor.tokenizer, video_processor=processor.image_processor)
    with pytest.raises(TypeError, match="tokenizer"):
        PandaGPTProcessor()


# Tokens and decoding


def test_placeholder_tokens_follow_the_last_id(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny / "base_llama")
    base = len(tokenizer)
    PandaGPTProcessor.add_placeholder_tokens(tokenizer)
    PandaGPTProcessor.add_placeholder_tokens(tokenizer)
    assert tokenizer.convert_tokens_to_ids(list(PLACEHOLDERS)) == list(range(base, base + 6))
    assert (tokenizer.padding_side, tokenizer.pad_token) == ("left", tokenizer.eos_token)
    assert tokenizer.decode(tokenizer.encode("a <image> b"), skip_special_tokens=True) == "a  b"


def test_pad_token_of_the_base_is_kept(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny / "base_llama", pad_token="<unk>")
    PandaGPTProcessor.add_placeholder_tokens(tokenizer)
    assert tokenizer.pad_token == "<unk>"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("It is a dog.\n##", "It is a dog."),
        ("It is a dog.\n###", "It is a dog."),
        ("It is a dog.", "It is a dog."),
        ("It is a dog.\n", "It is a dog.\n"),
        ("It is a dog.\n## ", "It is a dog.\n## "),
        ("It is a dog. ##", "It is a dog. ##"),
        ("It is a dog.\n####", "It is a dog.\n####"),
        ("Yes.\n### Title\n##", "Yes.\n### Title"),
    ],
)
def test_decoding_drops_a_trailing_stop_marker_alone(processor, text, expected):
    ids = processor.tokenizer.encode(text, add_special_tokens=False)
    assert processor.decode(ids) == expected
    assert processor.batch_decode([ids, ids]) == [expected] * 2
    padded = torch.tensor([ids + [processor.tokenizer.eos_token_id]])
    assert processor.post_process_image_text_to_text(padded) == [expected]
    assert processor.post_process_multimodal_output(padded) == [expected]
    assert processor.batch_decode(padded) == [f"{text}</s>"]
    assert processor.batch_decode(padded, skip_special_tokens=True) == [expected]


# The library


def test_model_input_names(processor):
    assert set(processor.model_input_names) == {
        "input_ids",
        "attention_mask",
        "media_types",
        "media_slots",
        *(name for name, _ in OUTPUTS.values()),
    }
