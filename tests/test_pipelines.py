# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The library's pipelines and its server, from a folder with remote code, in a process that lacks our source."""

import json

import pytest
from outsider import run_as_outsider
from pipeline_script import READ, save_adapter

from demo.untrained import build


READ_ONE = (
    READ
    + """
def texts(outputs):
    return [output[0]["generated_text"] for output in outputs]

pipe = pipeline("image-text-to-text", model=folders[0], trust_remote_code=True)
"""
)

ONE_AND_MANY = """
chats = [chat("What is this?", *FILES), chat("And this?", "imu", "depth"), chat("What is a panda?"),
         chat("Warm?", "thermal", "thermal")]
expected = [answer(messages) for messages in chats]
for given, wanted in zip(chats, expected):
    alone = pipe(given, return_full_text=False, **generation)
    assert alone[0]["generated_text"].strip() == wanted, (alone, wanted)
    full = pipe(given, **generation)[0]["generated_text"]
    assert full[:-1] == given and full[-1]["role"] == "assistant" and full[-1]["content"].strip() == wanted, full
assert [text.strip() for text in texts(pipe(chats, return_full_text=False, **generation))] == expected
assert not logged, logged
print(json.dumps(expected))
"""

BATCHES = """
first, second = "What is this?", "Hm, is this a warm one or is it a cold one, and is it near?"
def outcome(*kinds_of_rows):
    chats = [chat(text, *kinds) for text, kinds in zip((first, second), kinds_of_rows)]
    alone = texts(pipe(chats, return_full_text=False, **generation))
    try:
        together = texts(pipe(chats, batch_size=2, return_full_text=False, **generation))
    except ValueError as error:
        return f"raised: {error}"
    return "right" if together == alone else f"wrong: {together} for {alone}"

cases = {str(rows): outcome(*rows) for rows in [
    *[([kind], [kind]) for kind in FILES], *[([kind, kind], [kind]) for kind in FILES],
    ([], []), (["image", "audio"], ["audio", "image"]), (["thermal"] * 2, ["thermal"] * 2), (["imu"], ["depth"]),
    ([], ["image"]),
]}
print(json.dumps(cases))
"""


@pytest.fixture(scope="module")
def tiny():
    return build()


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline") / "model"
    for part in tiny:
        part.save_pretrained(folder)
    return folder


def test_pipeline_answers_about_all_six_kinds_alone_and_in_batches(folder, examples, tmp_path):
    printed = run_as_outsider(READ_ONE + ONE_AND_MANY + BATCHES, tmp_path, examples, folder).splitlines()
    answers, cases = map(json.loads, printed[-2:])
    assert len(answers) == 4 and all(answers)
    # The library's collation drops media of a row: there must be an error, or the answers of the single chats.
    assert not [case for case in cases.items() if case[1].startswith("wrong")], cases
    same_media = [f"(['{kind}'], ['{kind}'])" for kind in ("image", "video", "audio", "thermal", "depth", "imu")]
    assert all(cases[case] == "right" for case in [*same_media, "([], [])"]), cases


def test_pipeline_of_an_adapter(tiny, folder, examples, tmp_path):
    model, processor = build()
    adapter = save_adapter(model, processor, folder, tmp_path / "adapter")
    printed = run_as_outsider(READ_ONE + ONE_AND_MANY, tmp_path, examples, tmp_path / "adapter")
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": "What is a panda?"}],
        tokenize=True,
        return_dict=True,
        add_generation_prompt=True,
        return_tensors="pt",
    )
    answers = []
    for one in (adapter, tiny[0]):
        ids = one.generate(**inputs, max_new_tokens=6, do_sample=False)[:, inputs["input_ids"].shape[1] :]
        answers.append(processor.post_process_image_text_to_text(ids)[0].strip())
    assert json.loads(printed.splitlines()[-1])[2] == answers[0] != answers[1]
