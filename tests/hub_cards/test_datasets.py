# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Conversations with their media become parquet that streams from the Hub, and nothing of this machine goes along."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import Audio, Features, Image, List, Value, Video, load_dataset
from huggingface_hub import DatasetCard, constants
from PIL import Image as PILImage

from chat_data.sources import load_source
from demo.untrained import build
from hub_cards.datasets import publish_dataset
from hub_cards.shards import _type_of_label, choose_num_shards
from hub_cards.upload import PublishError
from training.collator import PandaGPTDataCollator
from training.embeddings import embed


ROOT = Path(__file__).parents[2]


def chat(*blocks: dict, answer: str = "a panda") -> list[dict]:
    question = [*blocks, {"type": "text", "text": "what is it ?"}]
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def write_rows(path: Path, records: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return path


def pixels(path: Path, grey: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    PILImage.new("RGB", (16, 16), (grey,) * 3).save(path)
    return str(path)


@pytest.fixture(scope="module")
def conversations(tmp_path_factory, examples) -> Path:
    """Two splits, media of all six kinds given in several ways, and columns of labels."""
    folder = tmp_path_factory.mktemp("private") / "data"
    shutil.copytree(examples, folder / "media", ignore=lambda *_: {"__init__.py", "__pycache__"})
    records = []
    for index in range(16):
        picture = pixels(folder / "media" / str(index) / "picture.png", 10 * index)
        # By a path within the folder, or by that of this machine.
        blocks = [{"type": "image", "path": picture if index % 2 else f"media/{index}/picture.png"}]
        blocks += [{"type": "audio", "path": "media/sound.wav"}] if index % 4 == 0 else []
        records.append(
            {"messages": chat(*blocks), "answers": "panda" if index % 2 else ["a panda", "it"], "size": index}
        )
    records[1]["messages"] = chat({"type": "video", "path": "media/video.mp4"})
    records[2]["messages"] = chat(*({"type": kind, "path": f"media/{kind}.{suffix}"} for kind, suffix in [
        ("thermal", "png"), ("depth", "npy")
    ]))  # fmt: skip
    records[3]["messages"] = chat({"type": "imu", "path": "media/motion.csv"})
    tone = np.sin(np.arange(4000) / 9).tolist()
    records[5] |= {"messages": chat({"type": "audio"}), "audio": {"array": tone, "sampling_rate": 8000}}
    motion = np.zeros((6, 500)).tolist()
    records[7] |= {"messages": chat({"type": "imu"}), "imu": {"array": motion, "sampling_rate": 100}}
    write_rows(folder / "train.jsonl", records)
    write_rows(folder / "test.jsonl", records[:3])
    return folder


@pytest.fixture(scope="module")
def published(conversations) -> Path:
    """The folder as it would be pushed."""
    return Path(publish_dataset(conversations, "tester/dry", licence="cc-by-4.0", dry_run=True))


def tables(folder: Path, split: str = "train") -> list:
    return [pq.read_table(file) for file in sorted(folder.glob(f"data/{split}-*.parquet"))]


def test_columns_rows_and_shards(published):
    shards = tables(published)
    assert [table.num_rows for table in shards] == [2] * 8
    assert [table.num_rows for table in tables(published, "test")] == [2, 1]
    features = Features.from_arrow_schema(shards[0].schema)
    assert {name: features[name] for name in ("images", "videos", "audio", "thermal")} == {
        "images": List(Image()),
        "videos": List(Video()),
        "audio": List(Audio()),
        "thermal": List(Image()),
    }
    assert features["answers"] == List(Value("string")) and features["size"] == Value("int64")
    rows = [row for table in shards for row in table.to_pylist()]
    assert [row["id"] for row in rows] == [f"train.jsonl:{index}" for index in range(16)]
    assert [row["size"] for row in rows] == list(range(16)) and rows[1]["answers"] == ["panda"]


def test_media_are_whole_and_name_no_folder(published, conversations):
    rows = [row for table in tables(published) for row in table.to_pylist()]
    for index in (0, 9):
        (medium,) = rows[index]["images"]
        assert medium["path"] == f"media/{index}/picture.png"
        assert medium["bytes"] == (conversations / medium["path"]).read_bytes()
    samples, rate = soundfile.read(io.BytesIO(rows[5]["audio"][0]["bytes"]))
    assert rate == 8000 and np.abs(samples - np.sin(np.arange(4000) / 9)).max() < 1e-6
    assert rows[7]["imu"][0]["sampling_rate"] == 100
    everything = repr(rows) + (published / "README.md").read_text()
    assert str(conversations) not in everything and "private" not in everything


def test_what_is_published_trains_as_what_was_given(published, conversations):
    """The same batches, media and all, from the parquet files as from the json; the rate of motion is kept."""
    collator = PandaGPTDataCollator(build()[1], 50, 0)
    given = list(load_source({"path": str(conversations / "train.jsonl")}))
    stored = list(load_source({"path": str(published)}, streaming=True))
    assert len(given) == len(stored) == 16
    keep = [index for index in range(16) if index != 3]  # a file of motion needs a rate that the processor is told
    for index in keep:
        expected, found = collator([given[index]]), collator([stored[index]])
        assert expected.keys() == found.keys()
        assert all(bool((expected[name] == found[name]).all()) for name in expected), index


def test_the_card_of_a_data_set(published):
    card = DatasetCard.load(published / "README.md")
    data = card.data.to_dict()
    assert data["license"] == "cc-by-4.0" and data["size_categories"] == ["n<1K"]
    assert {"image-text-to-text", "video-text-to-text", "audio-text-to-text"} == set(data["task_categories"])
    declared = {feature["name"]: feature for feature in data["dataset_info"]["features"]}
    assert {name: declared[name]["list"] for name in ("images", "audio", "videos")} == {
        "images": "image",
        "audio": "audio",
        "videos": "video",
    }
    assert "| `train` | 16 | 8 |" in card.text and "| `test` | 3 | 2 |" in card.text
    assert "left out" not in card.text
    assert load_dataset(str(published), split="train").num_rows == 16  # as many as the metadata say


def test_the_original_json(tmp_path, capsys):
    pictures = [pixels(tmp_path / "images" / f"{index}.jpg", index) for index in range(3)]
    records = [
        {"image_name": str(index), "conversation": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}]}
        for index in range(5)
    ]
    (tmp_path / "images" / "3.jpg").write_bytes(Path(pictures[0]).read_bytes()[:200])
    (tmp_path / "data.json").write_text(json.dumps(records))
    with pytest.raises(PublishError, match=r"2 of 5 rows have .*the first is data.json:4 \(there is no file"):
        publish_dataset(tmp_path / "data.json", "tester/original", dry_run=True)
    folder = Path(publish_dataset(tmp_path / "data.json", "tester/original", max_broken_share=0.5, dry_run=True))
    assert re.search(r"left out: data.json:3: \w+: .*[Tt]runcated", capsys.readouterr().err)
    rows = [row for table in tables(folder) for row in table.to_pylist()]
    assert [row["id"] for row in rows] == ["data.json:0", "data.json:1", "data.json:2"]
    assert [row["images"][0]["path"] for row in rows] == ["0.jpg", "1.jpg", "2.jpg"]
    assert "2 rows were left out" in (folder / "README.md").read_text()


def test_a_full_disk_leaves_no_row_out(tmp_path, monkeypatch):
    write = pq.ParquetWriter.write_table
    full = iter([True])  # for a moment

    def write_unless_full(*arguments):
        if next(full, False):
            raise OSError(28, "No space left on device")
        write(*arguments)

    write_rows(tmp_path / "train.jsonl", [{"messages": chat()}] * 200)
    monkeypatch.setattr("hub_cards.shards.ParquetWriter.write_table", write_unless_full)
    monkeypatch.setattr("hub_cards.shards.ROWS_IN_GROUP", 2)
    with pytest.raises(PublishError, match="The disk is full"):
        publish_dataset(tmp_path, "tester/full", max_broken_share=1, dry_run=True)


def test_places_are_no_labels(tmp_path):
    place = str(tmp_path)
    assert [_type_of_label(label) for label in (place, [place], ["a", place])] == [object] * 3
    assert [_type_of_label(label) for label in ("a", ["a", "/b"], 1)] == [str, list, int]


def test_numbers_of_shards():
    assert [choose_num_shards(rows, 0) for rows in (1, 3, 7, 8, 10**6)] == [1, 2, 4, 8, 8]
    assert choose_num_shards(10**6, 41 * 10**9) == 88
    assert choose_num_shards(20, 41 * 10**9) == 16


@pytest.mark.parametrize(
    "records, arguments, message",
    [
        ([{"messages": chat()}] * 3, {"num_shards": 4}, "3 rows of train make no 4 shards"),
        ([{"messages": [chat()[0]]}], {}, r"no row to publish for train; .*no assistant turn"),
    ],
)
def test_what_cannot_be_published(tmp_path, records, arguments, message):
    write_rows(tmp_path / "train.jsonl", records)
    with pytest.raises(PublishError, match=message):
        publish_dataset(tmp_path, "tester/none", dry_run=True, **arguments)
    with pytest.raises(ValueError, match="there is no"):
        publish_dataset(tmp_path / "nowhere", "tester/none", dry_run=True)


# Is killed when some shards are whole.
KILLED = """
import os, signal, sys
from hub_cards import datasets, shards

finish = shards._Shard.finish

def finish_and_die(self, output):
    finish(self, output)
    if self.name.startswith("train-00004"):
        os.kill(os.getpid(), signal.SIGKILL)

shards._Shard.finish = finish_and_die
datasets.publish_dataset(sys.argv[1], "tester/killed", dry_run=True)
"""


def run(code: str, environment: dict[str, str], folder: Path, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = environment | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_a_killed_publication_goes_on(conversations, published, tmp_path):
    ran = run(KILLED, dict(os.environ) | {"HF_HOME": constants.HF_HOME}, tmp_path, conversations)
    assert ran.returncode == -9, ran.stderr
    data = Path(constants.HF_HOME) / "pandagpt" / "publish" / "tester--killed" / "hub" / "data"
    whole = {file: file.stat().st_mtime_ns for file in data.iterdir()}
    assert sorted(file.name for file in whole) == [f"train-{number:05d}-of-00008.parquet" for number in range(5)]
    folder = Path(publish_dataset(conversations, "tester/killed", dry_run=True))
    assert all(file.stat().st_mtime_ns == time for file, time in whole.items())
    assert [table.to_pylist() for table in tables(folder)] == [table.to_pylist() for table in tables(published)]


PUBLISH = """
import sys
from hub_cards.publish import main

for folder, repo in zip(sys.argv[1::2], sys.argv[2::2]):
    main(["dataset", folder, "--repo", repo])
"""

STREAM = """
import sys
from training.data import check_shards, load_datasets

rows, _ = load_datasets([{"path": "tester/conversations"}], streaming=True)
for processes in (2, 4, 8):
    check_shards(rows, processes)
print(rows.num_shards, sum(1 for row in rows if not row["error"]))
for block in sys.argv[1:]:
    exec(block, {})
"""


@pytest.fixture(scope="module")
def embeddings(conversations, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("embeddings")
    for part in build():
        part.save_pretrained(folder / "model")
    rows = load_source({"path": str(conversations / "test.jsonl")})
    embed(rows, folder / "model", folder / "embeds", source="test.jsonl", num_shards=2, workers=0, device="cpu")
    return folder / "embeds"


def test_what_is_on_the_hub_streams(loopback_hub, conversations, embeddings, tmp_path):
    environment = loopback_hub.environment(home=tmp_path / "home")
    repos = {"tester/conversations": conversations, "tester/embeddings": embeddings}
    arguments = [part for repo, folder in repos.items() for part in (folder, repo)]
    ran = run(PUBLISH, environment, tmp_path, *arguments)
    assert ran.returncode == 0, ran.stderr
    assert "pandagpt train --data tester/conversations --streaming" in ran.stdout
    assert not list((tmp_path / "home" / "pandagpt" / "publish").iterdir())
    blocks = []
    for repo, num_files in (("tester/conversations", 10), ("tester/embeddings", 2)):
        files = loopback_hub.files(repo, kind="dataset")
        assert sum(name.endswith(".parquet") for name in files) == num_files
        card = files["README.md"].decode()
        DatasetCard(card)
        blocks += re.findall(r"^```python\n(.*?)^```", card, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    streamed = run(STREAM, environment, tmp_path, *blocks)
    assert streamed.returncode == 0, streamed.stderr
    assert streamed.stdout.startswith("8 16\n") and "media/0/picture.png" in streamed.stdout
    assert "[64, 64]" in streamed.stdout
