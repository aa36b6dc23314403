# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Loads converted folders in a process that cannot import our source, and prints what came out as JSON.

Run as `python -I loads_anywhere.py FIXTURES MERGED BASE ADAPTER IMAGEBIND`, from an empty folder.
"""

import json
import sys


class RefuseOurSource:
    """Also where the project is installed in editable mode, it must not be what is imported."""

    def find_spec(self, name: str, path=None, target=None):
        if name.split(".")[0] in {"modeling_pandagpt", "processing", "pandagpt", "demo"}:
            raise ImportError(f"{name} was imported from the source")


sys.meta_path.insert(0, RefuseOurSource())

import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import (  # noqa: E402
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoProcessor,
)


CASES = ("batch3", "long", "multi", "single", "batch3_len400")


@torch.no_grad()
def largest_error(model, fixtures: str) -> float:
    """Against the logits that the original gave for its own embeddings, over all golden cases."""
    inference = load_file(f"{fixtures}/inference.safetensors")
    training = load_file(f"{fixtures}/train_forward.safetensors")
    errors = []
    for name, logits in inference.items():
        if name.endswith(".prompt_logits"):
            embeds = inference[name.replace("prompt_logits", "inputs_embeds")]
            errors.append((model(inputs_embeds=embeds).logits - logits).abs().max())
    for case in CASES:
        mask = training[f"{case}.full_attention_mask"]
        output = model(inputs_embeds=training[f"{case}.inputs_embeds"], attention_mask=mask)
        errors.append((output.logits - training[f"{case}.logits"])[mask.bool()].abs().max())
    return max(errors).item()


def main(fixtures: str, merged: str, base: str, adapter: str, imagebind: str) -> None:
    trust = {"trust_remote_code": True}
    found = {"config": type(AutoConfig.from_pretrained(merged, **trust)).__name__}
    for auto_class in (AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM):
        model = auto_class.from_pretrained(merged, **trust)
        found[auto_class.__name__] = type(model).__name__
    found["merged"] = largest_error(model.eval(), fixtures)
    found["adapter"] = largest_error(AutoModelForImageTextToText.from_pretrained(adapter, **trust).eval(), fixtures)
    bare = AutoModelForImageTextToText.from_pretrained(base, **trust).eval()
    found["base"] = largest_error(bare, fixtures)
    found["peft"] = largest_error(PeftModel.from_pretrained(bare, adapter).eval(), fixtures)
    for name, folder in {"merged": merged, "base": base, "adapter": adapter}.items():
        processor = AutoProcessor.from_pretrained(folder, **trust)
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]
        found[f"{name} prompt"] = processor.apply_chat_template(chat, add_generation_prompt=True)
    processor = AutoProcessor.from_pretrained(imagebind, **trust)
    with torch.no_grad():
        output = AutoModel.from_pretrained(imagebind, **trust)(**processor(text=["a", "b"], return_tensors="pt"))
    found["text_embeds"] = list(output.text_embeds.shape)
    found["sources"] = sorted(set(sys.modules) & {"modeling_pandagpt", "processing", "pandagpt"})
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
