# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Does the picture encoder cost more than its arithmetic?

```bash
python -m benchmarks.encoders >> benchmarks/RESULTS.md
```

imagebind_huge's vision encoder with random weights, against `CLIPVisionModel` of the same size (ViT-H/14, sdpa),
against its matrix products alone, and in bfloat16 against itself in float32.
"""

from typing import Annotated

import torch
import typer
from transformers import CLIPVisionConfig, CLIPVisionModel

from benchmarks.timing import measure, print_heading, print_row, print_table
from modeling_pandagpt import ImageBindConfig, ImageBindModel


def products_alone(encoder: torch.nn.Module, pictures: int) -> None:
    """The products of weights and of attention, without anything between them."""
    config = encoder.config
    tokens = (config.image_size // config.patch_size) ** 2 + 1
    narrow = torch.ones(pictures * tokens, config.hidden_size)
    wide = torch.ones(pictures * tokens, config.intermediate_size)
    heads = torch.ones(pictures * config.num_attention_heads, tokens, config.hidden_size // config.num_attention_heads)
    for layer in encoder.layers:
        attention = layer.attention
        for linear in (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj, layer.mlp.fc1):
            narrow @ linear.weight.T
        wide @ layer.mlp.fc2.weight.T
        heads @ heads.transpose(1, 2) @ heads


def main(
    turns: Annotated[int, typer.Option(min=1)] = 5,
    layers: Annotated[int, typer.Option(min=1, help="Fewer than 32 make a trial.")] = 32,
) -> None:
    """Print a section of RESULTS.md."""
    torch.manual_seed(0)
    config = ImageBindConfig(modalities=["vision"])
    config.vision_config.num_hidden_layers = layers
    model = ImageBindModel(config).eval()
    encoder = model.get_modality_encoder("vision")
    size = {"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 16, "projection_dim": 1024}
    clip_config = CLIPVisionConfig(**size, num_hidden_layers=layers, patch_size=14, hidden_act="gelu")
    compared = CLIPVisionModel._from_config(clip_config, attn_implementation="sdpa").eval()

    print_heading(
        "Picture encoder (`encoders.py`)", f"python -m benchmarks.encoders --turns {turns} --layers {layers}"
    )
    print_table()
    with torch.inference_mode():
        for pictures in (1, 8):
            pixels = torch.randn(pictures, 3, 224, 224)
            what = f"{pictures} picture{'s' * (pictures > 1)}, float32"

            def ours(pixels: torch.Tensor = pixels) -> torch.Tensor:
                return model.encode("vision", pixels).pooler_output

            pair = measure(ours, lambda pixels=pixels: compared(pixels), turns)
            print_row(what, "`CLIPVisionModel`", pair, 0.97)
            pair = measure(ours, lambda pictures=pictures: products_alone(encoder, pictures), turns)
            print_row(what, "matrix products alone", pair, 0.8)
        picture = torch.randn(1, 3, 224, 224)
        exact = model.encode("vision", picture).pooler_output
        # Both at once, since they are measured in turn.
        half = ImageBindModel(config).eval()
        half.load_state_dict(model.state_dict())
        half = half.to(torch.bfloat16)
        for pictures in (1, 8):
            pixels = torch.randn(pictures, 3, 224, 224)
            pair = measure(
                lambda pixels=pixels: half.encode("vision", pixels),
                lambda pixels=pixels: model.encode("vision", pixels),
                turns,
            )
            print_row(f"{pictures} picture{'s' * (pictures > 1)}, bfloat16", "float32", pair, 2.5)
        rounded = half.encode("vision", picture).pooler_output.float()
    cosine = torch.nn.functional.cosine_similarity(rounded, exact).item()
    print(f"\nCosine of the bfloat16 embedding to the float32 one: {cosine:.5f} (target: at least 0.999).")


if __name__ == "__main__":
    typer.run(main)
