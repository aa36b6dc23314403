# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Compute every medium's ImageBind embedding once: the encoder is frozen, so training never needs it again.

```bash
pandagpt embed --model path/or/hub-id --data data.json --images images/ --output embeddings/
accelerate launch -m training.embeddings --model path/or/hub-id --data user/data --output embeddings/
```

Notable:
- Only the encoder is read of a PandaGPT checkpoint, tensor by tensor; the language model's files are left alone.
- A shard is written under a hidden name and gets its own when it is whole, so a run that was killed goes on where it
  stopped. Every process writes the shards of its own, whole ones are never touched.
- What the embeddings were made with is the name of the only class of the column `encoder`. Names of classes belong to
  a data set's features, so the record survives streaming, mapping and every way of pushing, and costs nothing.
- Embeddings are those of `PandaGPTModel.encode_media`, before `modality_scales`, as float32 if the encoder computes in
  it, and else as float16, which holds them as well. Training on them thus gives the same losses as on the media.
"""

import dataclasses
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pyarrow as pa
import torch
import typer
from accelerate import PartialState
from datasets import ClassLabel, Dataset, Features, List, Value
from pyarrow.parquet import ParquetWriter
from safetensors import safe_open
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers.configuration_utils import PreTrainedConfig
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file
from transformers.utils.hub import extract_commit_hash

import pandagpt
from chat_data.rows import media_of, public_id, public_name
from chat_data.sources import AnyDataset, load_source
from hub_cards.datasets import publish_dataset
from hub_cards.upload import PublishError
from modeling_pandagpt import ImageBindConfig, ImageBindModel
from modeling_pandagpt.configuration_pandagpt import MEDIA_TYPES, MODALITY_OF_MEDIA_TYPE
from modeling_pandagpt.modeling_pandagpt import MEDIA_INPUTS
from processing.processing_imagebind import MODALITIES, MediaProcessorMixin


RECORD_COLUMN = "encoder"
SETTINGS_FILE = "embeddings.json"
ROWS_IN_GROUP = 1000  # what a reader of parquet fetches at a time: 2 MB of embeddings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Checkpoint(NamedTuple):
    """Where an ImageBind lies: alone, or inside of a PandaGPT."""

    name: str
    commit: str | None  # on the Hub; a folder has none
    config: ImageBindConfig
    modalities: list[str]  # of media: all but text
    prefix: str  # of the encoder's weights
    processor_class: Any

    def load_processor(self) -> MediaProcessorMixin:
        return self.processor_class.from_pretrained(self.name, revision=self.commit)

    def read_weights(self, ending: str = "") -> Iterator[tuple[str, torch.Tensor]]:
        """Reads the encoder's weights one by one in the order of their names, and only the files that hold them; with
        an `ending` only those whose names end so."""
        index = self._fetch(SAFE_WEIGHTS_INDEX_NAME, _raise_exceptions_for_missing_entries=False)
        if index is not None:
            file_of = json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"]
        else:
            with safe_open(self._fetch(SAFE_WEIGHTS_NAME), "pt") as file:
                file_of = dict.fromkeys(file.keys(), SAFE_WEIGHTS_NAME)
        beginnings = tuple(f"{self.prefix}{name}_model." for name in self.modalities)
        names = sorted(name for name in file_of if name.startswith(beginnings) and name.endswith(ending))
        files = {file: safe_open(self._fetch(file), "pt") for file in {file_of[name] for name in names}}
        for name in names:
            yield name.removeprefix(self.prefix), files[file_of[name]].get_tensor(name)

    def _fetch(self, file: str, **kwargs: Any) -> Any:
        return cached_file(self.name, file, revision=self.commit, **kwargs)


def find_encoder(model: str | os.PathLike, revision: str | None = None) -> Checkpoint:
    """
    Find the encoder of a checkpoint; nothing but its configuration is read.

    Args:
        model (`str` or `os.PathLike`):
            Hub id or folder of a PandaGPT or of an ImageBind.
        revision (`str`, *optional*):
            Branch, tag or commit on the Hub.

    Returns:
        [`Checkpoint`]

    Raises:
        OSError: when there is no such model.
        ValueError: when it is of another kind.
    """
    kind = PreTrainedConfig.get_config_dict(model, revision=revision)[0].get("model_type")
    if kind == "pandagpt":
        config = pandagpt.PandaGPTConfig.from_pretrained(model, revision=revision).imagebind_config
        prefix, processor_class = "model.imagebind.", pandagpt.PandaGPTProcessor
    elif kind == "imagebind":
        config = pandagpt.ImageBindConfig.from_pretrained(model, revision=revision)
        prefix, processor_class = "", pandagpt.ImageBindProcessor
    else:
        raise ValueError(f"{model} holds a model of type {kind!r}, expected 'pandagpt' or 'imagebind'.")
    modalities = [name for name in config.modalities or [] if name != "text"]
    config.keep_modalities(modalities)
    commit = None
    if not os.path.isdir(model):
        commit = extract_commit_hash(cached_file(model, CONFIG_NAME, revision=revision), None)
    return Checkpoint(str(model), commit, config, modalities, prefix, processor_class)


def load_encoder(
    model: str | os.PathLike, revision: str | None = None, dtype: str = "auto", device: str | torch.device = "cpu"
) -> tuple[ImageBindModel, MediaProcessorMixin, dict[str, Any]]:
    """
    Load the encoder of a checkpoint, without the language model, and its processor.

    Args:
        model (`str` or `os.PathLike`):
            Hub id or folder of a PandaGPT or of an ImageBind.
        revision (`str`, *optional*):
            Branch, tag or commit on the Hub.
        dtype (`str`, *optional*, defaults to `"auto"`):
            The weights' type; `"auto"` takes the checkpoint's.
        device (`str` or `torch.device`, *optional*, defaults to `"cpu"`):
            Where the encoder runs.

    Returns:
        `tuple[ImageBindModel, PandaGPTProcessor | ImageBindProcessor, dict]`: the last is the record that
        [`check_compatible`] compares: the model and its commit, a digest of each encoder's weights and configuration,
        one of the preprocessing, the embeddings' size, and our version.

    Raises:
        OSError: when there is no such model.
        ValueError: when it is of another kind, or lacks weights.
    """
    checkpoint = find_encoder(model, revision)
    processor = checkpoint.load_processor()
    weights = dict(checkpoint.read_weights())
    with torch.device("meta"):
        encoder = ImageBindModel(checkpoint.config)
    if missing := sorted(set(encoder.state_dict()) - set(weights)):
        raise ValueError(f"{model} lacks {len(missing)} weights of the encoder, {missing[0]} among them.")
    encoder.load_state_dict(weights, assign=True)
    encoder.requires_grad_(False).eval().to(device, None if dtype == "auto" else getattr(torch, dtype))
    record = {
        "model": public_name(model),
        "commit": checkpoint.commit,
        "encoders": _digest_encoders(checkpoint, weights.items()),
        "preprocessing": _digest_preprocessing(processor),
        "projection_dim": checkpoint.config.projection_dim,
        "pandagpt": version("pandagpt"),
    }
    return encoder, processor, record


def check_compatible(
    data: str | os.PathLike | Mapping[str, Any] | AnyDataset, model: str | os.PathLike, revision: str | None = None
) -> None:
    """
    Make sure that embeddings were made with a model's encoder and preprocessing. Where both name the same commit of
    the same Hub repository no weights are read, otherwise the encoder's are, once, in a stream.

    Args:
        data (`str`, `os.PathLike`, `dict`, `Dataset` or `IterableDataset`):
            What `pandagpt embed` wrote: a folder, a Hub id, a source of `chat_data`, or loaded.
        model (`str` or `os.PathLike`):
            Hub id or folder of the PandaGPT that is trained on them, or of an ImageBind.
        revision (`str`, *optional*):
            Branch, tag or commit of the model on the Hub.

    Raises:
        ValueError: when something differs, with both sides, or when the data set has no record.
    """
    record = read_record(data)
    checkpoint = find_encoder(model, revision)
    expected = {name: record[name] for name in ("projection_dim", "preprocessing")}
    found = {
        "projection_dim": checkpoint.config.projection_dim,
        "preprocessing": _digest_preprocessing(checkpoint.load_processor()),
    }
    if checkpoint.commit is None or (record["model"], record["commit"]) != (checkpoint.name, checkpoint.commit):
        digests = _digest_encoders(checkpoint, checkpoint.read_weights())
        shared = [name for name in digests if name in record["encoders"]]
        if not shared:
            raise ValueError(
                f"The embeddings were made with the encoders {list(record['encoders'])}, of which {model} has none."
            )
        expected |= {f"{name} encoder": record["encoders"][name] for name in shared}
        found |= {f"{name} encoder": digests[name] for name in shared}
    differences = [f"{name} ({expected[name]}, now {found[name]})" for name in found if found[name] != expected[name]]
    if differences:
        made_with = record["model"] if record["commit"] is None else f"{record['model']} at {record['commit']}"
        raise ValueError(
            f"The embeddings were made with {made_with}, from which {model} differs in {', '.join(differences)}: "
            "train the model that they were made with, or make them anew with `pandagpt embed`."
        )


def read_record(data: str | os.PathLike | Mapping[str, Any] | AnyDataset) -> dict[str, Any]:
    """
    What a data set of embeddings was made with.

    Args:
        data (`str`, `os.PathLike`, `dict`, `Dataset` or `IterableDataset`):
            As for [`check_compatible`].

    Returns:
        `dict`: the record of [`load_encoder`].

    Raises:
        ValueError: when there is none.
    """
    name = "The data set"
    if isinstance(data, str | os.PathLike):
        data = {"path": str(data)}
    if isinstance(data, Mapping):
        name, data = data["path"], load_source(data, streaming=True)
    feature = (data.features or {}).get(RECORD_COLUMN)
    if not isinstance(feature, ClassLabel):
        raise ValueError(
            f"{name} does not say what its embeddings were made with: a data set that `pandagpt embed` wrote has a "
            f"column {RECORD_COLUMN!r} that does."
        )
    return json.loads(feature.names[0])


def _digest_encoders(checkpoint: Checkpoint, weights: Iterable[tuple[str, torch.Tensor]]) -> dict[str, str]:
    """The sha256 of each encoder: its own settings, then each weight's name, type, shape and bytes."""
    inherited = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    digests = {}
    for modality in checkpoint.modalities:
        encoder = getattr(checkpoint.config, f"{modality}_config")
        own = {f.name: getattr(encoder, f.name) for f in dataclasses.fields(encoder) if f.name not in inherited}
        digests[modality] = hashlib.sha256(json.dumps(own, sort_keys=True).encode())
    for name, tensor in weights:
        digest = digests[name.partition("_model.")[0]]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return {modality: digest.hexdigest() for modality, digest in digests.items()}


def _digest_preprocessing(processor: MediaProcessorMixin) -> str:
    """The sha256 of the media processors' settings. Pillow's and torchvision's twins count as the same."""
    settings = {}
    for modality in MODALITIES:
        values = getattr(processor, modality.processor).to_dict()
        names = [name for name in values if not name.endswith("_type") and name not in ("auto_map", "processor_class")]
        settings[modality.name] = {name: values[name] for name in names}
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


class _MediaReader(torch.utils.data.Dataset):
    """Rows with their media read, or with the reason why they cannot be: the work of the workers."""

    def __init__(self, rows: Dataset, processor: MediaProcessorMixin):
        self.rows = rows
        self.processor = processor

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        if row.get("error"):
            return {"id": row["id"], "reason": row["error"]}
        try:
            media = [(kind, self._read(kind, medium)) for kind, medium in media_of(row)]
        except Exception as error:  # whatever a decoder says of a broken file
            return {"id": row["id"], "reason": f"{type(error).__name__}: {error}"}
        return {"row": row, "media": media}

    def _read(self, kind: str, medium: Any) -> torch.Tensor:
        place = MEDIA_TYPES.index(kind)
        return getattr(self.processor, MODALITIES[place].processor)([medium], return_tensors="pt")[MEDIA_INPUTS[place]]


def embed(
    rows: Dataset,
    model: str | os.PathLike,
    output: str | os.PathLike,
    *,
    revision: str | None = None,
    source: str = "",
    batch_size: int = 16,
    num_shards: int = 8,
    workers: int = 4,
    dtype: str = "auto",
    device: str | None = None,
    max_broken_share: float = 0.01,
) -> int:
    """
    Write the embeddings of every row's media as a data set of `num_shards` parquet files in `output/data`.

    Started again on the same output it goes on where it stopped. Started as several processes (`accelerate launch`,
    `torchrun`) each writes every n-th shard. A row with a medium that cannot be read is left out and stands with the
    reason in `output/broken-*.jsonl`.

    Args:
        rows (`Dataset`):
            Rows of `chat_data`.
        model (`str` or `os.PathLike`):
            Hub id or folder of a PandaGPT or of an ImageBind.
        output (`str` or `os.PathLike`):
            The folder.
        revision (`str`, *optional*):
            Branch, tag or commit of the model on the Hub.
        source (`str`, *optional*, defaults to `""`):
            Where the rows come from, for the record.
        batch_size (`int`, *optional*, defaults to 16):
            Rows that are encoded together.
        num_shards (`int`, *optional*, defaults to 8):
            Files. Streaming divides whole files among processes: a multiple of their number, so.
        workers (`int`, *optional*, defaults to 4):
            Processes that read media; 0 reads them in this one.
        dtype (`str`, *optional*, defaults to `"auto"`):
            Type that the encoder computes in; `"auto"` takes the checkpoint's. float32 embeddings are stored as they
            are, others as float16.
        device (`str`, *optional*):
            Where the encoder runs; this process's accelerator, or the CPU, when `None`.
        max_broken_share (`float`, *optional*, defaults to 0.01):
            Share of broken rows above which the run stops.

    Returns:
        `int`: the number of rows that were left out.

    Raises:
        ValueError: when there are fewer rows than shards, too many are broken, the encoder of a medium is absent, an
            embedding is not finite, or `output` was begun with other settings.
    """
    if len(rows) < num_shards:
        raise ValueError(f"{len(rows)} rows make no {num_shards} shards: give num_shards of at most {len(rows)}.")
    # Processes finish at different times: none may give up on the others.
    state = PartialState(cpu=device == "cpu", timeout=timedelta(days=30))
    encoder, processor, record = load_encoder(model, revision, dtype, device or state.device)
    settings = {
        "encoder": record,
        "source": source,
        "rows": len(rows),
        "ids": hashlib.sha256("\n".join(rows["id"]).encode()).hexdigest(),
        "num_shards": num_shards,
        "dtype": str(encoder.dtype).removeprefix("torch."),
    }
    output = Path(output)
    with state.main_process_first():
        _settle(output, settings)
    features = _features(rows, record, _stored_dtype(encoder))
    limit = max_broken_share * len(rows)
    names = [f"{index:05d}-of-{num_shards:05d}" for index in range(num_shards)]
    own = range(state.process_index, num_shards, state.num_processes)
    check = partial(_count_broken, output, [names[index] for index in own], limit)
    todo = [index for index in own if not _shard_file(output, names[index]).exists()]
    shards = {names[index]: rows.shard(num_shards, index, contiguous=True) for index in todo}
    with tqdm(total=sum(map(len, shards.values())), unit=" rows", disable=not state.is_main_process) as bar:
        for name, shard in shards.items():
            reader = _MediaReader(shard, processor)
            loader = DataLoader(reader, batch_size, num_workers=workers, collate_fn=list)
            _write_shard(output, name, _embed_batches(encoder, loader, bar), features, check)
    state.wait_for_everyone()
    return _count_broken(output, names, limit)


def _settle(output: Path, settings: dict[str, Any]) -> None:
    """Writes what the run is made with, or compares it to what a run before had written."""
    path = output / SETTINGS_FILE
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        names = [name for name in settings if before.get(name) != settings[name]]
        if names:
            differences = ", ".join(f"{name} ({before.get(name)}, now {settings[name]})" for name in names)
            raise ValueError(f"{output} was begun with other settings: {differences}. Give another output folder.")
        return
    (output / "data").mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}")
    hidden.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    hidden.replace(path)


def _stored_dtype(encoder: ImageBindModel) -> torch.dtype:
    return torch.float32 if encoder.dtype == torch.float32 else torch.float16


def _features(rows: Dataset, record: dict[str, Any], dtype: torch.dtype) -> Features:
    return Features(
        {
            "id": Value("string"),
            "source": Value("string"),
            "messages": rows.features["messages"],
            "media_embeds": List(List(Value(str(dtype).removeprefix("torch.")))),  # media x projection_dim
            "media_types": List(Value("int64")),
            RECORD_COLUMN: ClassLabel(names=[json.dumps(record)]),
        }
    )


def _shard_file(output: Path, name: str) -> Path:
    return output / "data" / f"train-{name}.parquet"


def _broken_file(output: Path, name: str) -> Path:
    return output / f"broken-{name}.jsonl"


def _embed_batches(encoder: ImageBindModel, batches: Iterable[list[dict]], bar: tqdm) -> Iterator[dict[str, Any]]:
    for batch in batches:
        readable = [sample for sample in batch if "media" in sample]
        embeds = iter(_encode([medium for sample in readable for medium in sample["media"]], encoder))
        for sample in batch:
            if "media" not in sample:
                yield sample
                continue
            kinds = [kind for kind, _ in sample["media"]]
            row_embeds = [next(embeds) for _ in kinds]
            if not all(embed.isfinite().all() for embed in row_embeds):
                raise ValueError(
                    f"An embedding of {sample['row']['id']} is not finite in {encoder.dtype}: choose another dtype."
                )
            yield {
                **_publishable(sample["row"]),
                "media_embeds": [embed.numpy() for embed in row_embeds],
                "media_types": [MEDIA_TYPES.index(kind) + 1 for kind in kinds],
                RECORD_COLUMN: 0,
            }
        bar.update(len(batch))


@torch.inference_mode()
def _encode(media: list[tuple[str, torch.Tensor]], encoder: ImageBindModel) -> list[torch.Tensor]:
    """Embeds media of any kinds, `(1, ...)` each, all of a kind together; gives `(projection_dim,)` for each."""
    embeds: list[torch.Tensor] = [torch.empty(0)] * len(media)
    for kind in dict.fromkeys(kind for kind, _ in media):
        places = [place for place, (other, _) in enumerate(media) if other == kind]
        values = torch.cat([media[place][1] for place in places]).to(encoder.device)
        encoded: Any = encoder.encode(MODALITY_OF_MEDIA_TYPE[kind], values).pooler_output
        for place, embed in zip(places, encoded.to("cpu", _stored_dtype(encoder)), strict=True):
            embeds[place] = embed
    return embeds


def _publishable(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's text, without what it tells of this machine: media come from the embeddings, ids name no folder."""
    messages = [{**m, "content": [{**block, "path": None} for block in m["content"]]} for m in row["messages"]]
    return {"id": public_id(row), "source": public_name(row["source"]), "messages": messages}


def _write_shard(
    output: Path, name: str, samples: Iterator[dict], features: Features, check: Callable[[], Any]
) -> None:
    """Writes embedded rows, and a report of the broken ones; the shard gets its name when both are whole."""
    shard, report = _shard_file(output, name), _broken_file(output, name)
    hidden = shard.with_name(f".{shard.name}")
    report.unlink(missing_ok=True)
    with ParquetWriter(hidden, features.arrow_schema) as writer:
        while chunk := list(itertools.islice(samples, ROWS_IN_GROUP)):
            if broken := [json.dumps(sample) + "\n" for sample in chunk if "reason" in sample]:
                with open(report, "a", encoding="utf-8") as file:
                    file.writelines(broken)
                check()
            good = [sample for sample in chunk if "reason" not in sample]
            writer.write_table(pa.Table.from_pylist(good, schema=features.arrow_schema))
    hidden.replace(shard)


def _count_broken(output: Path, names: list[str], limit: float) -> int:
    files = [_broken_file(output, name) for name in names]
    broken = [line for file in files if file.exists() for line in file.read_text(encoding="utf-8").splitlines()]
    if len(broken) > limit:
        raise ValueError(
            f"{len(broken)} rows are broken, where max_broken_share allows {limit:g}, the first of them "
            f"{broken[0]}. The others stand in {output}/broken-*.jsonl. Mend the data, or allow a larger share and go "
            "on: shards that are whole stay."
        )
    return len(broken)


@app.command()
def run(
    model: Annotated[str, typer.Option(help="Hub id or folder of a PandaGPT or of an ImageBind.")],
    data: Annotated[str, typer.Option(help="Hub id, folder or file of the data, as `pandagpt train` takes it.")],
    output: Annotated[Path, typer.Option(help="Folder for the embeddings. Go on with a run by giving it again.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of the model on the Hub.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the pictures, for a json of the original's.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of the data.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows that are encoded together.")] = 16,
    num_shards: Annotated[
        int, typer.Option(min=1, help="Files: a multiple of the number of processes that will train on them.")
    ] = 8,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read media, for each that encodes.")] = 4,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"], typer.Option(help="Type that the encoder computes in.")
    ] = "auto",
    device: Annotated[str | None, typer.Option(help="Such as cpu or cuda:0; what there is when left out.")] = None,
    max_broken_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of broken rows above which the run stops.")
    ] = 0.01,
    push_to_hub: Annotated[
        str | None, typer.Option(metavar="NAME", help="Publish the result as this data set.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="A new data set on the Hub is private.")] = False,
) -> None:
    """Compute the ImageBind embedding of every medium of a data set, to train on them without the encoder."""
    try:
        options = {"images": images and str(images), "split": split}
        rows = load_source({"path": data} | {name: value for name, value in options.items() if value is not None})
        left_out = embed(
            rows,
            model,
            output,
            revision=revision,
            source=public_name(data),
            batch_size=batch_size,
            num_shards=num_shards,
            workers=workers,
            dtype=dtype,
            device=device,
            max_broken_share=max_broken_share,
        )
        if PartialState().is_main_process:
            print(f"{len(rows) - left_out} rows in {output}, {left_out} left out.")
            if push_to_hub is not None:
                print(publish_dataset(output, push_to_hub, private=private or None))
    except (OSError, ValueError, PublishError) as error:
        print(f"pandagpt embed: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


def main(argv: list[str] | None = None) -> None:
    """
    The command `pandagpt embed`.

    Args:
        argv (`list[str]`, *optional*):
            The arguments after `embed`; those of the process when `None`.
    """
    app(argv, prog_name="pandagpt embed")


if __name__ == "__main__":
    main()
