# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A file of questions, answered by the bundled model as it answers each question alone, whatever happens meanwhile."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from example_files import FILES
from PIL import Image
from typer.testing import CliRunner

from demo.chat import app
from demo.conversation import BUNDLED, Conversation
from evaluation.answering import Answerer
from evaluation.parts import SETTINGS
from pandagpt import load


ROOT = Path(__file__).parents[2]
QUESTIONS = (
    "What is it?",
    "Describe it.",
    "How fast is it?",
    "How large is it?",
    "Is it a dog, or is it another thing?",
)
SOME = 60  # of them, where to ask all takes too long
SHORT = {"max_new_tokens": 12, "do_sample": False}


@pytest.fixture(scope="module")
def bundled():
    return load(BUNDLED, dtype="float32")


@pytest.fixture
def folder(tmp_path, examples, monkeypatch):
    """A folder with the examples, in which the command runs."""
    for name in FILES.values():
        shutil.copy(examples / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, examples) -> Path:
    """208 questions of different lengths about the example picture, others' noise, or nothing."""
    folder = tmp_path_factory.mktemp("pictures")
    shutil.copy(examples / FILES["image"], folder)
    generator = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / name)
    media: list[dict] = [{}, *({"image": [name]} for name in (FILES["image"], "a.png", "b.png", "c.png"))]
    records = [
        {"id": f"q{place}", "question": f"{QUESTIONS[place % 5]} {'Tell me. ' * (place % 13)}", **media[place % 4]}
        for place in range(208)
    ]
    write(folder / "questions.jsonl", records)
    write(folder / "some.jsonl", records[:SOME])
    return folder


def write(path: Path, records: list[dict]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def read(path: Path | str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


ARGUMENTS = ["--input", "questions.jsonl", "--output", "answers.jsonl", "--max-new-tokens", "12", "--dtype", "float32"]
ARGUMENTS += ["--workers", "0", "--device", "cpu"]


def answer(*more: str, status: int = 0):
    ran = CliRunner().invoke(app, [*ARGUMENTS, *more], catch_exceptions=False)
    assert ran.exit_code == status, ran.stderr
    return ran


def launch(folder: Path, *more: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *launcher, "-m", "demo.chat", *ARGUMENTS, *more]
    return subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen) -> str:
    output = process.communicate(timeout=240)[0].decode()
    assert process.returncode == 0, output
    return output


def test_every_kind_is_answered_as_alone_and_what_is_broken_says_why(folder, bundled):
    (folder / "broken.png").write_bytes((folder / "picture.png").read_bytes()[:100])
    asked = [(question, kind, name) for kind, name in FILES.items() for question in QUESTIONS[:2]]
    lines = [json.dumps({"question": question, kind: name}) for question, kind, name in asked]
    everything = json.dumps({"id": "all", "question": "What is it?", **{kind: [name] for kind, name in FILES.items()}})
    broken = {
        '{"question": "What is it?", "image": "broken.png"}': "broken.png: ",
        '{"question": "What is it?", "image": ["picture.png", "nothing.png"]}': "nothing.png: no such file",
        '{"question": "What is it?", "img": "picture.png"}': "unknown field 'img'",
        '{"image": "picture.png"}': "neither a question nor messages",
        '{"question": " "}': "neither a question nor messages",
        '{"messages": []}': "no question of a user",
        '{"messages": [{"role": "user", "content": []}]}': "no question of a user",
        '{"question": "What is': "it is not JSON: Unterminated string",
        '["What is it?"]': "an object with a question or messages, got list",
        '{"messages": "What is it?"}': "messages must be a list of turns, got str",
        '{"messages": [{"role": "assistant", "content": "A dog."}]}': "no question of a user",
    }
    (folder / "questions.jsonl").write_text("\n".join([*lines, "", everything, *broken]), encoding="utf-8")
    assert "24 questions, of which 11 could not be answered: answers.jsonl\n" in answer("--workers", "2").stderr

    answers = read("answers.jsonl")
    assert [line["line"] for line in answers] == [line for line in range(1, 26) if line != 13]
    for (question, kind, name), line in zip(asked, answers, strict=False):
        alone = Conversation(*bundled).ask(question, [(kind, name)], **SHORT).answer
        assert line == {"line": line["line"], "id": line["line"], "question": question, "answer": alone}
    alone = Conversation(*bundled).ask("What is it?", list(FILES.items()), **SHORT).answer
    assert answers[12] == {"line": 14, "id": "all", "question": "What is it?", "answer": alone}
    for line, reason in zip(answers[13:], broken.values(), strict=True):
        assert reason in line["error"] and "answer" not in line and "ValueError" not in line["error"]


@pytest.fixture(scope="module")
def of_pictures(pictures) -> list[dict]:
    with contextlib.chdir(pictures):
        answer("--batch-size", "16", "--output", "sixteen.jsonl")
    return read(pictures / "sixteen.jsonl")


def test_hundreds_of_questions_are_answered_in_batches_as_alone(pictures, of_pictures, bundled, monkeypatch):
    monkeypatch.chdir(pictures)
    records = read("questions.jsonl")
    assert [line["id"] for line in of_pictures] == [record["id"] for record in records]
    assert len({line["answer"] for line in of_pictures}) > 5
    for record, line in list(zip(records, of_pictures, strict=True))[::9]:
        media = [("image", name) for name in record.get("image", [])]
        assert line["answer"] == Conversation(*bundled).ask(record["question"], media, **SHORT).answer


def test_the_size_of_batches_changes_no_answer(pictures, of_pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    answer("--batch-size", "64", "--output", "other.jsonl")
    assert Path("other.jsonl").read_bytes() == Path("sixteen.jsonl").read_bytes()


def test_the_last_question_of_a_conversation_is_asked(folder, bundled):
    picture = [{"type": "image", "path": "picture.png"}, {"type": "text", "text": "What is it?"}]
    turns = [
        {"role": "user", "content": picture},
        {"role": "assistant", "content": "It is a train."},
        {"role": "user", "content": "How fast is it?"},
    ]
    given = [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "A reference."}]
    told = [{"role": "system", "content": "Say rocket."}, *turns]
    write(
        folder / "questions.jsonl",
        [
            {"messages": turns},
            {"messages": told},
            {"conversation": given, "image_name": "picture.png"},
            {"messages": turns[:1]},
        ],
    )
    answer("--system", "Be brief.")
    lines = read("answers.jsonl")
    assert [line["question"] for line in lines] == ["How fast is it?", "How fast is it?", "What is it?", "What is it?"]

    for line, system in zip(lines[:2], ("Be brief.", "Say rocket."), strict=True):
        conversation = Conversation(*bundled, system=system)
        conversation.ask("What is it?", [("image", "picture.png")], **SHORT)
        conversation.messages[-1]["content"] = "It is a train."
        assert line["answer"] == conversation.ask("How fast is it?", **SHORT).answer
    alone = Conversation(*bundled, system="Be brief.").ask("What is it?", [("image", "picture.png")], **SHORT).answer
    assert [line["answer"] for line in lines[2:]] == [alone, alone]


def test_raw_sensor_files_take_their_units(folder):
    write(folder / "questions.jsonl", [{"question": "What is it?", "depth": "thermal.png"}])
    answer()
    assert "--depth-unit 0.001" in read("answers.jsonl")[0]["error"]
    answer("--output", "other.jsonl", "--depth-unit", "0.02")
    assert "answer" in read("other.jsonl")[0]


def test_a_run_goes_on_where_it_was_stopped(pictures, of_pictures, tmp_path, monkeypatch):
    arguments = ["--input", "some.jsonl", "--output", str(tmp_path / "answers.jsonl"), "--batch-size", "2"]
    process = launch(pictures, *arguments)
    part = tmp_path / "answers.jsonl.parts" / "answers-00000.jsonl"
    while process.poll() is None and not (part.is_file() and part.stat().st_size > 200):  # two batches and more
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "answers.jsonl").exists()
    *written, last = part.read_text(encoding="utf-8").splitlines(keepends=True)
    assert 2 < len(written) < SOME - 1

    monkeypatch.chdir(pictures)
    name, _ = json.loads(written[0])
    marked = json.dumps([name, {"answer": "asked before"}]) + "\n"
    part.write_text("".join([marked, *written[1:], last[:10]]), encoding="utf-8")  # as one killed while it writes
    answer(*arguments)
    found = read(tmp_path / "answers.jsonl")
    assert found.pop(int(name) - 1)["answer"] == "asked before"
    assert found == [line for line in of_pictures[:SOME] if line["line"] != int(name)]
    assert [path.name for path in (tmp_path / "answers.jsonl.parts").iterdir()] == [SETTINGS]


def test_only_deleted_lines_are_asked_again_and_only_with_the_same_settings(folder):
    write(
        folder / "questions.jsonl", [{"question": "What is it?", "image": name} for name in ("picture.png", "x.png")]
    )
    answer()
    first, failed = Path("answers.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    marked = first.replace("It is", "It was")
    Path("answers.jsonl").write_text(marked + failed, encoding="utf-8")
    shutil.copy("picture.png", "x.png")
    answer()
    assert Path("answers.jsonl").read_text(encoding="utf-8") == marked + failed  # an error is an answer, too
    Path("answers.jsonl").write_text(marked, encoding="utf-8")

    for options, name in ((["--max-new-tokens", "5"], "max_new_tokens"), (["--system", "Be brief."], "system")):
        assert f"another {name}:" in answer(*options, status=2).stderr
    with open("questions.jsonl", "a", encoding="utf-8") as file:
        file.write("\n")
    assert "another questions:" in answer(status=2).stderr
    write(
        folder / "questions.jsonl", [{"question": "What is it?", "image": name} for name in ("picture.png", "x.png")]
    )

    answer("--batch-size", "1")
    again = {**json.loads(first), "line": 2, "id": 2}
    assert Path("answers.jsonl").read_text(encoding="utf-8") == marked + json.dumps(again) + "\n"


def test_answers_of_unknown_origin_are_left_alone(folder):
    write(folder / "questions.jsonl", [{"question": "What is it?"}])
    Path("answers.jsonl").write_text("mine\n")
    assert "answers.jsonl exists" in answer(status=2).stderr
    assert Path("answers.jsonl").read_text() == "mine\n"


def test_what_fails_in_a_batch_is_found_and_the_others_are_answered(folder, monkeypatch):
    generate = Answerer._generate

    def fragile(self, chats):
        if len(chats) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if any("frog" in blocks[0][1] for chat in chats for _, blocks in chat):
            raise ValueError("it is too long")
        return generate(self, chats)

    write(folder / "questions.jsonl", [{"question": f"What is a {name}?"} for name in ("bird", "dog", "frog", "bell")])
    answer()
    whole = read("answers.jsonl")
    monkeypatch.setattr(Answerer, "_generate", fragile)
    answer("--output", "other.jsonl")
    found = read("other.jsonl")
    assert found[2]["error"] == "it is too long" and "answer" not in found[2]
    assert [found[place] for place in (0, 1, 3)] == [whole[place] for place in (0, 1, 3)]

    def broken(self, chats):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(Answerer, "_generate", broken)
    with pytest.raises(RuntimeError, match="device-side"):  # that is no fault of the questions
        answer("--output", "third.jsonl")


def test_questions_of_a_file_come_with_no_others(folder):
    write(folder / "questions.jsonl", [{"question": "What is it?"}])
    for more in (["What?"], ["--image", "picture.png"], ["--json"]):
        assert "With --input" in answer(*more, status=2).stderr
    ran = CliRunner().invoke(app, ["--input", "questions.jsonl"])
    assert ran.exit_code == 2 and "--input and --output belong together" in ran.stderr
    ran = CliRunner().invoke(app, ["--input", "nothing.jsonl", "--output", "answers.jsonl"])
    assert ran.exit_code == 2 and "nothing.jsonl" in ran.stderr
    assert "no such folder" in answer("--model", "no/such/model", status=2).stderr


# On processors, too: without --multi_gpu the launcher starts one process, however many are asked for.
TWO_PROCESSES = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")


def launch_two(folder: Path, output: Path, *more: str) -> subprocess.Popen:
    """Returns when both processes have written answers."""
    process = launch(folder, "--output", str(output), *more, launcher=TWO_PROCESSES)
    parts = [output.with_name("answers.jsonl.parts") / f"answers-0000{rank}.jsonl" for rank in (0, 1)]
    while not all(part.is_file() and part.stat().st_size for part in parts):
        assert process.poll() is None, process.communicate()[0].decode()
        time.sleep(0.001)  # for as long as the processes live
    return process


@pytest.mark.distributed
def test_two_processes_answer_each_question_once(pictures, of_pictures, tmp_path):
    said = finish(launch_two(pictures, tmp_path / "answers.jsonl"))
    assert said.count("208 questions, of which 0 could not be answered") == 1
    assert said.count("A tiny model of a toy world") == 1
    assert (tmp_path / "answers.jsonl").read_bytes() == (pictures / "sixteen.jsonl").read_bytes()


@pytest.mark.distributed
def test_one_process_goes_on_with_what_two_began(pictures, of_pictures, tmp_path):
    process = launch_two(pictures, tmp_path / "answers.jsonl", "--batch-size", "1")
    process.send_signal(signal.SIGTERM)  # the launcher ends its processes
    process.communicate(timeout=120)
    assert process.returncode != 0 and not (tmp_path / "answers.jsonl").exists()
    finish(launch(pictures, "--output", str(tmp_path / "answers.jsonl"), "--batch-size", "1"))
    assert read(tmp_path / "answers.jsonl") == of_pictures
