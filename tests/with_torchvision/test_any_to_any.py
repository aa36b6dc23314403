# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""`pipeline("any-to-any")`, which the library offers with torchvision only, from folders with remote code."""

import json

import pytest
from outsider import run_as_outsider
from pipeline_script import READ, save_adapter

from demo.untrained import build


pytest.importorskip("torchvision", reason="torchvision is not installed: `make test-torchvision` has it")

ANY_TO_ANY = """
chats = [chat("What is this?", *FILES), chat("And this?", "imu", "depth"), chat("What is a panda?")]
answers = {}
for folder in folders:
    pipe = pipeline("any-to-any", model=folder, trust_remote_code=True)
    expected = [answer(messages) for messages in chats]
    outputs = pipe(text=chats, return_full_text=False, **generation)
    assert [output[0]["generated_text"].strip() for output in outputs] == expected, (outputs, expected)
    alone = pipe(text=chats[0], **generation)
    assert alone[0]["generated_text"][-1]["content"].strip() == expected[0], (alone, expected)
    answers[folder] = expected
backends = {type(getattr(pipe.processor, f"{kind}image_processor")).__name__ for kind in ("", "thermal_", "depth_")}
assert not logged, logged
print(json.dumps([list(answers.values()), sorted(backends)]))
"""


def test_it_answers_about_all_six_kinds_from_a_model_and_from_an_adapter(examples, tmp_path):
    model, processor = build()
    for part in (model, processor):
        part.save_pretrained(tmp_path / "model")
    save_adapter(model, processor, tmp_path / "model", tmp_path / "adapter")
    printed = run_as_outsider(READ + ANY_TO_ANY, tmp_path, examples, tmp_path / "model", tmp_path / "adapter")
    (of_model, of_adapter), backends = json.loads(printed.splitlines()[-1])
    assert all(of_model) and of_adapter != of_model
    assert backends == ["PandaGPTDepthImageProcessor", "PandaGPTImageProcessor", "PandaGPTThermalImageProcessor"]
