# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""`pipeline("any-to-any")`, which the library offers with torchvision only, from folders with remote code."""

import json

import pytest
from outsider import run_as_outsider
from peft import LoraConfig, get_peft_model

from demo.untrained import build
from modeling_pandagpt.original_checkpoint_mapping import LORA_TARGETS


pytest.importorskip("torchvision", reason="torchvision is not installed: `make test-torchvision` has it")

READ = """
import json, logging, sys
from transformers import pipeline
from transformers.utils import logging as library_logging

examples, *folders = sys.argv[1:]
FILES = {"image": "picture.png", "video": "video.mp4", "audio": "sound.wav", "thermal": "thermal.png",
         "depth": "depth.npy", "imu": "motion.csv"}
logged = []
handler = logging.Handler()
handler.emit = lambda record: logged.append(record.getMessage()) if record.levelno >= logging.ERROR else None
library_logging.add_handler(handler)
options = {"max_new_tokens": 6, "do_sample": False}

def chat(text, *kinds):
    blocks = [{"type": kind, "path": f"{examples}/{FILES[kind]}"} for kind in kinds]
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": text}]}]

chats = [chat("What is this?", *FILES), chat("And this?", "imu", "depth"), chat("What is a panda?")]
answers = {}
for folder in folders:
    pipe = pipeline("any-to-any", model=folder, trust_remote_code=True)

    def answer(messages):
        inputs = pipe.processor.apply_chat_template(
            messages, tokenize=True, return_dict=True, add_generation_prompt=True, return_tensors="pt")
        ids = pipe.model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1]:]
        return pipe.processor.post_process_image_text_to_text(ids)[0].strip()

    expected = [answer(messages) for messages in chats]
    outputs = pipe(text=chats, return_full_text=False, generate_kwargs=options)
    assert [output[0]["generated_text"].strip() for output in outputs] == expected, (outputs, expected)
    alone = pipe(text=chats[0], generate_kwargs=options)
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
    adapter = get_peft_model(model, LoraConfig(target_modules=LORA_TARGETS, init_lora_weights=False))
    adapter.peft_config["default"].base_model_name_or_path = str(tmp_path / "model")
    adapter.save_pretrained(tmp_path / "adapter")
    processor.save_pretrained(tmp_path / "adapter")
    printed = run_as_outsider(READ, tmp_path, examples, tmp_path / "model", tmp_path / "adapter")
    (of_model, of_adapter), backends = json.loads(printed.splitlines()[-1])
    assert all(of_model) and of_adapter != of_model
    assert backends == ["PandaGPTDepthImageProcessor", "PandaGPTImageProcessor", "PandaGPTThermalImageProcessor"]
