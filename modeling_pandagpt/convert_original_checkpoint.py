# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Turn the original checkpoints into folders for the Hub.

One merged model, out of ImageBind, Vicuna v0 (as LLaMA and its delta) and PandaGPT's delta:

```bash
pandagpt convert --imagebind imagebind_huge.pth --language-model llama-7b --vicuna-delta lmsys/vicuna-7b-delta-v0 \
    --delta pytorch_model.pt --output pandagpt-7b
```

The same as a base and a PEFT adapter; a base for new training, with a fresh projector; and ImageBind alone:

```bash
pandagpt convert --imagebind imagebind_huge.pth --language-model vicuna-7b-v0 --delta pytorch_model.pt \
    --output pandagpt-7b-base --adapter-output pandagpt-7b-adapter
pandagpt convert --imagebind imagebind_huge.pth --language-model Qwen/Qwen2.5-7B-Instruct --output pandagpt-qwen-base
pandagpt convert --imagebind imagebind_huge.pth --output imagebind-huge
```

Notable:
- Everything is checked before anything large is written; `original_checkpoint_mapping.py` says what goes where.
- Weights are read from mapped files and written a shard at a time, so a shard is all the memory that is needed.
- A folder gets its name when it is complete. What an interrupted run leaves is hidden and ends in `.partial`.
- All weights have one type, by default the language model's own (float16 for LLaMA as it came, in which the original
  ran too); ImageBind alone stays as it is. The adapter keeps the delta's.
"""

import json
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import torch
import typer
from huggingface_hub import snapshot_download, split_torch_state_dict_into_shards
from huggingface_hub.utils import logging
from peft import LoraConfig
from safetensors.torch import save_file
from tqdm import tqdm
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PreTrainedConfig, PreTrainedModel
from transformers.dynamic_module_utils import custom_object_save

import processing

from .configuration_pandagpt import (
    MEDIA_TYPES,
    MODALITIES,
    ORIGINAL_MODALITY_SCALES,
    PandaGPTConfig,
)
from .modeling_imagebind import ImageBindModel
from .modeling_pandagpt import PandaGPTForConditionalGeneration
from .original_checkpoint_mapping import (
    LANGUAGE_MODEL,
    LORA_TARGETS,
    VOCABULARY_HINT,
    LazyTensor,
    add_delta,
    dtype_of,
    match_delta,
    match_imagebind,
    match_language_model,
    merge_lora,
    open_checkpoint,
    read_imagebind_config,
)


CHAT_TEMPLATES = Path(processing.__file__).parent / "chat_templates"

DEFAULT_CLIP_TOKENIZER = "openai/clip-vit-base-patch32"

# What ends an answer, by what is in the chat template.
STOP_PIECES = {"###": "##", "<|im_end|>": "<|im_end|>"}


def convert_imagebind(
    imagebind: Path,
    output: Path,
    imagebind_config: Path | None = None,
    clip_tokenizer: str = DEFAULT_CLIP_TOKENIZER,
    modalities: list[str] | None = None,
    dtype: torch.dtype | None = None,
    max_shard_size: str = "2GB",
) -> None:
    """
    Writes a Hub folder of [`ImageBindModel`] and [`ImageBindProcessor`].

    Args:
        imagebind (`Path`):
            The original's checkpoint.
        output (`Path`):
            The folder to write, which must not exist, or be empty.
        imagebind_config (`Path`, *optional*, defaults to that of imagebind_huge):
            JSON of the original's constructor arguments.
        clip_tokenizer (`str`, *optional*, defaults to `"openai/clip-vit-base-patch32"`):
            A folder, a Hub id or CLIP's BPE file (`bpe_simple_vocab_16e6.txt.gz`, which ImageBind ships).
        modalities (`list[str]`, *optional*, defaults to all six):
            The encoders to convert.
        dtype (`torch.dtype`, *optional*):
            Type of the weights; their own when `None`.
        max_shard_size (`str`, *optional*, defaults to `"2GB"`):
            The largest file, and about the memory that is needed.

    Raises:
        ValueError: when the checkpoint or tokenizer does not fit or `output` holds something already.
    """
    from processing.processing_imagebind import ImageBindProcessor

    config = read_imagebind_config(imagebind_config, modalities or list(MODALITIES))
    model = build_on_meta(ImageBindModel, config)
    tensors = match_imagebind(open_checkpoint(imagebind), shapes_of(model), absent_modalities(model))
    processor = ImageBindProcessor(tokenizer=load_clip_tokenizer(clip_tokenizer, config.text_config.vocab_size))
    with finished_folder(output) as folder:
        write_model(model, tensors, dtype or dtype_of(tensors), folder, max_shard_size)
        processor.save_pretrained(folder)


def convert_pandagpt(
    imagebind: Path,
    language_model: str,
    output: Path,
    vicuna_delta: str | None = None,
    delta: Path | None = None,
    adapter_output: Path | None = None,
    imagebind_config: Path | None = None,
    lora_r: int = 32,
    lora_alpha: int = 32,
    chat_template: str | None = None,
    modalities: list[str] | None = None,
    dtype: torch.dtype | None = None,
    max_shard_size: str = "2GB",
) -> None:
    """
    Writes a Hub folder of [`PandaGPTForConditionalGeneration`] and [`PandaGPTProcessor`], or two: base and adapter.

    Args:
        imagebind (`Path`):
            ImageBind's checkpoint.
        language_model (`str`):
            Folder or Hub id of LLaMA, Vicuna or another causal language model.
        output (`Path`):
            The folder to write, which must not exist, or be empty.
        vicuna_delta (`str`, *optional*):
            Folder or Hub id of what is added to LLaMA. Configuration and tokenizer are then its.
        delta (`Path`, *optional*):
            PandaGPT's `pytorch_model.pt`. The projector is fresh without it, from a fixed seed.
        adapter_output (`Path`, *optional*):
            The folder for LoRA and projector, as an adapter of the base in `output`. LoRA is merged when `None`.
        imagebind_config (`Path`, *optional*, defaults to that of imagebind_huge):
            JSON of the original's constructor arguments.
        lora_r, lora_alpha (`int`, *optional*, defaults to 32):
            Rank and scale of the delta's LoRA.
        chat_template (`str`, *optional*):
            A name among `processing/chat_templates`, or a file. By the vocabulary when `None`.
        modalities (`list[str]`, *optional*, defaults to all but text):
            The encoders to convert.
        dtype (`torch.dtype`, *optional*):
            Type of all weights; that of the language model when `None`.
        max_shard_size (`str`, *optional*, defaults to `"2GB"`):
            The largest file, and about the memory that is needed.

    Raises:
        ValueError: when checkpoints, vocabulary and configuration do not fit, or a folder holds something already.
    """
    if adapter_output:
        check_adapter_output(output, adapter_output, delta)
    language_folder = local_folder(language_model, "--language-model")
    delta_folder = local_folder(vicuna_delta, "--vicuna-delta") if vicuna_delta else None
    described = delta_folder or language_folder
    text_config = read_text_config(described, "--vicuna-delta" if delta_folder else "--language-model")
    text_config.name_or_path = ""  # a path of this machine says nothing on the Hub
    processor = build_processor(described, text_config.vocab_size, chat_template)
    config = PandaGPTConfig(
        imagebind_config=read_imagebind_config(imagebind_config, modalities or PandaGPTConfig().modalities),
        text_config=text_config,
        modality_scales=ORIGINAL_MODALITY_SCALES if delta else None,
        **{f"{name}_token_id": getattr(processor, f"{name}_token_id") for name in MEDIA_TYPES},
    )
    model = build_on_meta(PandaGPTForConditionalGeneration, config)
    model.generation_config = build_generation_config(described, config, processor)

    tensors = gather_language_model(model, language_folder, delta_folder)
    dtype = dtype or dtype_of(tensors)
    tensors |= gather_imagebind(model, imagebind) | fresh_projector(config)
    prefix = model.model.language_model.base_model_prefix
    adapter = match_delta(open_checkpoint(delta), shapes_of(model), prefix, lora_r) if delta else {}
    if not adapter_output:
        tensors = merge_adapter(tensors, adapter, lora_alpha / lora_r)

    with (
        finished_folder(output) as folder,
        finished_folder(adapter_output) if adapter_output else nullcontext() as adapter_folder,
    ):
        write_model(model, tensors, dtype, folder, max_shard_size)
        processor.save_pretrained(folder)
        if adapter_folder:
            write_adapter(adapter, str(output.absolute()), lora_r, lora_alpha, adapter_folder)
            processor.save_pretrained(adapter_folder)


def check_adapter_output(output: Path, adapter_output: Path, delta: Path | None) -> None:
    """Raises `ValueError` when there is no adapter to write, or when it and its base would lie in each other."""
    if delta is None:
        raise ValueError(f"--adapter-output {adapter_output} needs --delta: without it there is no adapter to write.")
    base, adapter = output.absolute(), adapter_output.absolute()
    if base == adapter or base in adapter.parents or adapter in base.parents:
        raise ValueError(f"--output {output} and --adapter-output {adapter_output} must lie apart from each other.")


def local_folder(name: str, option: str) -> Path:
    """The folder of that name, or the Hub's model, fetched. Raises `ValueError` when there is neither."""
    if Path(name).is_dir():
        return Path(name)
    try:
        described = ["*.json", "*.model", "*.txt", "*.jinja"]
        folder = Path(snapshot_download(name, allow_patterns=[*described, "*.safetensors"], ignore_patterns="*/*"))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=[*described, "*.bin"], ignore_patterns="*/*"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{option} {name} is neither a folder nor a model that the Hub gives: {error}") from error
    return folder


def load_clip_tokenizer(source: str, vocabulary_size: int) -> Any:
    """
    CLIP's tokenizer out of a folder, the Hub, or the BPE file that ImageBind ships.
    Raises `ValueError` for another's: the text encoder reads its answer at the highest id, the end token's in CLIP.
    """
    from processing.processing_imagebind import clip_tokenizer_from_bpe

    try:
        tokenizer: Any = (
            clip_tokenizer_from_bpe(source)
            if Path(source).is_file()
            else AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        )
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise ValueError(
            f"--clip-tokenizer {source} cannot be read. Give CLIP's bpe_simple_vocab_16e6.txt.gz, which ImageBind "
            f"ships, or a folder or Hub id such as {DEFAULT_CLIP_TOKENIZER}. ({error})"
        ) from error
    vocabulary = tokenizer.get_vocab()
    last = max(vocabulary.values())
    if "<|startoftext|>" not in vocabulary or vocabulary.get("<|endoftext|>") != last or last >= vocabulary_size:
        raise ValueError(
            f"--clip-tokenizer {source} is not CLIP's: expected <|startoftext|>, <|endoftext|> with the highest id, "
            f"and ids below {vocabulary_size}; got the highest id {last} ({tokenizer.convert_ids_to_tokens(last)!r})."
        )
    return tokenizer


def read_text_config(folder: Path, option: str) -> Any:
    """A language model's own configuration. Raises `ValueError`, which names the option, where there is none."""
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{option} {folder} has no config.json of a known language model: {error}") from error


def build_processor(folder: Path, vocabulary_size: int, chat_template: str | None) -> Any:
    """
    The processor around a language model's tokenizer, to which the placeholders are added.
    Raises `ValueError` when the tokenizer has more tokens than the language model, or is one that would be misread.
    """
    from processing.processing_pandagpt import PandaGPTProcessor

    settings = folder / "tokenizer_config.json"
    if settings.is_file() and "LLaMATokenizer" in settings.read_text():
        raise ValueError(
            f"{settings} is of the first conversions of LLaMA, whose tokenizer would now give other ids without a "
            'warning. Correct "tokenizer_class" to "LlamaTokenizer", "bos_token" to "<s>", "eos_token" to "</s>" and '
            '"unk_token" to "<unk>".'
        )
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    last = max(tokenizer.get_vocab().values())
    if last >= vocabulary_size:
        raise ValueError(
            f"{folder}: the tokenizer's ids reach {last} ({tokenizer.convert_ids_to_tokens(last)!r}), but config.json "
            f"says a vocabulary of {vocabulary_size}. {VOCABULARY_HINT}"
        )
    PandaGPTProcessor.add_placeholder_tokens(tokenizer)
    return PandaGPTProcessor(tokenizer=tokenizer, chat_template=read_chat_template(chat_template, tokenizer))


def read_chat_template(choice: str | None, tokenizer: Any) -> str:
    """
    A chat template's source. Without a `choice`, ChatML where the vocabulary has `<|im_start|>`, else the original's.
    Raises `ValueError` when `choice` is neither a known name nor a file.
    """
    if choice is None:
        choice = "chatml" if "<|im_start|>" in tokenizer.get_vocab() else "vicuna_v0"
    known = {file.stem: file for file in sorted(CHAT_TEMPLATES.glob("*.jinja"))}
    file = known.get(choice, Path(choice))
    if not file.is_file():
        raise ValueError(f"--chat-template {choice} is neither one of {list(known)} nor a file.")
    return file.read_text()


def build_generation_config(folder: Path, config: Any, processor: Any) -> GenerationConfig:
    """
    The ids that begin, end and pad an answer, and those that can never be in one. What the language model's own
    repository says about sampling is not taken over: its temperature was chosen for another model.
    """
    if (folder / "generation_config.json").is_file():
        own = GenerationConfig.from_pretrained(folder)
    else:
        own = GenerationConfig.from_model_config(config.text_config)
    tokenizer, vocabulary = processor.tokenizer, processor.tokenizer.get_vocab()
    ends = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    stops = [vocabulary.get(piece) for mark, piece in STOP_PIECES.items() if mark in processor.chat_template]
    return GenerationConfig(
        bos_token_id=own.bos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id,
        eos_token_id=[i for i in dict.fromkeys([*ends, tokenizer.eos_token_id, *stops]) if i is not None],
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=[i for i in config.placeholder_token_ids if i < config.text_config.vocab_size] or None,
    )


def build_on_meta(model_class: type[PreTrainedModel], config: PreTrainedConfig) -> Any:
    """The model without memory for its weights."""
    with torch.device("meta"):
        return model_class(config)


def shapes_of(model: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what is saved of a model: tied weights once."""
    tied = model.all_tied_weights_keys
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if name not in tied}


def gather_language_model(
    model: PandaGPTForConditionalGeneration, folder: Path, delta_folder: Path | None
) -> dict[str, LazyTensor]:
    """
    The language model's tensors, with Vicuna's delta added where there is one.
    Raises `ValueError` when they do not fit the model, or the delta has fewer tokens than what it is added to.
    """
    config: Any = model.config
    shapes = {name: s for name, s in shapes_of(model).items() if name.startswith((LANGUAGE_MODEL, "lm_head."))}
    size, own_size = config.text_config.vocab_size, read_text_config(folder, "--language-model").vocab_size
    if own_size > size:
        raise ValueError(
            f"--vicuna-delta {delta_folder} has a vocabulary of {size}, less than that of --language-model {folder}, "
            f"{own_size}. {VOCABULARY_HINT}"
        )

    def gather(source: Path, vocabulary_size: int) -> dict[str, LazyTensor]:
        prefix = model.model.language_model.base_model_prefix
        return match_language_model(
            open_checkpoint(source), shapes, prefix, vocabulary_size, config.tie_word_embeddings
        )

    tensors = gather(folder, own_size)
    if delta_folder is None:
        return tensors
    differences = gather(delta_folder, size)
    return {name: add_delta(tensor, differences[name]) for name, tensor in tensors.items()}


def gather_imagebind(model: PandaGPTForConditionalGeneration, file: Path) -> dict[str, LazyTensor]:
    """ImageBind's tensors, by their names in PandaGPT. Raises `ValueError` when they do not fit the model."""
    matched = match_imagebind(open_checkpoint(file), shapes_of(model.model.imagebind), absent_modalities(model))
    return {f"model.imagebind.{name}": tensor for name, tensor in matched.items()}


def absent_modalities(model: Any) -> list[str]:
    """The modalities that a model has no encoder for."""
    return [name for name in MODALITIES if name not in model.config.modalities]


def fresh_projector(config: Any) -> dict[str, LazyTensor]:
    """The projector as a new model has it, from a fixed seed."""
    shape = (config.text_config.hidden_size, config.imagebind_config.projection_dim)
    generator = torch.Generator().manual_seed(0)
    weight = torch.empty(shape).normal_(std=config.initializer_range, generator=generator)
    bias = torch.zeros(shape[0])
    return {
        "model.projector.weight": LazyTensor(shape, weight.dtype, lambda: weight),
        "model.projector.bias": LazyTensor((shape[0],), bias.dtype, lambda: bias),
    }


def merge_adapter(
    tensors: dict[str, LazyTensor], adapter: dict[str, LazyTensor], scaling: float
) -> dict[str, LazyTensor]:
    """The tensors with the adapter's projector, and its LoRA added to the projections."""
    merged = tensors | {name: tensor for name, tensor in adapter.items() if ".lora_" not in name}
    for name in adapter:
        if name.endswith(".lora_A.weight"):
            module = name.removesuffix(".lora_A.weight")
            weight, lora_b = tensors[f"{module}.weight"], adapter[f"{module}.lora_B.weight"]
            merged[f"{module}.weight"] = merge_lora(weight, adapter[name], lora_b, scaling)
    return merged


@contextmanager
def finished_folder(path: Path) -> Iterator[Path]:
    """
    Gives a folder beside `path` that takes its name when the block has ended well, and is removed when it has not.
    Raises `ValueError` when `path` is a file or a folder that is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"{path} exists already and is not an empty folder.")
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}.", suffix=".partial", dir=path.absolute().parent) as parent:
        # Temporary folders are closed to others; one made within has the usual permissions.
        folder = Path(parent) / path.name
        folder.mkdir()
        yield folder
        if path.exists():
            path.rmdir()
        folder.rename(path)


def write_model(
    model: PreTrainedModel,
    tensors: dict[str, LazyTensor],
    dtype: torch.dtype,
    folder: Path,
    max_shard_size: str,
) -> None:
    """Writes configuration, code and weights, as `model.save_pretrained` would if it held the weights."""
    config: Any = model.config
    config.architectures = [type(model).__name__]
    config.dtype = dtype
    custom_object_save(model, folder, config=config)
    config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)
    write_weights(tensors, dtype, folder, max_shard_size)


def write_weights(tensors: dict[str, LazyTensor], dtype: torch.dtype, folder: Path, max_shard_size: str) -> None:
    """Writes `model.safetensors`, or its shards and their index. Raises `ValueError` as [`cast`]."""
    empty = {name: torch.empty(tensor.shape, dtype=dtype, device="meta") for name, tensor in tensors.items()}
    plan = split_torch_state_dict_into_shards(
        empty, filename_pattern="model{suffix}.safetensors", max_shard_size=max_shard_size
    )
    with tqdm(total=plan.metadata["total_size"], unit="B", unit_scale=True, desc="Writing weights") as bar:
        for file, names in plan.filename_to_tensors.items():
            shard = {}
            for name in names:
                shard[name] = cast(name, tensors[name].read(), dtype)
                bar.update(shard[name].nbytes)
            save_shard(shard, folder / file)
            del shard
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def save_shard(tensors: dict[str, torch.Tensor], file: Path) -> None:
    """Writes one file of weights with the permissions that new files have; safetensors closes its own to others."""
    file.touch()
    mode = file.stat().st_mode
    save_file(tensors, file, metadata={"format": "pt"})
    file.chmod(mode)


def cast(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The tensor in another type. Raises `ValueError` when it has values that do not fit in there."""
    result = tensor.to(dtype)
    if result.dtype != tensor.dtype and not result.isfinite().all():
        raise ValueError(
            f"{name} has values (up to {tensor.abs().max():.3g}) that {dtype} cannot hold: choose another --dtype. If "
            "they are no numbers at all, the checkpoint is damaged."
        )
    return result.contiguous()


def write_adapter(adapter: dict[str, LazyTensor], base: str, rank: int, alpha: int, folder: Path) -> None:
    """Writes LoRA and projector as PEFT does."""
    LoraConfig(
        base_model_name_or_path=base,
        task_type="CAUSAL_LM",
        inference_mode=True,
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.1,
        target_modules=LORA_TARGETS,
        modules_to_save=["projector"],
    ).save_pretrained(str(folder))
    weights = {f"base_model.model.{name}": tensor.read().contiguous() for name, tensor in adapter.items()}
    save_shard(weights, folder / "adapter_model.safetensors")


app = typer.Typer(add_completion=False)


@app.command()
def convert(
    imagebind: Annotated[Path, typer.Option(exists=True, help="ImageBind's checkpoint, such as imagebind_huge.pth.")],
    output: Annotated[Path, typer.Option(help="Folder to write: new, or empty.")],
    language_model: Annotated[
        str | None,
        typer.Option(
            metavar="DIR_OR_ID", help="LLaMA, Vicuna or another causal language model. ImageBind alone without."
        ),
    ] = None,
    vicuna_delta: Annotated[
        str | None, typer.Option(metavar="DIR_OR_ID", help="What Vicuna adds to LLaMA, of the same size.")
    ] = None,
    delta: Annotated[
        Path | None,
        typer.Option(
            exists=True, help="PandaGPT's pytorch_model.pt (LoRA and projector). The projector is fresh without."
        ),
    ] = None,
    adapter_output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for LoRA and projector as a PEFT adapter; --output is its base then. Merged without."
        ),
    ] = None,
    imagebind_config: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="JSON of ImageBind's constructor arguments, for other sizes than imagebind_huge.",
        ),
    ] = None,
    lora_r: Annotated[int, typer.Option(min=1, help="Rank of the delta's LoRA.")] = 32,
    lora_alpha: Annotated[int, typer.Option(min=1, help="Scale of the delta's LoRA: alpha / r.")] = 32,
    clip_tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="DIR_OR_ID_OR_BPE_FILE",
            help="Text vocabulary of ImageBind alone, such as the bpe_simple_vocab_16e6.txt.gz that ImageBind ships; "
            f"{DEFAULT_CLIP_TOKENIZER} from the Hub without.",
        ),
    ] = None,
    chat_template: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_FILE",
            help="chatml, vicuna_v0 or a Jinja file. Without: chatml if there is an <|im_start|>, else vicuna_v0.",
        ),
    ] = None,
    modalities: Annotated[
        str | None,
        typer.Option(
            help=f"Encoders to convert, of {','.join(MODALITIES)}. Without: all; with a language model not text."
        ),
    ] = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="Type of all weights; auto is the language model's own, or that of ImageBind alone."),
    ] = "auto",
    max_shard_size: Annotated[
        str, typer.Option(help="Largest file of weights, and about the memory that is needed.")
    ] = "2GB",
) -> None:
    """Turn ImageBind, a language model and PandaGPT's delta into folders for the Hub."""
    common: dict[str, Any] = {
        "imagebind_config": imagebind_config,
        "modalities": modalities.split(",") if modalities else None,
        "dtype": None if dtype == "auto" else getattr(torch, dtype),
        "max_shard_size": max_shard_size,
    }
    only_pandagpt = {"--vicuna-delta": vicuna_delta, "--delta": delta, "--adapter-output": adapter_output}
    only_pandagpt["--chat-template"] = chat_template
    logging.set_verbosity_error()  # without the Hub each of its many retries would be a line
    try:
        if not re.fullmatch(r"\d+(\.\d+)?[KMGT]B", max_shard_size, re.IGNORECASE):
            raise ValueError(f"--max-shard-size {max_shard_size} is no size: expected one such as 500MB or 2GB.")
        if language_model is None:
            if given := [option for option, value in only_pandagpt.items() if value]:
                raise ValueError(f"{', '.join(given)} can only be given with --language-model.")
            convert_imagebind(imagebind, output, clip_tokenizer=clip_tokenizer or DEFAULT_CLIP_TOKENIZER, **common)
        else:
            if clip_tokenizer:
                raise ValueError("--clip-tokenizer is for ImageBind alone: PandaGPT has no text encoder of its own.")
            convert_pandagpt(
                imagebind,
                language_model,
                output,
                vicuna_delta=vicuna_delta,
                delta=delta,
                adapter_output=adapter_output,
                lora_r=lora_r,
                lora_alpha=lora_alpha,
                chat_template=chat_template,
                **common,
            )
    except (OSError, ValueError) as error:
        print(f"pandagpt convert: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    print(f"Written: {' and '.join(str(folder) for folder in (output, adapter_output) if folder)}")
    if language_model and not delta:
        print("Without --delta the projector is fresh: it wants training before the model can see or hear.")


def main(argv: list[str] | None = None) -> None:
    """
    The command `pandagpt convert`.

    Args:
        argv (`list[str]`, *optional*):
            The arguments after `convert`; those of the process when `None`.

    Raises:
        SystemExit: with the code 2, after a message, when something does not fit.
    """
    try:
        app(argv, prog_name="pandagpt convert")
    except SystemExit as end:
        if end.code:
            raise


if __name__ == "__main__":
    main()
