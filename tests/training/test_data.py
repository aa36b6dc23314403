# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Sources of every form become rows of one schema, undecoded; mixing, validation, streaming, lengths."""

import base64
import io
import json
import zipfile
from collections import Counter

import datasets
import numpy as np
import pytest
from datasets import Dataset, Features, IterableDataset, List, Value
from PIL import Image

from chat_data.rows import ROW, media_of, to_row
from chat_data.sources import load_source
from training.collator import PandaGPTDataCollator
from training.data import add_lengths, check_shards, load_datasets


CHAT = [{"role": "user", "content": "what is it ?"}, {"role": "assistant", "content": "a panda"}]


def png(grey: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (grey,) * 3).save(file, "PNG")
    return file.getvalue()


def write_json(path, records) -> str:
    path.write_text(json.dumps(records), encoding="utf-8")
    return str(path)


def chats(count: int, name: str) -> list[dict]:
    return [{"id": f"{name}{index}", "messages": CHAT} for index in range(count)]


def contents(row: dict) -> list[list[str]]:
    """`[["image", "what is it ?"], ["a panda"]]`: of each message the kinds of media, and the texts."""
    return [
        [block["text"] if block["type"] == "text" else block["type"] for block in message["content"]]
        for message in row["messages"]
    ]


def media(row: dict) -> list:
    return [medium for _, medium in media_of(row)]


def test_the_original_json(original_data):
    rows = load_source({"path": str(original_data)})
    assert rows.features == ROW and len(rows) == 8
    folder = original_data.parent / "images"
    for index, row in enumerate(rows):
        assert row["error"] is None and row["id"] == f"{original_data}:{index}" and row["source"] == str(original_data)
        assert row["pictures"] == [{"bytes": None, "path": str(folder / f"{index}.jpg"), "sampling_rate": None}]
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * (1 + (index % 3 == 0))
    assert contents(rows[1]) == [["image", "what is it ?"], ["a panda on the red road"]]
    assert contents(rows[3])[2:] == [["and now ?"], ["the same the same the same panda"]]


def test_names_and_folders_of_pictures(tmp_path):
    names = ["a", "a.b", "c.PNG", "d.jpeg", "/elsewhere/e", "https://example.org/f.jpg"]
    path = write_json(tmp_path / "data.json", [{"image_name": name, "conversation": CHAT} for name in names])
    found = [row["pictures"][0]["path"] for row in load_source({"path": path})]
    assert found == [
        *(f"{tmp_path}/{name}" for name in ("a.jpg", "a.b.jpg", "c.PNG", "d.jpeg")),
        *("/elsewhere/e.jpg", "https://example.org/f.jpg"),
    ]
    (tmp_path / "pictures").mkdir()
    rows = load_source({"path": path, "images": str(tmp_path / "pictures")})
    assert rows[0]["pictures"][0]["path"] == str(tmp_path / "pictures" / "a.jpg")
    with pytest.raises(ValueError, match="folder of media .*nowhere.* does not exist"):
        load_source({"path": path, "images": str(tmp_path / "nowhere")})


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_chats_in_text_files(tmp_path, suffix):
    answer = {"role": "assistant", "content": [{"type": "text", "text": "a panda"}]}
    question = {"type": "text", "text": "what is it ?"}
    records = [
        {"messages": CHAT},
        {"id": 7, "messages": [{"role": "system", "content": "be short"}, *CHAT]},
        {"messages": [{"role": "user", "content": [{"type": "audio", "path": "a.wav"}, question]}, answer]},
        {"conversations": [{"from": "human", "value": "see <image>\nor <image> ?"}, {"from": "gpt", "value": "yes"}]}
        | {"image": ["a.png", "b.png"]},
        {"messages": CHAT, "video": "a.mp4", "images": ["a.png"]},
    ]
    path = tmp_path / f"data.{suffix}"
    path.write_text(json.dumps(records) if suffix == "json" else "\n".join(map(json.dumps, records)))
    rows = list(load_source({"path": str(path)}))
    assert [row["error"] for row in rows] == [None] * 5
    assert [row["id"] for row in rows] == [f"{path}:0", "7", *(f"{path}:{index}" for index in (2, 3, 4))]
    assert contents(rows[0]) == [["what is it ?"], ["a panda"]]
    assert contents(rows[1])[0] == ["be short"]
    assert contents(rows[2])[0] == ["audio", "what is it ?"] and media(rows[2]) == [str(tmp_path / "a.wav")]
    assert contents(rows[3])[0] == ["see", "image", "or", "image", "?"]
    assert media(rows[3]) == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert contents(rows[4])[0] == ["image", "video", "what is it ?"]
    assert media(rows[4]) == [str(tmp_path / "a.png"), str(tmp_path / "a.mp4")]


def test_a_changed_file_is_read_anew(tmp_path):
    path = write_json(tmp_path / "data.json", chats(2, "a"))
    assert len(load_source({"path": path})) == 2
    write_json(tmp_path / "data.json", chats(3, "a"))
    assert len(load_source({"path": path})) == 3


@pytest.mark.parametrize(
    "block, expected",
    [
        ({"type": "image", "path": "a.png"}, "/data/a.png"),
        ({"type": "image", "url": "https://example.org/a.png"}, "https://example.org/a.png"),
        ({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}, "https://example.org/a.png"),
        ({"type": "image", "base64": base64.b64encode(png()).decode()}, None),
        ({"type": "image", "image": {"bytes": png(), "path": None}}, png()),
        ({"type": "image", "image": png()}, png()),
        ({"type": "image"}, "/data/column.png"),
    ],
)
def test_blocks_of_media(block, expected, untrained):
    messages = [{"role": "user", "content": [block, {"type": "text", "text": "what ?"}]}, CHAT[1]]
    columns = {"images": ["column.png"]} if block == {"type": "image"} else {}
    row = to_row({"messages": messages, **columns}, "a", "test", "/data")
    assert row["error"] is None and contents(row)[0] == ["image", "what ?"]
    if expected is None:
        assert PandaGPTDataCollator(untrained[1], 50, 0)([row])["pixel_values"].shape == (1, 3, 224, 224)
    else:
        assert media(row) == [expected]


def test_blocks_and_columns_in_turn():
    content = [{"type": "image"}, {"type": "image", "image": b"own"}, {"type": "image"}]
    record = {"messages": [{"role": "user", "content": content}, CHAT[1]], "images": ["a.png", "b.png"]}
    assert media(to_row(record, "a", "test")) == ["a.png", b"own", "b.png"]


@pytest.mark.parametrize(
    "column, value, expected",
    [
        ("imu", np.zeros((6, 5)), 1),
        ("imu", np.zeros((2, 6, 5)), 2),
        ("depth", np.ones((4, 4)), 1),
        ("image", np.zeros((4, 4, 3), np.uint8), 1),
        ("audio", {"array": [0.1, 0.2], "sampling_rate": 8000}, 1),
    ],
)
def test_arrays(column, value, expected):
    value = value.tolist() if isinstance(value, np.ndarray) else value
    row = to_row({"messages": CHAT, column: value}, "a", "test")
    assert row["error"] is None and len(media(row)) == expected


@pytest.mark.parametrize(
    "record, reason",
    [
        ({"text": "x"}, "neither messages nor a conversation"),
        ({"messages": CHAT[:1]}, "no assistant turn"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "turn 0 is by 'tool'"),
        ({"messages": [{"role": "user", "content": None}]}, "turn 0 must say a string or a list of blocks"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "unknown type 'smell'"),
        ({"messages": ["x"]}, "turn 0 must be a mapping"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}, CHAT[1]]}, "more blocks of type image"),
        (
            {
                "messages": [{"role": "user", "content": [{"type": "image", "path": "a"}]}, CHAT[1]],
                "images": ["b", "c"],
            },
            "2 media of type image more than blocks",
        ),
        ({"messages": [CHAT[1]], "images": ["a"]}, "no question of a user"),
        ({"messages": CHAT, "audio": [0.1, 0.2]}, "array of sound needs its sampling_rate"),
        ({"messages": CHAT, "video": {"path": None}}, "neither bytes nor a path"),
        ({"messages": CHAT, "image": 5}, "cannot be read from a int"),
        ({"messages": CHAT, "depth": [[1.0], [1.0, 2.0]]}, ""),
    ],
)
def test_a_record_that_makes_no_sense_keeps_its_reason(record, reason):
    row = to_row({"id": "it", **record}, "a", "test")
    assert row["id"] == "it" and row["messages"] == [] and row["error"] is not None and reason in row["error"]
    assert set(row) == set(ROW)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as on the Hub: parquet files with the library's own types for pictures and sounds."""
    folder = tmp_path_factory.mktemp("published")
    image_block = {"type": "image", "text": None}
    text_block = {"type": "text", "text": "what is it ?"}
    answer = [{"type": "text", "text": "a panda"}]
    messages = [{"role": "user", "content": [image_block, text_block]}, {"role": "assistant", "content": answer}]
    block = {"type": Value("string"), "text": Value("string")}
    rows = {
        "messages": [messages] * 12,
        "images": [[{"bytes": png(index), "path": f"{index}.png"}] for index in range(12)],
        "audio": [{"bytes": b"no sound", "path": None}] + [None] * 11,
    }
    features = Features(
        {
            "messages": List({"role": Value("string"), "content": List(block)}),
            "images": List(datasets.Image()),
            "audio": {"bytes": Value("binary"), "path": Value("string")},
        }
    )
    data = Dataset.from_dict(rows, features=features).cast_column("audio", datasets.Audio())
    for shard in range(4):
        data.shard(4, shard, contiguous=True).to_parquet(folder / f"train-{shard:05d}-of-00004.parquet")
    return folder


@pytest.mark.parametrize("streaming", [False, True])
def test_data_sets_of_the_library(published, untrained, streaming):
    rows = load_source({"path": str(published)}, streaming)
    assert isinstance(rows, IterableDataset) == streaming and rows.features == ROW
    rows = list(rows)
    assert len({row["id"] for row in rows}) == 12
    assert [row["pictures"][0]["bytes"] for row in rows] == [png(index) for index in range(12)]
    # The sound, which nothing could decode, was not decoded, and stands beside the picture.
    assert contents(rows[0])[0] == ["audio", "image", "what is it ?"] and media(rows[0]) == [b"no sound", png(0)]
    assert contents(rows[1])[0] == ["image", "what is it ?"]
    batch = PandaGPTDataCollator(untrained[1], 60, 0)(rows[1:3])
    assert batch["pixel_values"].shape == (2, 3, 224, 224)


def test_arrow_folders_and_single_files(published, tmp_path):
    data = datasets.load_dataset(str(published), split="train")
    data.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": data, "test": data.select(range(3))}).save_to_disk(tmp_path / "several")
    data.to_parquet(tmp_path / "all.parquet")
    assert len(load_source({"path": str(tmp_path / "one")})) == 12
    assert len(load_source({"path": str(tmp_path / "several")})) == 12
    assert len(load_source({"path": str(tmp_path / "several"), "split": "test"})) == 3
    assert len(list(load_source({"path": str(tmp_path / "one")}, streaming=True))) == 12
    assert len(load_source({"path": str(next((tmp_path / "one").glob("*.arrow")))})) == 12
    for streaming in (False, True):
        assert len(list(load_source({"path": str(tmp_path / "all.parquet")}, streaming))) == 12
    with pytest.raises(ValueError, match="has no split 'dev', only train, test"):
        load_source({"path": str(tmp_path / "several"), "split": "dev"})
    with pytest.raises(ValueError, match="has no splits"):
        load_source({"path": str(tmp_path / "one"), "split": "dev"})


def test_pictures_in_an_archive_are_streamed(tmp_path, untrained):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        lines = [{"file_name": f"{index}.png", "messages": CHAT} for index in range(3)]
        archive.writestr("metadata.jsonl", "\n".join(map(json.dumps, lines)))
        for index in range(3):
            archive.writestr(f"{index}.png", png(100 * index))
    rows = list(load_source({"path": str(tmp_path)}, streaming=True))
    batch = PandaGPTDataCollator(untrained[1], 60, 0)(rows)
    levels = batch["pixel_values"].mean((1, 2, 3)).tolist()
    assert levels == sorted(levels) and len(set(levels)) == 3


def test_rows_with_embeddings_are_taken_as_they_are(tmp_path, untrained):
    plain = to_row({"messages": CHAT, "images": ["a.png"]}, "a", "test")
    rows = [
        {name: plain[name] for name in ("source", "messages")}
        | {"id": str(index), "media_embeds": [[index / 8] * 64], "media_types": [1], "encoder": "x"}
        for index in range(4)
    ]
    features = {name: ROW[name] for name in ("id", "source", "messages")}
    features |= {"media_embeds": List(List(Value("float16"))), "media_types": List(Value("int64"))}
    Dataset.from_list(rows, features=Features(features | {"encoder": Value("string")})).to_parquet(
        tmp_path / "e.parquet"
    )
    for streaming in (False, True):
        train = load_source({"path": str(tmp_path / "e.parquet")}, streaming)
        assert "encoder" in train.column_names
        batch = PandaGPTDataCollator(untrained[1], 60, 0)(list(train))
        assert batch["media_embeds"][:, 0, 0].tolist() == [0, 0.125, 0.25, 0.375] and "pixel_values" not in batch


@pytest.fixture
def two_sources(tmp_path) -> list[dict]:
    names = {"a": 64, "b": 16}
    return [{"path": write_json(tmp_path / f"{name}.json", chats(count, name))} for name, count in names.items()]


@pytest.mark.parametrize("streaming", [False, True])
def test_without_weights_every_sample_comes_once(two_sources, streaming):
    train, validation = load_datasets(two_sources, streaming=streaming)
    ids = [row["id"] for row in train]
    assert validation is None and len(ids) == len(set(ids)) == 80
    # Streamed rows are shuffled here, others by the sampler.
    assert (sorted(ids[:32], key=lambda name: (int(name[1:]), name)) != ids[:32]) == streaming
    assert ids == [row["id"] for row in load_datasets(two_sources, streaming=streaming)[0]]


@pytest.mark.parametrize("streaming", [False, True])
def test_weights(two_sources, streaming):
    sources = [two_sources[0], {**two_sources[1], "weight": 3}]
    train, _ = load_datasets(sources, streaming=streaming)
    counts = Counter(row["id"][0] for row in train)
    assert {row["id"] for row in train} == {f"{name}{i}" for name, n in (("a", 64), ("b", 16)) for i in range(n)}
    assert counts["b"] / counts.total() == pytest.approx(0.75, abs=0.08)


@pytest.mark.parametrize("streaming", [False, True])
def test_validation_is_apart(two_sources, streaming):
    weighted = [{**source, "weight": 1} for source in two_sources]
    train, validation = load_datasets(weighted, 0.25, streaming)
    ids, held_out = {row["id"] for row in train}, [row["id"] for row in validation]
    assert not ids & set(held_out) and len(ids) + len(held_out) == 80 and len(set(held_out)) == len(held_out)
    assert len(held_out) == (pytest.approx(20, abs=8) if streaming else 20)
    assert {name[0] for name in held_out} == {"a", "b"}
    assert held_out == [row["id"] for row in load_datasets(weighted, 0.25, streaming)[1]]
    assert set(held_out) != {row["id"] for row in load_datasets(weighted, 0.25, streaming, seed=1)[1]}


def test_streamed_shards_are_disjoint_and_of_equal_size(two_sources, published):
    train, _ = load_datasets(two_sources[:1], streaming=True)
    assert train.num_shards == 64
    parts = [[row["id"] for row in train.shard(2, index)] for index in range(2)]
    assert [len(part) for part in parts] == [32, 32] and len({*parts[0], *parts[1]}) == 64
    files = load_source({"path": str(published)}, streaming=True)
    for processes in (1, 2, 4, 5):
        check_shards(files, processes)
    with pytest.raises(ValueError, match="4 shards cannot be dealt out evenly to 3 processes: .*num_shards"):
        check_shards(files, 3)


def test_lengths(tmp_path, untrained):
    turns = [("what is it ?", "a panda " * count) for count in (1, 3, 30)] + [("why " * 100, "so")]
    records = [
        {
            "id": str(index),
            "image_name": "missing",  # nobody looks
            "conversation": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}],
        }
        for index, (question, answer) in enumerate(turns)
    ]
    records.append({"id": "broken", "conversation": []})
    late = [{"from": "human", "value": "why ?"}, {"from": "system", "value": "so"}, {"from": "gpt", "value": "so"}]
    records.append({"id": "late", "conversation": late})  # the prompt has a place for a system message at the top only
    train, _ = load_datasets([{"path": write_json(tmp_path / "data.json", records)}])
    measured = add_lengths(train, untrained[1], 60)
    assert measured["id"] == ["0", "1", "2", "broken", "late"]
    collator = PandaGPTDataCollator(untrained[1], 60)
    lengths = [len(collator.tokenize(row).input_ids) for row in measured.select(range(3))]
    assert lengths[0] < lengths[1] < lengths[2] and measured["length"] == [*lengths, 1, 1]
    assert measured["truncated"] == [False, False, True, False, False]
    assert measured.features["pictures"] == ROW["pictures"]
    assert add_lengths(train, untrained[1], 2000)["length"][2] > lengths[2]


def test_lengths_of_chosen_rows(two_sources, untrained):
    """After mixing and splitting, the same rows in the same order, and no media copied."""
    train, _ = load_datasets([{**source, "weight": 1} for source in two_sources], 0.25)
    measured = add_lengths(train, untrained[1], 60)
    assert measured["id"][:] == train["id"][:] and len(set(measured["length"])) == 1
    assert len(measured.data) < len(train) + 21  # rows that are drawn several times are stored once


@pytest.mark.parametrize(
    "source, reason",
    [
        ({}, "source 0 must have a path"),
        ({"path": "a.json", "folder": "b"}, "source 0 must have a path and may have"),
        ({"path": "a.json", "weight": 0}, "weight above 0, got 0"),
        ({"path": "no/such/file.json"}, "there is no no/such/file.json"),
    ],
)
def test_sources_that_make_no_sense(source, reason):
    with pytest.raises(ValueError, match=reason):
        load_datasets([source])


def test_arguments_that_make_no_sense():
    with pytest.raises(ValueError, match="no source of data"):
        load_datasets([])
    with pytest.raises(ValueError, match="validation_share must be"):
        load_datasets([{"path": "a"}], 1.0)


def test_files_that_make_no_sense(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match="a.txt is of no known format"):
        load_source({"path": str(tmp_path / "a.txt")})
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n{')
    with pytest.raises(ValueError, match="line 2 is neither"):
        load_source({"path": str(tmp_path / "a.jsonl")})
    with pytest.raises(ValueError, match="record 1 must be a mapping, got int"):
        load_source({"path": write_json(tmp_path / "b.json", [*chats(1, "a"), 5])})
    Dataset.from_dict({"text": ["x"]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(ValueError, match="has no column messages, .*only text"):
        load_source({"path": str(tmp_path / "c.parquet")})
    with pytest.raises(ValueError, match="d.json has no records"):
        load_source({"path": write_json(tmp_path / "d.json", [])})
