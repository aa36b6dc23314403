# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Batches: labels and loss equal the original's; what is cut, dropped, broken, and how media reach the model."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from transformers import AutoTokenizer

from chat_data.rows import media_of, to_row
from modeling_pandagpt import PandaGPTForConditionalGeneration
from processing import PandaGPTProcessor
from training.collator import PandaGPTDataCollator
from training.data import load_datasets


GOLDEN_CASES = ["batch3", "single", "multi", "long", "batch3_len400"]


def png(color="red", size=(8, 8)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def row(question="what is it ?", answer="a panda on the road", name="a", **record) -> dict:
    """A row about a picture, or about the media of `record`."""
    record = record or {"images": [{"bytes": png()}]}
    turns = [("user", question), ("assistant", answer)]
    return to_row({"messages": [{"role": role, "content": text} for role, text in turns], **record}, name, "test")


@pytest.fixture
def collator(untrained) -> PandaGPTDataCollator:
    return PandaGPTDataCollator(untrained[1], max_length=100)


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """What the collator warns of."""
    messages: list[str] = []
    monkeypatch.setattr("training.collator.logger.warning", lambda text, *values: messages.append(text % values))
    return messages


def golden_rows(fixtures, folder, tmp_path, case: str) -> tuple[list[dict], int]:
    """The rows of a golden case, out of a json file in the original's format."""
    golden = json.loads((fixtures / "pandagpt_tiny" / "train_forward.json").read_text())
    case = golden["cases"][case]
    records = [
        {"image_name": image.removesuffix(".jpg"), "conversation": golden["conversations"][name]}
        for image, name in zip(case["images"], case["conversations"], strict=True)
    ]
    (tmp_path / "data.json").write_text(json.dumps(records))
    rows, _ = load_datasets([{"path": str(tmp_path / "data.json"), "images": str(folder)}])
    return list(rows), case["max_tgt_len"]


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_labels_equal_the_golden_ones(golden_processor, fixtures, tmp_path, case):
    golden = load_file(fixtures / "pandagpt_tiny" / "train_forward.safetensors")
    for name in ("dog", "car", "bird"):
        (tmp_path / f"{name}_image.jpg").write_bytes(png())
    rows, max_length = golden_rows(fixtures, tmp_path, tmp_path, case)
    batch = PandaGPTDataCollator(golden_processor, max_length, max_broken_share=0)(rows)
    assert torch.equal(batch["labels"], golden[f"{case}.full_targets"])
    assert torch.equal(batch["labels"][:, 8:], golden[f"{case}.target_ids"])
    assert torch.equal(batch["input_ids"][:, 8:], golden[f"{case}.input_ids"])
    assert torch.equal(batch["attention_mask"], golden[f"{case}.full_attention_mask"])


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_loss_equals_the_golden_one(golden_pandagpt, golden_processor, fixtures, reference, tmp_path, case):
    golden = load_file(fixtures / "pandagpt_tiny" / "train_forward.safetensors")
    rows, max_length = golden_rows(fixtures, reference / "assets", tmp_path, case)
    batch = PandaGPTDataCollator(golden_processor, max_length, max_broken_share=0)(rows)
    model = PandaGPTForConditionalGeneration.from_pretrained(golden_pandagpt)
    with torch.no_grad():
        loss = model(**batch).loss
    torch.testing.assert_close(loss, golden[f"{case}.loss"][0], atol=1e-5, rtol=0)


def test_every_modality_reaches_the_model(untrained, examples, collator):
    model, processor = untrained
    files = {"image": "picture.png", "video": "video.mp4", "audio": "sound.wav"}
    files |= {"thermal": "thermal.png", "depth": "depth.npy", "imu": "motion.csv"}
    rows = [row(name=kind, **{kind: str(examples / file)}) for kind, file in files.items()]
    rows.append(row(name="no medium", images=[]))
    rows.append(row(name="two", image=str(examples / "picture.png"), audio=str(examples / "sound.wav")))
    batch = collator(rows)
    assert collator.num_broken == 0
    assert batch["media_types"].tolist() == [[1, 0], [2, 0], [3, 0], [4, 0], [5, 0], [6, 0], [0, 0], [1, 3]]
    assert batch["media_slots"].tolist() == [[1, 0]] * 6 + [[0, 0], [1, 1]]
    sizes = {name: len(batch[name]) for name in batch if name.endswith(("values", "videos", "features"))}
    assert sizes == {
        **{"pixel_values": 2, "pixel_values_videos": 1, "input_features": 2},
        **{"thermal_values": 1, "depth_values": 1, "imu_values": 1},
    }
    alone = [model(**collator([sample])).loss.item() for sample in rows]
    trained = [(collator([sample])["labels"][:, 1:] != -100).sum().item() for sample in rows]
    with torch.no_grad():
        together = model(**batch).loss.item()
    assert together == pytest.approx(np.average(alone, weights=trained), abs=1e-5)


def test_arrays_equal_files(untrained, examples, collator):
    rng = np.random.default_rng(0)
    sound = rng.uniform(-1, 1, 8000).astype(np.float32)
    motion = rng.normal(size=(6, 500)).astype(np.float32)
    metres = rng.uniform(1, 5, (20, 20)).astype(np.float32)
    rows = [
        row(audio={"array": sound.tolist(), "sampling_rate": 16000}),
        row(imu={"array": motion.tolist(), "sampling_rate": 100.0}),
        row(depth=metres.tolist()),
    ]
    batch = collator(rows)
    processor = untrained[1]
    expected = processor(audio=[(sound, 16000)], imu=[(motion, 100.0)], depth=[metres], return_tensors="pt")
    for name, values in expected.items():
        assert torch.equal(batch[name], values), name


def test_media_stand_in_row_major_order(collator):
    colors = ["red", "green", "blue"]
    rows = [row(images=[{"bytes": png(color)} for color in colors[:2]]), row(images=[{"bytes": png(colors[2])}])]
    pixels = collator(rows)["pixel_values"]
    assert [values.mean((1, 2)).argmax().item() for values in pixels] == [0, 1, 2]


def test_truncation_never_cuts_the_slot(untrained):
    collator = PandaGPTDataCollator(untrained[1], max_length=1)
    sample = collator.tokenize(row("long " * 50 + "<image> then " + "words " * 20))
    assert sample.input_ids[-2] == untrained[1].image_token_id
    assert sample.media_slots == [1] and sample.is_truncated


def test_a_later_slot_beyond_the_end_goes_with_its_turn(untrained):
    turns = [("user", "<image> what is it ?"), ("assistant", "a dog"), ("user", "<image> and now ?")]
    turns += [("assistant", "a panda")]
    record = {"messages": [{"role": role, "content": text} for role, text in turns]}
    record = to_row({**record, "images": [{"bytes": png("red")}, {"bytes": png("blue")}]}, "a", "test")
    whole = PandaGPTDataCollator(untrained[1], 200)([record])
    assert whole["media_slots"].tolist() == [[1, 2]] and len(whole["pixel_values"]) == 2
    cut = PandaGPTDataCollator(untrained[1], 40)([record])
    assert cut["media_slots"].tolist() == [[1]] and len(cut["pixel_values"]) == 1
    assert torch.equal(cut["pixel_values"], whole["pixel_values"][:1])
    untrained[0](**cut)


def test_a_typed_placeholder_is_text(untrained, collator):
    batch = collator([row("what is <audio> ?", "it is <image> .")])
    assert batch["media_types"].tolist() == [[1]]
    text = untrained[1].tokenizer.decode(batch["input_ids"][0])
    assert "<audio>" in text and "it is <image>" in text
    placeholders = untrained[1].create_mm_token_type_ids(batch["input_ids"].tolist())[0]
    assert sum(map(bool, placeholders)) == 1
    assert batch["labels"].max() < untrained[1].image_token_id


def test_a_slot_in_an_answer_has_no_label(untrained, collator):
    answer = [{"type": "text", "text": "it is"}, {"type": "image", "image": png()}]
    messages = [{"role": "user", "content": "what is it ?"}, {"role": "assistant", "content": answer}]
    batch = collator([to_row({"messages": messages}, "a", "test")])
    assert untrained[1].image_token_id in batch["input_ids"] and collator.num_broken == 0
    assert untrained[1].image_token_id not in batch["labels"]


def test_an_answer_that_is_cut_away_is_dropped(untrained, warnings):
    collator = PandaGPTDataCollator(untrained[1], max_length=60, max_broken_share=0)
    long = row("why " * 100, name="long")
    batch = collator([row(), long, long])
    assert (collator.num_dropped, collator.num_broken) == (2, 0)
    assert warnings[0] == "1 of 2 samples are dropped, the last is long: max_length cuts its answers away"
    collator([long, long])
    assert [text.split()[0] for text in warnings] == ["1", "2", "4"]
    assert batch["input_ids"].shape[0] == 3
    assert (batch["labels"][0] != -100).any() and (batch["labels"][1:] == -100).all()


def test_a_broken_sample_is_skipped_counted_and_reported_once(untrained, collator, warnings, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(png()[:40])
    broken = [
        row(name="missing", image=str(tmp_path / "none.jpg")),
        row(name="cut", image=str(tmp_path / "bad.jpg")),
        to_row({"messages": [{"role": "robot", "content": "x"}]}, "role", "test"),
        row(name="silence", audio={"array": [0.0], "sampling_rate": 16000}),
    ]
    batch = collator([row(), *broken])
    assert (collator.num_seen, collator.num_broken) == (5, 4)
    collator([row(), *broken])
    assert [warning.split(" is skipped")[0] for warning in warnings] == [f"sample {r['id']}" for r in broken]
    assert "none.jpg" in warnings[0] and "bad.jpg" in warnings[1] and "robot" in warnings[2]
    # The good one stands in, without labels: the loss is that of the good one alone.
    assert len(batch["input_ids"]) == 5 and len(batch["pixel_values"]) == 5
    model = untrained[0]
    with torch.no_grad():
        assert model(**batch).loss.item() == pytest.approx(model(**collator([row()])).loss.item(), abs=1e-6)


def test_a_batch_of_broken_samples_keeps_its_size(untrained, collator, warnings):
    broken = row(image="/nowhere.jpg")
    first = collator([broken, broken])
    assert first["input_ids"].shape == (2, 1) and (first["labels"] == -100).all()
    untrained[0](**first)
    collator([row()])
    later = collator([broken, broken])
    assert (later["labels"] == -100).all() and len(later["pixel_values"]) == 2


def test_too_many_broken_samples_stop_the_run(untrained, warnings):
    broken = row(name="it", image="/nowhere.jpg")
    collator = PandaGPTDataCollator(untrained[1], 100, max_broken_share=0.002)
    collator([broken, broken])
    with pytest.raises(ValueError, match="3 of 3 samples are broken, more than max_broken_share=0.002.*it: .*nowhere"):
        collator([broken])
    with pytest.raises(ValueError, match="1 of 1 samples"):
        PandaGPTDataCollator(untrained[1], 100, max_broken_share=0)([broken])


def test_the_error_leaves_a_worker(untrained, warnings):
    collator = PandaGPTDataCollator(untrained[1], 100, max_broken_share=0)
    batches = iter(DataLoader([row(image="/nowhere.jpg")], collate_fn=collator, num_workers=1, timeout=60))
    with pytest.raises(ValueError, match="samples are broken"):
        next(batches)


def test_embeddings_take_the_place_of_media(untrained, collator):
    model = untrained[0]
    rows = [row(images=[{"bytes": png("red")}, {"bytes": png("blue")}]), row(), row(images=[])]
    batch = collator(rows)
    with torch.no_grad():
        encoded = model.model.encode_media(batch["input_ids"], batch["pixel_values"], media_types=batch["media_types"])
    embedded = [
        {
            **{name: sample[name] for name in ("id", "source", "messages")},
            "media_embeds": embeds[types > 0].tolist(),
            "media_types": types[types > 0].tolist(),
        }
        for sample, embeds, types in zip(rows, encoded.media_embeds, batch["media_types"], strict=True)
    ]
    from_embeds = collator(embedded)
    assert "pixel_values" not in from_embeds and from_embeds["media_embeds"].shape == (3, 2, 64)
    for name in ("input_ids", "labels", "media_types", "media_slots"):
        assert torch.equal(from_embeds[name], batch[name])
    with torch.no_grad():
        torch.testing.assert_close(model(**from_embeds).loss, model(**batch).loss, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="both media and media_embeds"):
        collator([embedded[0], rows[0]])


def test_embeddings_of_another_kind_are_broken(collator, warnings):
    wrong = row() | {"media_embeds": [[0.0] * 64], "media_types": [3]}
    collator([wrong])
    assert collator.num_broken == 1 and "media_types [3] for media blocks of the types [1]" in warnings[0]


def test_description(collator, warnings, untrained):
    rows = [row("what is it ?", "a panda"), row(name="bad", image="/nowhere.jpg"), row("why " * 100, name="long")]
    text = collator.describe(rows)
    assert "a: image, " in text and "what is it ?\n### Assistant:⟦ a panda\n###⟧" in text
    assert "pixel_values (3, 3, 224, 224)" in text
    assert "of 3 samples 1 truncated (33%), 1 dropped (33%), 1 broken (33%)" in text


def test_media_of_blocks_and_columns():
    record = {
        "messages": [
            {"role": "user", "content": [{"type": "image", "path": "a.png"}, {"type": "image"}, {"type": "audio"}]},
            {"role": "assistant", "content": "yes"},
        ],
        "images": [{"bytes": b"b", "path": None}],
        "audio": {"array": [0.5], "sampling_rate": 8000},
    }
    (_, first), (_, second), (kind, (array, rate)) = media_of(to_row(record, "a", "test"))
    assert (first, second, kind, array.tolist(), rate) == ("a.png", b"b", "audio", [0.5], 8000)


def test_what_makes_no_sense_is_refused(untrained, golden_processor, fixtures):
    with pytest.raises(ValueError, match="max_length must be at least 1"):
        PandaGPTDataCollator(untrained[1], 0)
    with pytest.raises(ValueError, match="max_broken_share must lie between 0 and 1"):
        PandaGPTDataCollator(untrained[1], 8, 1.5)
    tokenizer = AutoTokenizer.from_pretrained(fixtures / "pandagpt_tiny" / "base_llama")
    PandaGPTProcessor.add_placeholder_tokens(tokenizer)
    unmarked = PandaGPTProcessor(tokenizer=tokenizer, chat_template="{{ messages[0].content }}")
    with pytest.raises(ValueError, match="does not mark what the assistant says"):
        PandaGPTDataCollator(unmarked, 8)
