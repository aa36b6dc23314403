# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Does the picture encoder cost more than its arithmetic?

```bash
python -m benchmarks.encoders            # eight minutes on two CPU cores
python -m benchmarks.encoders --small    # a trial
```

imagebind_huge's vision encoder with random weights, against `CLIPVisionModel` of the same size (ViT-H/14, sdpa),
against its matrix products alone, and in bfloat16 against itself in float32. What bfloat16 could gain at most on this
processor stands below it: the products alone, and `CLIPVisionModel`, in both types.
"""

from collections.abc import Callable
from typing import Annotated, Any

import torch
import typer
from transformers import CLIPVisionConfig, CLIPVisionModel

from benchmarks.timing import measure, print_heading, print_row, print_table, untrained
from modeling_pandagpt import ImageBindConfig, ImageBindModel
from pandagpt import multiplies_bfloat16


# Layers, width, width within the MLP, heads.
FULL, SMALL = (32, 1280, 5120, 16), (1, 320, 1280, 4)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def products_alone(encoder: torch.nn.Module, pictures: int) -> None:
    """The products of weights and of attention, without anything between them."""
    config, dtype = encoder.config, encoder.dtype
    tokens = (config.image_size // config.patch_size) ** 2 + 1
    narrow = torch.ones(pictures * tokens, config.hidden_size, dtype=dtype)
    wide = torch.ones(pictures * tokens, config.intermediate_size, dtype=dtype)
    heads = narrow.view(pictures * config.num_attention_heads, tokens, -1)
    for layer in encoder.layers:
        attention = layer.attention
        for linear in (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj, layer.mlp.fc1):
            narrow @ linear.weight.T
        wide @ layer.mlp.fc2.weight.T
        heads @ heads.transpose(1, 2) @ heads


def build(layers: int, width: int, wide: int, heads: int) -> dict[str, dict[str, Any]]:
    """Our encoder and CLIP's of the same size, in both types."""
    size = {"num_hidden_layers": layers, "hidden_size": width, "intermediate_size": wide, "num_attention_heads": heads}
    config = ImageBindConfig(modalities=["vision"], vision_config=size)
    clip_config = CLIPVisionConfig(**size, patch_size=14, hidden_act="gelu")
    builders: dict[str, Callable[[], Any]] = {
        "ours": lambda: ImageBindModel(config),
        "CLIP": lambda: CLIPVisionModel._from_config(clip_config, attn_implementation="sdpa"),
    }
    models: dict[str, dict[str, Any]] = {}
    for name, builder in builders.items():
        torch.manual_seed(0)
        exact, rounded = untrained(builder), untrained(builder)
        rounded.load_state_dict(exact.state_dict())
        models[name] = {"float32": exact, "bfloat16": rounded.to(torch.bfloat16)}
    return models


def compare(models: dict[str, dict[str, Any]], pictures: int, turns: int) -> None:
    """The lines of the table about so many pictures at once."""
    pixels = torch.randn(pictures, 3, 224, 224)
    runs: dict[str, Callable[[], Any]] = {}
    for name, dtype in DTYPES.items():
        ours, clip, given = models["ours"][name], models["CLIP"][name], pixels.to(dtype)
        runs[f"ours {name}"] = lambda ours=ours, given=given: ours.encode("vision", given)
        runs[f"CLIP {name}"] = lambda clip=clip, given=given: clip(given)
        runs[f"products {name}"] = lambda ours=ours: products_alone(ours.vision_model, pictures)
    # Eight pictures take long enough to warm themselves up.
    seconds = measure(runs, turns, warm_up=pictures == 1)
    what = f"{pictures} picture{'s' * (pictures > 1)}"
    target = 2.5 if multiplies_bfloat16() else None
    print_row(f"{what}, float32", "`CLIPVisionModel`", seconds["ours float32"], seconds["CLIP float32"], 0.97)
    print_row(f"{what}, float32", "products alone", seconds["ours float32"], seconds["products float32"], 0.8)
    print_row(f"{what}, bfloat16", "float32", seconds["ours bfloat16"], seconds["ours float32"], target)
    print_row(f"{what}, bfloat16", "`CLIPVisionModel`, bfloat16", seconds["ours bfloat16"], seconds["CLIP bfloat16"])
    print_row(f"`CLIPVisionModel`, {what}, bfloat16", "float32", seconds["CLIP bfloat16"], seconds["CLIP float32"])
    print_row(
        f"products alone, {what}, bfloat16", "float32", seconds["products bfloat16"], seconds["products float32"]
    )


def main(
    turns: Annotated[int, typer.Option(min=1)] = 5,
    small: Annotated[bool, typer.Option("--small", help="A trial with smaller models.")] = False,
) -> None:
    """Print a section of RESULTS.md."""
    command = f"python -m benchmarks.encoders --turns {turns}{' --small' * small}"
    print_heading("Picture encoder (`encoders.py`)", command)
    models = build(*(SMALL if small else FULL))
    print_table()
    with torch.inference_mode():
        for pictures in (1, 8):
            compare(models, pictures, turns)
        picture = torch.randn(1, 3, 224, 224)
        exact, rounded = (model.encode("vision", picture).pooler_output.float() for model in models["ours"].values())
    cosine = torch.nn.functional.cosine_similarity(rounded, exact).item()
    print(f"\nCosine of the bfloat16 embedding to the float32 one: {cosine:.5f} (target: at least 0.999).")


if __name__ == "__main__":
    typer.run(main)
