# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""How much time and memory does a conversion at full size take, and how much does loading its result?

```bash
python benchmarks/convert_full_size.py           # imagebind_huge and LLaMA-7B: about 35 GB of disk, 20 GB of memory
python benchmarks/convert_full_size.py --small   # a trial of a minute
```

The checkpoints are random, in the form of 2023: float32 for ImageBind, float16 in two `.bin` shards for LLaMA, a delta
of rank 32. Each task runs in a process of its own, whose memory is sampled: `RssAnon` is what it holds itself; `VmRSS`
counts mapped files too, which the system takes back when somebody needs memory.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import typer
from transformers import LlamaConfig, LlamaForCausalLM


ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"

SIZES = {
    "7B": {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 11008},
    "small": {"hidden_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 8, "intermediate_size": 2816},
}
RANK = 32

LOAD = """
import sys, torch
from transformers import AutoModelForImageTextToText
model = AutoModelForImageTextToText.from_pretrained(sys.argv[1], dtype=torch.bfloat16, trust_remote_code=True)
assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
"""

PLAIN = """
import sys, torch
everything = [torch.load(file, weights_only=True) for file in sys.argv[1:]]
"""


class Filler:
    """Random tensors, quickly: all are cut out of one block of noise."""

    def __init__(self) -> None:
        self.block = torch.randn(1 << 24, generator=torch.Generator().manual_seed(0)) * 0.02

    def __call__(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        block, numel = self.block.to(dtype), torch.Size(shape).numel()
        return block.repeat(numel // len(block) + 1)[:numel].clone().view(shape)


def make_imagebind(folder: Path, small: bool, fill: Filler) -> list[str | Path]:
    """ImageBind's checkpoint, as arguments of the converter."""
    golden = FIXTURES / "imagebind_tiny"
    if small:
        return [
            "--imagebind",
            golden / "imagebind_tiny.pth",
            "--imagebind-config",
            golden / "imagebind_tiny_config.json",
        ]
    shapes = json.loads((golden / "imagebind_huge_keys.json").read_text())
    weights = {key: fill(shape, torch.float32) for key, shape in shapes.items()}
    mask = "modality_preprocessors.text.mask"
    weights[mask] = torch.full(shapes[mask], -torch.inf).triu(1)
    torch.save(weights, folder / "imagebind_huge.pth")
    return ["--imagebind", folder / "imagebind_huge.pth"]


def make_language_model(folder: Path, config: LlamaConfig, fill: Filler) -> None:
    """A LLaMA folder: two shards, their index, configuration, and a tokenizer (a small one of our own)."""
    folder.mkdir()
    config.save_pretrained(folder)
    for file in (FIXTURES / "pandagpt_tiny" / "base_llama").glob("*token*"):
        shutil.copy(file, folder)
    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in LlamaForCausalLM(config).state_dict().items()}
    keys, weight_map = list(shapes), {}
    for number, part in enumerate((keys[: len(keys) // 2], keys[len(keys) // 2 :]), start=1):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save({key: fill(shapes[key], torch.float16) for key in part}, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / "pytorch_model.bin.index.json").write_text(index)


def make_delta(file: Path, config: LlamaConfig, projection_dim: int, fill: Filler) -> None:
    """PandaGPT's delta."""
    size = config.hidden_size
    weights = {
        "llama_proj.weight": fill((size, projection_dim), torch.float32),
        "llama_proj.bias": fill((size,), torch.float32),
    }
    for layer in range(config.num_hidden_layers):
        for projection in "qkvo":
            module = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{projection}_proj"
            weights[f"{module}.lora_A.default.weight"] = fill((RANK, size), torch.float32)
            weights[f"{module}.lora_B.default.weight"] = fill((size, RANK), torch.float32)
    torch.save(weights, file)


def memory_of(process: subprocess.Popen) -> dict[str, int]:
    """`RssAnon` and `VmRSS` in bytes; nothing once the process has ended."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "VmRSS") if name in fields}


def measure(*arguments: str | Path) -> dict[str, float]:
    """Runs Python with these arguments; gives seconds and the peaks of its memory in bytes."""
    peaks: dict[str, float] = {"RssAnon": 0, "VmRSS": 0}
    start = time.perf_counter()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        for name, value in memory_of(process).items():
            peaks[name] = max(peaks[name], value)
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(f"{arguments[0]} ended with {process.returncode}")
    return {"seconds": time.perf_counter() - start, **peaks}


def size_of(files: Iterator[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def print_row(task: str, result: dict[str, float], weights: int) -> None:
    anonymous, resident = result["RssAnon"] / 1e9, result["VmRSS"] / 1e9
    ratio = result["RssAnon"] / weights
    print(
        f"| {task} | {weights / 1e9:.2f} | {result['seconds']:.0f} | {anonymous:.2f} | {ratio:.2f} | {resident:.2f} |",
        flush=True,
    )


def main(
    small: Annotated[bool, typer.Option("--small", help="A trial with a tenth of the layers.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where to put the temporary folder.")] = None,
) -> None:
    """Make random checkpoints, convert them, load the result, and print a table."""
    with TemporaryDirectory(dir=folder) as name:
        root, fill = Path(name), Filler()
        config = LlamaConfig(**SIZES["small" if small else "7B"], vocab_size=32000, dtype=torch.float16)
        sources = make_imagebind(root, small, fill)
        make_language_model(root / "llama", config, fill)
        make_delta(root / "pytorch_model.pt", config, 40 if small else 1024, fill)
        files = [Path(sources[1]), root / "pytorch_model.pt", *(root / "llama").glob("*.bin")]
        sources += ["--language-model", root / "llama", "--delta", root / "pytorch_model.pt"]

        print("| task | weights, GB | seconds | peak RssAnon, GB | of the weights | peak VmRSS, GB |")
        print("|---|---|---|---|---|---|")
        # Vicuna's delta has the names and shapes of LLaMA, so LLaMA stands in for it.
        merged = ("--vicuna-delta", root / "llama", "--output", root / "merged")
        result = measure("pandagpt.py", "convert", *sources, *merged)
        written = size_of((root / "merged").glob("*.safetensors"))
        print_row("convert, Vicuna's delta and LoRA merged", result, written)
        print_row("load the result in bfloat16", measure("-c", LOAD, root / "merged"), written)
        shutil.rmtree(root / "merged")
        output = ("--output", root / "base", "--adapter-output", root / "adapter")
        result = measure("pandagpt.py", "convert", *sources, *output)
        print_row("convert, base and adapter apart", result, size_of(root.glob("[ba]*/*.safetensors")))
        shutil.rmtree(root / "base")
        print_row("plain torch.load of everything", measure("-c", PLAIN, *files), size_of(iter(files)))


if __name__ == "__main__":
    typer.run(main)
