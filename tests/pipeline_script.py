# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What the tests of pipelines share: the begin of an outsider's script, and an adapter to give it."""

import json
from pathlib import Path
from typing import Any

from example_files import FILES
from peft import LoraConfig, get_peft_model

from modeling_pandagpt.original_checkpoint_mapping import LORA_TARGETS


# Its arguments are the folder of examples and the folders of models. `answer` asks what `pipe` is built of.
READ = (
    f"FILES = {json.dumps(FILES)}"
    + """
import json, logging, sys
from transformers import pipeline
from transformers.utils import logging as library_logging

examples, *folders = sys.argv[1:]
logged = []
handler = logging.Handler()
handler.emit = lambda record: logged.append(record.getMessage()) if record.levelno >= logging.ERROR else None
library_logging.add_handler(handler)
generation = {"generate_kwargs": {"max_new_tokens": 6, "do_sample": False}}

def chat(text, *kinds):
    blocks = [{"type": kind, "path": f"{examples}/{FILES[kind]}"} for kind in kinds]
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": text}]}]

def answer(messages):
    inputs = pipe.processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, add_generation_prompt=True, return_tensors="pt")
    ids = pipe.model.generate(**inputs, **generation["generate_kwargs"])[:, inputs["input_ids"].shape[1]:]
    return pipe.processor.post_process_image_text_to_text(ids)[0].strip()
"""
)


def save_adapter(model: Any, processor: Any, base: Path, folder: Path) -> Any:
    """Gives a model random LoRA, and saves that with the processor as an adapter of `base`; returns PEFT's model."""
    adapter = get_peft_model(model, LoraConfig(target_modules=LORA_TARGETS, init_lora_weights=False))
    adapter.peft_config["default"].base_model_name_or_path = str(base)
    adapter.save_pretrained(folder)
    processor.save_pretrained(folder)
    return adapter
