# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What the original checkpoints hold, and under which of our names it goes on.

Notable:
- Nothing is read before it is written: a checkpoint is a dictionary of [`LazyTensor`]s over mapped files.
- The mapping goes from our names to the original's. Our model says what is wanted, so a key that is missing, left over
  or of the wrong shape is found before anything is written.
"""

import json
import pickle
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open

from .configuration_pandagpt import MODALITIES, ImageBindConfig


LFS_POINTER = b"version https://git-lfs"

SAFETENSORS_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

# The prefixes that our language model's weights have, and the projections that the original put LoRA on.
LANGUAGE_MODEL = "model.language_model."
LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)"

# The mismatch that everybody meets.
VOCABULARY_HINT = (
    "LLaMA has 32000 tokens and Vicuna v0 has 32001, with one added for padding: weights, config.json, tokenizer and "
    "Vicuna's delta must be of one version, and a delta must have been added (--vicuna-delta)."
)

VOCABULARY_WEIGHTS = (f"{LANGUAGE_MODEL}embed_tokens.weight", "lm_head.weight")

# Our names within ImageBind and the original's, the first that fits.
IMAGEBIND_NAMES = [
    (r"(\w+)_model\.embeddings\.class_embedding", r"modality_preprocessors.\1.cls_token"),
    (r"(text|imu)_model\.embeddings\.position_embedding", r"modality_preprocessors.\1.pos_embed"),
    (r"(\w+)_model\.embeddings\.position_embedding", r"modality_preprocessors.\1.pos_embedding_helper.pos_embed"),
    (r"text_model\.embeddings\.token_embedding\.(\w+)", r"modality_preprocessors.text.token_embedding.\1"),
    (r"vision_model\.embeddings\.patch_embedding\.(\w+)", r"modality_preprocessors.vision.rgbt_stem.proj.1.\1"),
    (r"(depth|imu)_model\.embeddings\.patch_embedding\.(\w+)", r"modality_preprocessors.\1.\1_stem.proj.\2"),
    (r"(depth|imu)_model\.embeddings\.patch_norm\.(\w+)", r"modality_preprocessors.\1.\1_stem.norm_layer.\2"),
    (r"(\w+)_model\.embeddings\.patch_embedding\.(\w+)", r"modality_preprocessors.\1.rgbt_stem.proj.\2"),
    (r"(\w+)_model\.embeddings\.patch_norm\.(\w+)", r"modality_preprocessors.\1.rgbt_stem.norm_layer.\2"),
    (r"(\w+)_model\.embeddings\.norm\.(\w+)", r"modality_trunks.\1.pre_transformer_layer.0.\2"),
    (r"(\w+)_model\.layers\.(\d+)\.norm(\d)\.(\w+)", r"modality_trunks.\1.blocks.\2.norm_\3.\4"),
    (r"(\w+)_model\.layers\.(\d+)\.attention\.[qkv]_proj\.(\w+)", r"modality_trunks.\1.blocks.\2.attn.in_proj_\3"),
    (r"(\w+)_model\.layers\.(\d+)\.attention\.(.+)", r"modality_trunks.\1.blocks.\2.attn.\3"),
    (r"(\w+)_model\.layers\.(\d+)\.mlp\.(.+)", r"modality_trunks.\1.blocks.\2.mlp.\3"),
    (r"text_model\.head\.norm\.(\w+)", r"modality_heads.text.proj.0.\1"),
    (r"text_model\.head\.projection\.(\w+)", r"modality_heads.text.proj.1.\1"),
    (r"imu_model\.head\.projection\.(\w+)", r"modality_heads.imu.3.\1"),
    (r"(\w+)_model\.head\.norm\.(\w+)", r"modality_heads.\1.0.\2"),
    (r"(\w+)_model\.head\.projection\.(\w+)", r"modality_heads.\1.2.\2"),
    (r"(\w+)_model\.logit_scale", r"modality_postprocessors.\1.1.log_logit_scale"),
]

# The original's constructor arguments, and the fields of our configuration that they are.
IMAGEBIND_ARGUMENTS = {
    "out_embed_dim": ("projection_dim",),
    "video_frames": ("vision_config", "num_frames"),
    "audio_kernel_size": ("audio_config", "patch_size"),
    "audio_stride": ("audio_config", "patch_stride"),
    "audio_num_mel_bins": ("audio_config", "num_mel_bins"),
    "audio_target_len": ("audio_config", "num_mel_frames"),
    "depth_kernel_size": ("depth_config", "patch_size"),
    "thermal_kernel_size": ("thermal_config", "patch_size"),
    "imu_kernel_size": ("imu_config", "patch_size"),
    **{f"{name}_embed_dim": (f"{name}_config", "hidden_size") for name in MODALITIES},
    **{f"{name}_num_blocks": (f"{name}_config", "num_hidden_layers") for name in MODALITIES},
    **{f"{name}_num_heads": (f"{name}_config", "num_attention_heads") for name in MODALITIES},
    **{f"{name}_drop_path": (f"{name}_config", "drop_path_rate") for name in ("audio", "depth", "thermal", "imu")},
}

# A constant, kept as a buffer by the original.
TEXT_MASK = "modality_preprocessors.text.mask"

KINDS_OF_CHECKPOINT = [
    ("an ImageBind checkpoint", r"modality_(preprocessors|trunks|heads)\."),
    ("a PandaGPT delta", r"llama_(model|proj)\."),
    ("a PEFT adapter", r"base_model\.model\."),
    ("a language model", r"(lm_head|embed_tokens|(model|transformer)\.)"),
]


@dataclass(frozen=True)
class LazyTensor:
    """
    A tensor that is read when it is written.

    Args:
        shape (`tuple[int, ...]`):
            Its shape.
        dtype (`torch.dtype`):
            Its type in the file.
        read (`Callable[[], torch.Tensor]`):
            Gives the tensor, on the CPU.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], torch.Tensor]

    @property
    def numel(self) -> int:
        """`int`: how many numbers it holds."""
        return torch.Size(self.shape).numel()

    def block(self, index: int, blocks: int) -> "LazyTensor":
        """One of so many equal blocks of rows."""
        rows = self.shape[0] // blocks
        shape = (rows, *self.shape[1:])
        return LazyTensor(shape, self.dtype, lambda: self.read()[index * rows : (index + 1) * rows])


@dataclass(frozen=True)
class Checkpoint:
    """
    What a file or a folder holds, none of it read yet.

    Args:
        source (`str`):
            Where it comes from, for messages.
        tensors (`dict[str, LazyTensor]`):
            Its tensors by the names that they have there.
    """

    source: str
    tensors: dict[str, LazyTensor]


class Origin(NamedTuple):
    """The original's tensor, or one of so many equal blocks of its rows, that one of ours comes from."""

    key: str
    block: int = 0
    blocks: int = 1


def open_checkpoint(path: Path) -> Checkpoint:
    """
    Opens weights without reading them.

    Args:
        path (`Path`):
            A `.safetensors`, `.pth`, `.pt` or `.bin` file, or a folder with `model.safetensors` or
            `pytorch_model.bin`, sharded or not.

    Returns:
        [`Checkpoint`].

    Raises:
        ValueError: when there are no weights, a shard is absent, a file is damaged, a Git LFS pointer or no dictionary
            of floating point tensors, or when two shards hold the same key.
    """
    tensors: dict[str, LazyTensor] = {}
    home: dict[str, Path] = {}
    for file in find_weight_files(path) if path.is_dir() else [path]:
        for key, tensor in open_file(file).items():
            if key in tensors:
                raise ValueError(
                    f"{path}: the key {key!r} is duplicate, both {home[key].name} and {file.name} hold it."
                )
            tensors[key], home[key] = tensor, file
    if not tensors:
        raise ValueError(f"{path} holds no tensors.")
    return Checkpoint(str(path), tensors)


def find_weight_files(folder: Path) -> list[Path]:
    """The files of a folder's weights, as the library would choose them. Raises `ValueError` where there are none."""
    for name in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return [folder / name]
        if index.is_file():
            shards = [folder / shard for shard in read_index(index)]
            if absent := [shard.name for shard in shards if not shard.is_file()]:
                raise ValueError(f"{index} lists {name_some(absent)}, not there: the download is incomplete.")
            return shards
    if any(folder.glob("consolidated.*.pth")):
        raise ValueError(
            f"{folder} holds LLaMA as Meta released it (consolidated.*.pth). Give it in the format of transformers: "
            "config.json, tokenizer, and model.safetensors or pytorch_model.bin."
        )
    raise ValueError(
        f"{folder} has no weights: expected model.safetensors or pytorch_model.bin, or the .index.json of their "
        f"shards; found {sorted(file.name for file in folder.iterdir())}."
    )


def read_index(index: Path) -> list[str]:
    """The names of the shards that an index lists."""
    try:
        return sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{index} is not the index of a sharded checkpoint: it has no weight_map of names."
        ) from error


def open_file(path: Path) -> dict[str, LazyTensor]:
    """The tensors of one file. Raises `ValueError` as [`open_checkpoint`] says."""
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file.")
    with open(path, "rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ValueError(f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull` where it lies.")
    try:
        return open_safetensors(path) if path.suffix == ".safetensors" else open_torch(path)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is not a checkpoint of tensors alone: it is damaged, something else was saved in its place, or "
            "it holds objects that would run code when they are read, which is refused."
        ) from error
    except (EOFError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read: it is damaged or incomplete ({error}).") from error


def open_safetensors(path: Path) -> dict[str, LazyTensor]:
    """The tensors of a `.safetensors` file."""
    file = safe_open(path, framework="pt")

    def lazy(key: str) -> LazyTensor:
        entry = file.get_slice(key)
        if entry.get_dtype() not in SAFETENSORS_DTYPES:
            raise ValueError(refuse_type(path, key, entry.get_dtype()))
        return LazyTensor(
            tuple(entry.get_shape()), SAFETENSORS_DTYPES[entry.get_dtype()], lambda: file.get_tensor(key)
        )

    return {key: lazy(key) for key in file.keys()}


def open_torch(path: Path) -> dict[str, LazyTensor]:
    """The tensors of a file by `torch.save`."""
    # Files from before torch 1.6 are no zip archives and cannot be mapped.
    state_dict = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    if not isinstance(state_dict, dict):
        raise ValueError(
            f"{path} holds a {type(state_dict).__name__}, expected a dictionary of tensors (a state_dict)."
        )

    def lazy(key: str, value: torch.Tensor) -> LazyTensor:
        if not isinstance(value, torch.Tensor):
            raise ValueError(
                f"{path}: under {key!r} is a {type(value).__name__}, expected a tensor (of a state_dict)."
            )
        if value.dtype not in SAFETENSORS_DTYPES.values():
            raise ValueError(refuse_type(path, key, str(value.dtype)))
        return LazyTensor(tuple(value.shape), value.dtype, lambda: value.detach())

    return {key: lazy(key, value) for key, value in state_dict.items()}


def refuse_type(path: Path, key: str, dtype: str) -> str:
    """The message for a tensor that is no floating point weight."""
    return (
        f"{path}: {key} is of type {dtype}, expected float16, bfloat16, float32 or float64. Is it a quantised "
        "checkpoint? Give the unquantised one."
    )


def dtype_of(tensors: dict[str, LazyTensor]) -> torch.dtype:
    """The type of the largest of some tensors."""
    return max(tensors.values(), key=lambda tensor: tensor.numel).dtype


def match(
    checkpoint: Checkpoint,
    kind: str,
    shapes: dict[str, tuple[int, ...]],
    origin_of: Callable[[str], Origin],
    cause: str,
    ignored: str = "(?!)",
) -> dict[str, LazyTensor]:
    """
    Finds for each of our tensors the original's, so that every key of the checkpoint is accounted for.

    Args:
        checkpoint ([`Checkpoint`]):
            The original's tensors.
        kind (`str`):
            What it should be, as in `KINDS_OF_CHECKPOINT`.
        shapes (`dict[str, tuple[int, ...]]`):
            Our names and shapes.
        origin_of (`Callable[[str], Origin]`):
            Where a tensor of ours comes from.
        cause (`str`):
            The likely cause when they do not fit, which ends the message.
        ignored (`str`, *optional*, defaults to nothing):
            Pattern of keys that may be left over.

    Returns:
        `dict[str, LazyTensor]`: by our names.

    Raises:
        ValueError: for missing, unexpected and wrongly shaped keys, each named.
    """
    tensors, source = checkpoint.tensors, checkpoint.source
    origins = {name: origin_of(name) for name in shapes}
    wanted = {origin.key for origin in origins.values()}
    missing = sorted(wanted - tensors.keys())
    unexpected = sorted(key for key in tensors.keys() - wanted if not re.search(ignored, key))
    if len(missing) == len(wanted):
        raise ValueError(f"{source} is not {kind}: {recognise(tensors)}. Expected keys such as {missing[0]!r}.")
    if missing or unexpected:
        raise ValueError(
            f"{source} does not fit: missing keys: {name_some(missing)}; unexpected keys: {name_some(unexpected)}. "
            f"{cause}"
        )
    for name, (key, _, blocks) in origins.items():
        shape = shapes[name]
        expected = (shape[0] * blocks, *shape[1:]) if blocks > 1 else tuple(shape)
        if tensors[key].shape != expected:
            raise ValueError(f"{source}: {key} has the shape {tensors[key].shape}, expected {expected}. {cause}")
    return {
        name: tensors[key] if blocks == 1 else tensors[key].block(block, blocks)
        for name, (key, block, blocks) in origins.items()
    }


def recognise(tensors: dict[str, LazyTensor]) -> str:
    """What keys look like, in words."""
    first = next(iter(tensors))
    for kind, pattern in KINDS_OF_CHECKPOINT:
        if any(re.match(pattern, key) for key in tensors):
            return f"by its keys ({first!r}, …) it is {kind}"
    return f"its keys ({first!r}, …) belong to nothing that is known here"


def name_some(keys: list[str], most: int = 5) -> str:
    """The first keys of a list, and how many more there are."""
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return (", ".join(keys[:most]) or "none") + more


def read_imagebind_config(file: Path | None, modalities: list[str]) -> ImageBindConfig:
    """
    ImageBind's configuration from JSON of the original's constructor arguments; the rest is imagebind_huge's.
    Raises `ValueError` for an unknown argument or modality, a wrong value, or a patch that does not span all frames.
    """
    arguments: dict[str, Any] = {}
    if file is not None:
        try:
            arguments = dict(json.loads(file.read_text()))
        except (TypeError, ValueError) as error:
            raise ValueError(f"--imagebind-config {file} is not a JSON object of constructor arguments.") from error
    options: dict[str, Any] = {f"{name}_config": {} for name in MODALITIES}
    if kernel := arguments.pop("kernel_size", None):
        frames = arguments.setdefault("video_frames", 2)
        if kernel != [frames, kernel[-1], kernel[-1]]:
            raise ValueError(
                f"--imagebind-config {file}: kernel_size must be [{frames}, size, size], as video_frames is {frames}, "
                f"got {kernel}."
            )
        options["vision_config"]["patch_size"] = kernel[-1]
    for name, value in arguments.items():
        if name not in IMAGEBIND_ARGUMENTS:
            raise ValueError(f"--imagebind-config {file}: {name!r} is no argument of ImageBind's constructor.")
        *nested, field = IMAGEBIND_ARGUMENTS[name]
        (options[nested[0]] if nested else options)[field] = value
    try:
        return ImageBindConfig(**options, modalities=modalities)
    except StrictDataclassError as error:
        raise ValueError(f"--imagebind-config {file}: {error}") from error


def imagebind_origin(name: str) -> Origin:
    """The original's name of a tensor of [`ImageBindModel`]; its attention keeps query, key and value in one."""
    for ours, theirs in IMAGEBIND_NAMES:
        if found := re.fullmatch(ours, name):
            key = found.expand(theirs)
            if projection := re.search(r"\.attention\.([qkv])_proj\.", name):
                return Origin(key, "qkv".index(projection[1]), 3)
            return Origin(key)
    raise ValueError(f"ImageBind's original has no counterpart of {name}.")


def match_imagebind(
    checkpoint: Checkpoint, shapes: dict[str, tuple[int, ...]], absent: list[str]
) -> dict[str, LazyTensor]:
    """
    ImageBind's tensors by our names.

    Args:
        checkpoint ([`Checkpoint`]):
            `imagebind_huge.pth`, or one of another size.
        shapes (`dict[str, tuple[int, ...]]`):
            Names and shapes of [`ImageBindModel`].
        absent (`list[str]`):
            The modalities that are not converted, whose keys are left out.

    Returns:
        `dict[str, LazyTensor]`.

    Raises:
        ValueError: as [`match`], and when the text mask is not the causal one.
    """
    cause = (
        "Without --imagebind-config the sizes of imagebind_huge are expected. Does that file describe this checkpoint?"
    )
    ignored = rf"^modality_\w+\.({'|'.join(absent)})\." if absent else "(?!)"
    ignored = rf"{ignored}|^{re.escape(TEXT_MASK)}$"
    matched = match(checkpoint, "an ImageBind checkpoint", shapes, imagebind_origin, cause, ignored)
    if TEXT_MASK in checkpoint.tensors:
        mask = checkpoint.tensors[TEXT_MASK].read()
        if not torch.equal(mask, torch.full_like(mask, -torch.inf).triu(1)):
            raise ValueError(
                f"{checkpoint.source}: {TEXT_MASK} is not the causal mask, which is all that is supported."
            )
    return matched


def language_model_origin(name: str, prefix: str) -> Origin:
    """A causal language model's own name of one of our tensors; `prefix` is what its base model is called."""
    return Origin(name.replace(LANGUAGE_MODEL, f"{prefix}.", 1))


def match_language_model(
    checkpoint: Checkpoint,
    shapes: dict[str, tuple[int, ...]],
    prefix: str,
    vocabulary_size: int,
    tied: bool,
) -> dict[str, LazyTensor]:
    """
    A causal language model's tensors by our names.

    Args:
        checkpoint ([`Checkpoint`]):
            LLaMA, Vicuna, Vicuna's delta or any other that the library knows.
        shapes (`dict[str, tuple[int, ...]]`):
            Our names and shapes.
        prefix (`str`):
            What the library calls the base model within it (`"model"` in LLaMA).
        vocabulary_size (`int`):
            The vocabulary's size in its own configuration; a delta's base may have fewer than `shapes` says.
        tied (`bool`):
            Whether input and output embeddings are one tensor, of which a checkpoint may keep two copies.

    Returns:
        `dict[str, LazyTensor]`.

    Raises:
        ValueError: as [`match`].
    """
    cause = (
        f"Its config.json, which says a vocabulary of {vocabulary_size}, does not describe these weights; with "
        f"--vicuna-delta, the two may be of different sizes (7B and 13B). {VOCABULARY_HINT}"
    )
    own = {name: (vocabulary_size, *shapes[name][1:]) for name in VOCABULARY_WEIGHTS if name in shapes}
    # Old LLaMA folders keep the rotary frequencies, which the configuration gives.
    ignored = r"rotary_emb\.inv_freq$" + (r"|^lm_head\.weight$" if tied else "")
    return match(
        checkpoint,
        "a language model",
        shapes | own,
        lambda name: language_model_origin(name, prefix),
        cause,
        ignored,
    )


def match_delta(
    checkpoint: Checkpoint,
    shapes: dict[str, tuple[int, ...]],
    prefix: str,
    rank: int,
) -> dict[str, LazyTensor]:
    """
    The tensors of PandaGPT's delta: the projector by our names, and LoRA's `lora_A.weight` `(rank, in)` and
    `lora_B.weight` `(out, rank)` by those of our modules.

    Args:
        checkpoint ([`Checkpoint`]):
            PandaGPT's `pytorch_model.pt`.
        shapes (`dict[str, tuple[int, ...]]`):
            Names and shapes of [`PandaGPTForConditionalGeneration`].
        prefix (`str`):
            As in [`match_language_model`].
        rank (`int`):
            LoRA's rank.

    Returns:
        `dict[str, LazyTensor]`.

    Raises:
        ValueError: as [`match`].
    """
    wanted = {name: shape for name, shape in shapes.items() if name.startswith("model.projector.")}
    for name, shape in shapes.items():
        module = name.removesuffix(".weight")
        if re.fullmatch(LORA_TARGETS, module):
            wanted[f"{module}.lora_A.weight"] = (rank, shape[1])
            wanted[f"{module}.lora_B.weight"] = (shape[0], rank)

    def origin_of(name: str) -> Origin:
        if name.startswith("model.projector."):
            return Origin(name.replace("model.projector", "llama_proj"))
        key, _, _ = language_model_origin(name, prefix)
        return Origin(f"llama_model.base_model.model.{key.removesuffix('weight')}default.weight")

    cause = (
        f"Is LoRA's rank {rank} (--lora-r), and is the language model of the size that the delta was trained on (4096 "
        "wide, 32 layers for 7B; 5120 wide, 40 layers for 13B)?"
    )
    return match(checkpoint, "a PandaGPT delta", wanted, origin_of, cause)


def add_delta(base: LazyTensor, delta: LazyTensor) -> LazyTensor:
    """
    A weight and its delta, added in the delta's type. Rows that only the delta has (the padding token that Vicuna v0
    added to the vocabulary) are the delta's alone, since it was made over rows of zeros.
    """

    def read() -> torch.Tensor:
        total = delta.read().clone()
        total[: base.shape[0]] += base.read()
        return total

    return LazyTensor(delta.shape, delta.dtype, read)


def merge_lora(weight: LazyTensor, lora_a: LazyTensor, lora_b: LazyTensor, scaling: float) -> LazyTensor:
    """W + scaling * B A, in float32."""

    def read() -> torch.Tensor:
        return weight.read().float() + scaling * (lora_b.read().float() @ lora_a.read().float())

    return LazyTensor(weight.shape, torch.float32, read)
