# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""How long does remote code take to load?

```bash
python -m benchmarks.loading    # two minutes on two CPU cores
```

`from_pretrained` of model and processor in a fresh process, imports included: a tiny PandaGPT as remote code, against
a tiny LLaVA that the library knows.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from benchmarks.timing import measure, print_heading, print_row, print_table
from demo.untrained import build, build_tokenizer


LOAD = """
import sys
from transformers import AutoModelForImageTextToText, AutoProcessor
AutoModelForImageTextToText.from_pretrained(sys.argv[1], trust_remote_code=len(sys.argv) > 2)
AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=len(sys.argv) > 2)
"""


def write_llava(folder: Path) -> None:
    tokenizer = build_tokenizer()
    tokenizer.add_tokens("<image>", special_tokens=True)
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**size, image_size=28, patch_size=14, projection_dim=64),
        text_config=LlamaConfig(**size, vocab_size=len(tokenizer)),
        image_token_id=len(tokenizer) - 1,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(CLIPImageProcessorPil(), tokenizer, patch_size=14).save_pretrained(folder)


def main(
    turns: Annotated[int, typer.Option(min=1)] = 5,
    small: Annotated[bool, typer.Option("--small", help="A trial of one turn; the models are small anyway.")] = False,
) -> None:
    """Print a section of RESULTS.md."""
    turns = 1 if small else turns
    print_heading("Loading (`loading.py`)", f"python -m benchmarks.loading --turns {turns}{' --small' * small}")
    with TemporaryDirectory() as name:
        folder = Path(name)
        for part in build():
            part.save_pretrained(folder / "pandagpt")
        write_llava(folder / "llava")
        environment = os.environ | {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}

        def load(*arguments: str) -> None:
            command = [sys.executable, "-c", LOAD, *arguments]
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)

        seconds = measure({"ours": lambda: load("pandagpt", "remote"), "LLaVA": lambda: load("llava")}, turns)
    print_table()
    # At most 1.2 times as long is at least 0.83 times as fast.
    what = "tiny PandaGPT, remote code, fresh process"
    print_row(what, "tiny LLaVA", seconds["ours"], seconds["LLaVA"], round(1 / 1.2, 2))


if __name__ == "__main__":
    typer.run(main)
