# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A run of a real tiny model ends with the same files however it came to its end, and says what was wrong."""

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

import pytest
import torch
from accelerate import PartialState
from datasets import Dataset
from planted_models import FILES, THINGS, chat_row

from demo.untrained import build
from evaluation.model import Loaded, fingerprint
from evaluation.parts import Parts
from evaluation.run import evaluate, main
from evaluation.settings import parse


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    for part in build():
        part.save_pretrained(folder)
    return folder


@pytest.fixture
def data(write_rows) -> Path:
    rows = [
        chat_row(thing, kind, ("what is it ?", "and now ?")[: 1 + thing % 2])
        for thing in range(THINGS // 2)
        for kind in FILES
    ]
    return write_rows("run", rows)


def command(tiny: Path, data: Path, output: Path, *more: object) -> list[str]:
    given = ["--model", tiny, "--task", "open_questions", "--data", data, "--output", output / "results.json"]
    given += ["--device", "cpu", "--workers", 0, "--batch_size", 8, "--max_new_tokens", 3, "--by", "modality"]
    return [str(argument) for argument in (*given, *more)]


def files(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(output.iterdir()) if path.is_file()}


def start(arguments: list[str], rank: int = 0, processes: int = 1, port: int = 0, dies_at: tuple = ()) -> int:
    """Forks a process that evaluates; `dies_at=("answers", 2)` kills it in the middle of writing the third batch."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        torch.set_num_threads(1)  # the threads of before the fork are no more
        PartialState._reset_state()
        if processes > 1:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
        if dies_at:
            _die_while_writing(*dies_at)
        evaluate(parse(arguments))
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _die_while_writing(kind: str, after: int) -> None:
    append, count = Parts.append, [0]

    def append_half(parts, found):
        append(parts, found)
        if parts.kind == kind:
            count[0] += 1
            if count[0] > after:
                content = parts.path.read_bytes()
                parts.path.write_bytes(content[: -len(content.splitlines()[-1]) // 2 - 20])  # a line and a half less
                os.kill(os.getpid(), signal.SIGKILL)

    Parts.append = append_half


def finish(*children: int) -> list[int]:
    """How each ended: 0, its status, or minus the signal that killed it."""
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.fixture(scope="module")
def uninterrupted(tiny, media, tmp_path_factory):
    """The files that each other run must end with."""
    output = tmp_path_factory.mktemp("uninterrupted")

    def run(data: Path) -> dict[str, bytes]:
        if not files(output):
            evaluate(parse(command(tiny, data, output)))
        return files(output)

    return run


def test_files_of_a_run(tiny, data, uninterrupted):
    written = uninterrupted(data)
    assert set(written) == {"results.json", "predictions.jsonl"}
    predictions = [json.loads(line) for line in written["predictions.jsonl"].splitlines()]
    assert [prediction["index"] for prediction in predictions] == list(range(36))
    assert all(len(prediction["answers"]) == len(prediction["references"]) for prediction in predictions)
    results = json.loads(written["results.json"])
    assert (results["samples"], results["broken"]) == (36, 0)
    assert results["settings"]["seed"] == 0 and results["versions"]["torch"]
    assert [group["samples"] for group in results["groups"]] == [12, 12, 12]
    assert str(tiny.parent) not in written["results.json"].decode()  # nothing of this machine is told


@pytest.mark.parametrize("dies_at", [("media", 1), ("answers", 2)], ids=["encoding", "answering"])
def test_killed_and_continued_ends_with_the_same_files(tiny, data, uninterrupted, tmp_path, dies_at):
    expected = uninterrupted(data)
    arguments = command(tiny, data, tmp_path)
    assert finish(start(arguments, dies_at=dies_at)) == [-signal.SIGKILL]
    assert not files(tmp_path) and (tmp_path / "results.parts").is_dir()
    assert finish(start(arguments)) == [0]
    assert files(tmp_path) == expected
    assert not (tmp_path / "results.parts").exists()


def test_two_processes_end_with_the_same_files(tiny, data, uninterrupted, tmp_path):
    expected, port = uninterrupted(data), free_port()
    arguments = command(tiny, data, tmp_path)
    assert finish(*(start(arguments, rank, 2, port) for rank in range(2))) == [0, 0]
    assert files(tmp_path) == expected


def test_one_goes_on_where_two_processes_were_killed(tiny, data, uninterrupted, tmp_path):
    expected, port = uninterrupted(data), free_port()
    arguments = command(tiny, data, tmp_path)
    children = [start(arguments, rank, 2, port, ("answers", rank)) for rank in range(2)]
    assert finish(*children) == [-signal.SIGKILL] * 2
    assert len(list((tmp_path / "results.parts").glob("answers-*"))) == 2
    assert finish(start(arguments)) == [0]
    assert files(tmp_path) == expected


def test_an_unfinished_run_with_other_settings_is_left_alone(tiny, data, tmp_path):
    arguments = command(tiny, data, tmp_path)
    finish(start(arguments, dies_at=("answers", 0)))
    with pytest.raises(ValueError, match="is of a run with another max_new_tokens"):
        evaluate(parse([*arguments, "--max_new_tokens", "5"]))


def test_a_card_is_no_part_of_a_models_state(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"1")
    before = fingerprint(tmp_path, None)
    (tmp_path / "README.md").write_text("# A card", encoding="utf-8")
    assert fingerprint(tmp_path, None) == before
    weights.write_bytes(b"12")
    assert fingerprint(tmp_path, None) != before


def test_sampling_is_the_same_each_time(tiny, data, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("generation: {do_sample: true, top_p: 0.9, temperature: 1.0}\n")
    contents = [
        evaluate(parse(command(tiny, data, tmp_path, "--recipe", recipe, "--seed", seed, "--limit", 12)))
        and (tmp_path / "predictions.jsonl").read_text()
        for seed in (0, 0, 1)
    ]
    assert contents[0] == contents[1] != contents[2]


def test_streaming_gives_the_same_predictions(tiny, media, tmp_path):
    rows = [
        {"image": str(media / "media" / str(thing) / FILES["image"]), "question": "what is it ?", "answer": "red"}
        for thing in range(8)
    ]
    (tmp_path / "table").mkdir()
    Dataset.from_list(rows).to_parquet(str(tmp_path / "table" / "test-00000-of-00001.parquet"))
    written = []
    for more in ([], ["--streaming"]):
        arguments = command(tiny, tmp_path / "table", tmp_path, "--split", "test", *more)
        arguments.remove("--by"), arguments.remove("modality")
        evaluate(parse(arguments))
        written.append((tmp_path / "predictions.jsonl").read_text())
    assert written[0] == written[1] and written[0].count("\n") == 8


def test_workers_give_the_same_predictions(tiny, data, uninterrupted, tmp_path):
    evaluate(parse(command(tiny, data, tmp_path, "--workers", 1)))
    assert files(tmp_path) == uninterrupted(data)


def test_broken_rows_stand_beside_the_others(tiny, write_rows, media, tmp_path):
    (media / "media" / "torn.png").write_bytes(b"\x89PNG no more")
    rows = [chat_row(thing, "image", ("what is it ?",)) for thing in range(4)]
    rows[1]["messages"][0]["content"][0]["path"] = "media/torn.png"
    rows[2]["messages"] = rows[2]["messages"][:1]
    rows[3]["messages"][1]["content"] = " "
    content = evaluate(parse(command(tiny, write_rows("broken", rows), tmp_path)))
    assert (content["samples"], content["broken"]) == (1, 3)
    predictions = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    reasons = [prediction.get("error", "") for prediction in predictions]
    assert not reasons[0] and "torn.png" in reasons[1]
    assert "no assistant turn" in reasons[2] and "no answer to compare with" in reasons[3]
    with pytest.raises(ValueError, match="none of the 1 rows could be evaluated"):
        evaluate(parse(command(tiny, write_rows("all_broken", rows[1:2]), tmp_path / "other")))


def test_mistakes_are_named(tiny, data, golden_imagebind, write_rows, tmp_path):
    with pytest.raises(ValueError, match="no column 'colour', only"):
        evaluate(parse(command(tiny, data, tmp_path / "a", "--by", "colour")))
    with pytest.raises(ValueError, match="is an ImageBind, which answers no questions"):
        evaluate(parse(command(golden_imagebind, data, tmp_path / "b")))
    with pytest.raises(ValueError, match="has no text encoder: give --text_encoder"):
        evaluate(parse(command(tiny, data, tmp_path / "c", "--task", "zero_shot_classification")))
    texts = write_rows("texts", [{"image": f"media/0/{FILES['image']}", "text": "a bird"}])
    arguments = command(tiny, texts, tmp_path / "e", "--task", "retrieval", "--batch_size", 1)
    arguments.remove("--by"), arguments.remove("modality")
    with pytest.raises(ValueError, match="has no text encoder: give --text_encoder"):
        evaluate(parse(arguments))
    assert not list((tmp_path / "e").rglob("media-*"))  # before anything was encoded
    with pytest.raises(SystemExit, match="pandagpt evaluate: there is no nowhere"):
        main(command(tiny, Path("nowhere/to/be/found"), tmp_path / "d"))
    with pytest.raises(SystemExit, match="--output must be a .json file"):
        main([*command(tiny, data, tmp_path), "--output", "scores"])


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "usage: pandagpt evaluate" in capsys.readouterr().out


def test_loads_adapters_merged_or_not(tiny, tmp_path):
    """LoRA on the base, and the same merged into it, answer alike."""
    from peft import LoraConfig, get_peft_model

    from evaluation.model import load
    from processing import PandaGPTProcessor

    model, _ = build()
    processor = PandaGPTProcessor.from_pretrained(tiny)
    config = LoraConfig(r=2, target_modules=r".*language_model.*\.q_proj", modules_to_save=["projector"])
    adapted = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.normal_(std=0.5)
    adapted.peft_config["default"].base_model_name_or_path = str(tiny)
    adapted.save_pretrained(tmp_path / "adapter")
    processor.save_pretrained(tmp_path / "adapter")
    merged = adapted.merge_and_unload()
    loaded = load(str(tmp_path / "adapter"), device="cpu")
    assert isinstance(loaded, Loaded) and loaded.base == str(tiny)
    ids = torch.tensor([[1, 5, 6, 7]])
    with torch.no_grad():
        assert torch.allclose(loaded.model(ids).logits, merged(ids).logits, atol=1e-5)
        assert not torch.allclose(loaded.model(ids).logits, build()[0](ids).logits, atol=1e-2)
