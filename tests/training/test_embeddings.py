# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Embeddings computed once: the model's own, in shards that survive a kill, with a record of what made them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, load_dataset
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer
from typer.testing import CliRunner

from chat_data.rows import ROW
from chat_data.sources import load_source
from demo.untrained import build
from modeling_pandagpt import PandaGPTForConditionalGeneration
from processing import ImageBindProcessor, PandaGPTProcessor
from training.collator import PandaGPTDataCollator
from training.data import load_datasets
from training.embeddings import app, check_compatible, embed, load_encoder, read_record


ROOT = Path(__file__).parents[2]
FILES = {
    "video": "video.mp4",
    "audio": "sound.wav",
    "thermal": "thermal.png",
    "depth": "depth.npy",
    "imu": "motion.csv",
}
KINDS = [["image"], ["audio", "image"], ["thermal", "depth"], [], ["imu"], ["video"], ["image", "image"]]
CPU = {"workers": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def parts() -> tuple[PandaGPTForConditionalGeneration, PandaGPTProcessor]:
    """A tiny model and its processor, with weights so large that different media get very different embeddings."""
    network, processor = build(1)
    generator = torch.Generator().manual_seed(1)
    for weight in network.model.imagebind.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2, generator=generator)
    return network, processor


@pytest.fixture(scope="module")
def model(parts, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "panda"
    for part in parts:
        part.save_pretrained(folder)
    return folder


def make_rows(examples: Path, pictures: Path, kinds: list[list[str]]) -> Dataset:
    """Rows with media of these kinds, whose pictures all differ."""

    def record(index: int) -> dict:
        paths = [
            pictures / f"{(index + place) % 8}.jpg" if kind == "image" else examples / FILES[kind]
            for place, kind in enumerate(kinds[index])
        ]
        blocks = [
            {"type": kind, "text": None, "path": str(path)} for kind, path in zip(kinds[index], paths, strict=True)
        ]
        question = {"role": "user", "content": [*blocks, {"type": "text", "text": f"is it {index} ?", "path": None}]}
        answer = {"role": "assistant", "content": [{"type": "text", "text": "a panda", "path": None}]}
        return {"id": f"row-{index}", "source": "examples", "messages": [question, answer]}

    columns = ("id", "source", "messages")
    features = type(ROW)({name: ROW[name] for name in columns})
    return Dataset.from_list([record(index) for index in range(len(kinds))], features=features)


@pytest.fixture(scope="module")
def rows(examples, original_data) -> Dataset:
    return make_rows(examples, original_data.parent / "images", KINDS)


@pytest.fixture(scope="module")
def embedded(rows, model, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("embeddings") / "all"
    assert embed(rows, model, output, num_shards=2, batch_size=4, **CPU) == 0
    return output


@pytest.fixture(scope="module")
def embedded_in_half(rows, model, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("embeddings") / "half"
    assert embed(rows, model, output, num_shards=2, batch_size=4, dtype="bfloat16", **CPU) == 0
    return output


@pytest.fixture(scope="module")
def picture_records(original_data, tmp_path_factory) -> Path:
    """The original's eight records several times over, in a json of their own beside no pictures."""
    path = tmp_path_factory.mktemp("records") / "data.json"
    path.write_text(json.dumps(json.loads(original_data.read_text(encoding="utf-8")) * 12), encoding="utf-8")
    return path


def shards(output: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((output / "data").iterdir())}


def launch(launcher: list[str], *arguments: str | Path) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *launcher, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen) -> str:
    output = process.communicate(timeout=240)[0].decode()
    assert process.returncode == 0, output
    return output


ONE_PROCESS = ["-m", "training.embeddings"]
TWO_PROCESSES = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "training.embeddings"]


@pytest.fixture(scope="module")
def by_one_process(model, picture_records, original_data, tmp_path_factory) -> tuple[list[str | Path], Path]:
    output = tmp_path_factory.mktemp("one") / "out"
    images = original_data.parent / "images"
    arguments = ["--model", model, "--data", picture_records, "--images", images, "--num-shards", "16"]
    arguments += ["--batch-size", "2", "--workers", "0", "--device", "cpu"]
    assert "96 rows in" in finish(launch(ONE_PROCESS, *arguments, "--output", output))
    return arguments, output


@pytest.mark.parametrize(
    ("output", "stored", "tolerance"), [("embedded", "float32", 1e-5), ("embedded_in_half", "float16", 2e-2)]
)
def test_embeddings_are_those_of_the_model(rows, output, stored, tolerance, request, parts):
    network, processor = parts
    written = load_dataset(str(request.getfixturevalue(output)), split="train")
    assert written.features["media_embeds"].feature.feature.dtype == stored
    assert written["id"] == rows["id"]
    for row, original in zip(written, rows, strict=True):
        inputs = processor.apply_chat_template(
            [{**m, "content": [dict(block) for block in m["content"]]} for m in original["messages"]],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        if "media_types" not in inputs:
            assert row["media_embeds"] == [] == row["media_types"]
            continue
        text = ("attention_mask", "media_slots")
        with torch.no_grad():
            encoded = network.model.encode_media(**{name: v for name, v in inputs.items() if name not in text})
        assert row["media_types"] == encoded.media_types[0].tolist()
        np.testing.assert_allclose(row["media_embeds"], encoded.media_embeds[0], atol=tolerance, rtol=0)
    pictures = np.array([written[index]["media_embeds"][-1] for index in (0, 1, 6)])
    assert np.abs(pictures - np.roll(pictures, 1, axis=0)).max(axis=1).min() > 0.04  # more than the tolerance


def test_rows_keep_their_text_without_paths(rows, embedded):
    written = load_source({"path": str(embedded)})
    for row, original in zip(written, rows, strict=True):
        blocks = [block for message in row["messages"] for block in message["content"]]
        expected = [block for message in original["messages"] for block in message["content"]]
        assert blocks == [{**block, "path": None} for block in expected]


def test_nothing_tells_of_this_machine(by_one_process):
    arguments, output = by_one_process
    written = load_dataset(str(output), split="train")
    assert written[5]["id"] == "data.json:5" and written[5]["source"] == "data.json"
    published = b"".join([*shards(output).values(), (output / "embeddings.json").read_bytes()])
    # Parquet is compressed: what its columns hold is looked at as well.
    for path in (str(argument).encode() for argument in arguments if isinstance(argument, Path)):
        assert path not in published + str(written.to_dict()).encode()


def test_streaming_gives_the_same_and_keeps_the_record(embedded, model):
    whole, stream = (load_dataset(str(embedded), split="train", streaming=streaming) for streaming in (False, True))
    assert stream.num_shards == 2
    assert list(stream) == list(whole)
    check_compatible(stream, model)
    check_compatible(whole.filter(lambda row: row["media_types"]).select_columns(["id", "encoder"]), model)
    check_compatible({"path": str(embedded)}, model)
    check_compatible(embedded, model)


def test_record_survives_being_written_anew(embedded, tmp_path):
    load_dataset(str(embedded), split="train").to_parquet(tmp_path / "copy.parquet")
    assert read_record(tmp_path / "copy.parquet") == read_record(embedded)
    assert read_record(embedded)["model"] == "panda"


def test_only_the_encoder_is_read(model, parts, tmp_path):
    network, processor = parts
    network.save_pretrained(tmp_path, max_shard_size="100KB")
    processor.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    needed = {file for name, file in index.items() if name.startswith("model.imagebind.")}
    assert needed != set(index.values())
    for file in set(index.values()) - needed:
        (tmp_path / file).unlink()
    encoder, _, record = load_encoder(tmp_path)
    expected = network.model.imagebind.state_dict()
    assert encoder.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in encoder.state_dict().items())
    assert record["encoders"] == load_encoder(model)[2]["encoders"]  # whatever files the weights lie in


def test_embeddings_fit_imagebind_alone(parts, embedded, fixtures, tmp_path):
    parts[0].model.imagebind.save_pretrained(tmp_path)
    tokenizer = CLIPTokenizer.from_pretrained(fixtures / "clip_tokenizer")
    ImageBindProcessor(tokenizer=tokenizer).save_pretrained(tmp_path)
    check_compatible(embedded, tmp_path)
    assert load_encoder(tmp_path)[2]["encoders"] == read_record(embedded)["encoders"]


def change_weight(folder: Path) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights["model.imagebind.audio_model.head.projection.weight"][0, 0] += 1e-3
    save_file(weights, file, metadata={"format": "pt"})


def change_config(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["imagebind_config"]["vision_config"]["layer_norm_eps"] = 1e-5
    (folder / "config.json").write_text(json.dumps(config))


def change_preprocessing(folder: Path) -> None:
    config = json.loads((folder / "processor_config.json").read_text())
    config["feature_extractor"]["mean"] = -4.0
    (folder / "processor_config.json").write_text(json.dumps(config))


def change_language_model(folder: Path) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    save_file({name: t if "imagebind" in name else t + 1 for name, t in weights.items()}, file, {"format": "pt"})


@pytest.mark.parametrize(
    ("change", "difference"),
    [(change_weight, "audio encoder"), (change_config, "vision encoder"), (change_preprocessing, "preprocessing")],
)
def test_another_encoder_is_an_error(embedded, parts, tmp_path, change, difference):
    for part in parts:
        part.save_pretrained(tmp_path)
    check_compatible(embedded, tmp_path)
    change_language_model(tmp_path)
    check_compatible(embedded, tmp_path)
    change(tmp_path)
    with pytest.raises(ValueError, match=rf"made with panda, from which .* differs in {difference} \(\w+, now \w+\):"):
        check_compatible(embedded, tmp_path)


@pytest.mark.parametrize("streaming", [False, True])
def test_embeddings_of_several_types_are_mixed(rows, parts, embedded, embedded_in_half, streaming):
    sources = [{"path": str(embedded)}, {"path": str(embedded_in_half)}]
    mixed, validation = load_datasets(sources, validation_share=0.3, streaming=streaming)
    given = [*mixed, *validation]
    assert Counter(row["id"] for row in given) == {row["id"]: 2 for row in rows}
    assert all("encoder" not in row for row in given)
    batch = PandaGPTDataCollator(parts[1], max_length=64)(given)
    assert batch["media_embeds"].dtype == torch.float32


@pytest.mark.parametrize("streaming", [False, True])
def test_embeddings_and_media_are_not_mixed(embedded, original_data, streaming):
    sources = [{"path": str(embedded)}, {"path": str(original_data)}]
    with pytest.raises(ValueError, match=r"all are embeddings, but .*data\.json are media: compute all embeddings"):
        load_datasets(sources, streaming=streaming)


@pytest.fixture
def on_the_hub(model) -> Iterator[Path]:
    """The model as the Hub's cache keeps `examples/panda`: commit a…, and b… which is main. Gives the folder."""
    folder = Path(constants.HF_HUB_CACHE) / "models--examples--panda"
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(model, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("b" * 40)
    yield folder
    shutil.rmtree(folder)


def test_same_commit_needs_no_weights_and_another_compares_them(rows, on_the_hub, tmp_path):
    embed(rows, "examples/panda", tmp_path / "out", revision="a" * 40, num_shards=2, **CPU)
    record = read_record(tmp_path / "out")
    assert (record["model"], record["commit"]) == ("examples/panda", "a" * 40)
    (on_the_hub / "snapshots" / ("a" * 40) / "model.safetensors").unlink()
    check_compatible(tmp_path / "out", "examples/panda", "a" * 40)
    check_compatible(tmp_path / "out", "examples/panda")  # only the commit is another
    change_weight(on_the_hub / "snapshots" / ("b" * 40))
    with pytest.raises(ValueError, match=rf"made with examples/panda at {'a' * 40}, .* differs in audio encoder"):
        check_compatible(tmp_path / "out", "examples/panda")


def test_data_without_a_record_are_an_error(rows, model):
    with pytest.raises(ValueError, match="does not say what its embeddings were made with"):
        check_compatible(rows, model)


def test_missing_weights_are_an_error(parts, tmp_path):
    for part in parts:
        part.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.imagebind.imu_model.head.norm.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights of the encoder, imu_model\.head\.norm\.weight"):
        load_encoder(tmp_path)


def test_broken_media_are_left_out_and_reported(examples, original_data, model, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    rows = make_rows(examples, original_data.parent / "images", [["image"]] * 10).to_list()
    rows[3]["messages"][0]["content"][0]["path"] = str(tmp_path / "bad.png")
    rows[7]["messages"][0]["content"][0]["path"] = str(tmp_path / "absent.png")
    rows = Dataset.from_list(rows)
    output = tmp_path / "out"
    with pytest.raises(ValueError, match=r"max_broken_share allows 0\.1, the first of them .*row-3"):
        embed(rows, model, output, num_shards=2, **CPU)
    assert embed(rows, model, output, num_shards=2, max_broken_share=0.2, workers=2, device="cpu") == 2
    written = load_dataset(str(output), split="train")
    assert written["id"] == [f"row-{index}" for index in range(10) if index not in (3, 7)]
    reports = [json.loads(line) for file in sorted(output.glob("broken-*")) for line in file.read_text().splitlines()]
    assert [report["id"] for report in reports] == ["row-3", "row-7"]
    assert "bad.png" in reports[0]["reason"] and "absent.png" in reports[1]["reason"]
    with pytest.raises(ValueError, match=r"2 rows are broken"):
        embed(rows, model, output, num_shards=2, max_broken_share=0.1, **CPU)


def test_whole_shards_are_kept_and_settings_compared(rows, model, embedded, tmp_path):
    output = tmp_path / "out"
    embed(rows, model, output, num_shards=2, batch_size=4, **CPU)
    expected = shards(output)
    assert expected == shards(embedded)
    first, second = sorted((output / "data").iterdir())
    first.write_bytes(b"whole, since it has its name")
    second.rename(second.with_name(f".{second.name}"))  # a run was killed over it
    embed(rows, model, output, num_shards=2, batch_size=4, **CPU)
    assert shards(output) == expected | {first.name: b"whole, since it has its name"}
    for changes, message in (
        ({"num_shards": 3}, r"num_shards \(2, now 3\)"),
        ({"dtype": "bfloat16"}, r"dtype \(float32, now bfloat16\)"),
    ):
        with pytest.raises(ValueError, match=f"begun with other settings: {message}"):
            embed(rows, model, output, **({"num_shards": 2} | changes), **CPU)
    with pytest.raises(ValueError, match="begun with other settings: ids"):
        embed(rows.select([1, 0, 2, 3, 4, 5, 6]), model, output, num_shards=2, **CPU)


def test_more_shards_than_rows_are_an_error(rows, model, tmp_path):
    with pytest.raises(ValueError, match="7 rows make no 8 shards: give num_shards of at most 7"):
        embed(rows, model, tmp_path, **CPU)


def test_killed_run_goes_on_to_the_same_files(by_one_process, tmp_path):
    arguments, expected = by_one_process
    output = tmp_path / "out"
    process = launch(ONE_PROCESS, *arguments, "--output", output)
    while process.poll() is None and not list(output.glob("data/train-*")):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    whole = {file: file.stat().st_mtime_ns for file in output.glob("data/train-*")}
    assert 0 < len(whole) < 16
    finish(launch(ONE_PROCESS, *arguments, "--output", output))
    assert shards(output) == shards(expected)
    assert {file: file.stat().st_mtime_ns for file in whole} == whole


def test_two_processes_write_what_one_does(by_one_process, tmp_path):
    arguments, expected = by_one_process
    output = finish(launch(TWO_PROCESSES, *arguments, "--output", tmp_path / "out"))
    assert output.count("96 rows in ") == 1
    assert shards(tmp_path / "out") == shards(expected)
    assert (tmp_path / "out" / "embeddings.json").read_bytes() == (expected / "embeddings.json").read_bytes()


def test_command_reports_bad_input(model, tmp_path):
    arguments = ["--model", str(model), "--output", str(tmp_path)]
    result = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path / "absent.json")])
    assert result.exit_code == 2
    assert "pandagpt embed: " in result.stderr and "absent.json" in result.stderr


def test_loss_is_the_same_on_media_and_on_embeddings_without_encoders(rows, embedded, model):
    network = PandaGPTForConditionalGeneration.from_pretrained(model).eval()
    bare = PandaGPTForConditionalGeneration.from_pretrained(model, modalities=[]).eval()
    assert not list(bare.model.imagebind.parameters())
    collator = PandaGPTDataCollator(load_encoder(model)[1], max_length=64)
    raw, written = (collator(list(data)) for data in (rows, load_source({"path": str(embedded)})))
    assert "media_embeds" in written and "pixel_values" not in written
    with torch.no_grad():
        assert bare(**written).loss.item() == pytest.approx(network(**raw).loss.item(), abs=1e-5)
