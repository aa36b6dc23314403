# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The chat in the terminal, with the bundled tiny model, and with an untrained one where its words do not matter."""

import contextlib
import io
import json
import shutil

import huggingface_hub
import numpy as np
import pytest
import torch
from example_files import FILES
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import LlamaConfig
from typer.testing import CliRunner

from demo.chat import BANNER, app
from demo.conversation import AnswerStreamer, Conversation
from demo.untrained import build
from pandagpt import load


@pytest.fixture(scope="module")
def tiny():
    return build()


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """The tiny model as a repository whose own code must never run."""
    folder = tmp_path_factory.mktemp("model")
    for part in tiny:
        part.save_pretrained(folder)
    for code in folder.glob("*.py"):
        code.write_text("raise RuntimeError('the code of the repository ran')")
    return folder


@pytest.fixture
def ask(examples, monkeypatch):
    """Runs the command in the folder of examples, a few tokens long."""
    monkeypatch.chdir(examples)

    def ask(*arguments: str, typed: str | None = None):
        return CliRunner().invoke(app, ["--max-new-tokens", "6", *arguments], input=typed, catch_exceptions=False)

    return ask


def test_one_question_about_one_file_of_each_kind(ask):
    media = [argument for kind, name in FILES.items() for argument in (f"--{kind}", name)]
    answered = ask("What is all this?", *media)
    assert answered.exit_code == 0, answered.stderr
    assert len(answered.stdout.split()) >= 3 and answered.stdout.endswith("\n")
    assert "tiny model of a toy world" in answered.stderr


def test_json_reports_media_in_the_order_given(ask, tiny):
    answered = ask("What?", "--audio=sound.wav", "--image", "picture.png", "--audio", "sound.wav", "--json")
    reply = json.loads(answered.stdout)
    assert [medium["type"] for medium in reply["media"]] == ["audio", "image", "audio"]
    assert [medium["source"] for medium in reply["media"]] == ["sound.wav", "picture.png", "sound.wav"]
    assert set(reply) == {"question", "media", "answer", "input_tokens", "output_tokens", "seconds"}
    assert reply["question"] == "What?" and reply["answer"]
    assert 0 < reply["output_tokens"] <= 6 < reply["input_tokens"]
    assert reply["seconds"] > 0


def test_a_file_that_cannot_be_read_ends_with_status_2(ask, tmp_path):
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(b"\x89PNG\r\n\x1a\n")
    for path in ("nothing.png", str(truncated)):
        answered = ask("What?", "--audio", "sound.wav", "--image", path)
        assert answered.exit_code == 2
        assert answered.stdout == ""
        assert path in answered.stderr and "Traceback" not in answered.stderr


@pytest.mark.parametrize("device", ["banana", "meta", *([] if torch.cuda.is_available() else ["cuda:0"])])
def test_a_device_that_cannot_be_used_is_refused_before_anything_is_loaded(ask, device):
    refused = ask("What?", "--model", "never/looked-for", "--device", device)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"pandagpt chat: --device {device} cannot be used here: ")
    assert refused.stderr.count("\n") == 1


def test_the_question_may_be_several_words(ask):
    reply = json.loads(ask("--image", "picture.png", "what", "is", "this", "--json").stdout)
    assert reply["question"] == "what is this" and len(reply["media"]) == 1


def test_an_empty_question_is_refused(ask):
    for question in ("", " "):
        refused = ask(question)
        assert refused.exit_code == 2 and "question is empty" in refused.stderr


def test_files_of_no_known_format_are_refused_in_words(ask, examples, tmp_path):
    text, truncated = tmp_path / "text.png", tmp_path / "truncated.mp4"
    text.write_text("no picture")
    truncated.write_bytes((examples / "video.mp4").read_bytes()[:2000])
    for option, path in (("--image", text), ("--video", truncated)):
        refused = ask("What?", option, str(path))
        assert refused.exit_code == 2 and "of a known format" in refused.stderr
        assert refused.stderr.count(str(path)) == 1
        assert "BytesIO" not in refused.stderr and "Errno" not in refused.stderr


def test_sampling_follows_the_seed(ask):
    def sample(seed):
        return ask("What?", "--temperature", "2", "--top-k", "50", "--top-p", "0.9", "--seed", seed).stdout

    assert sample("1") == sample("1") != sample("2")


def test_top_p_and_top_k_want_a_temperature(ask):
    for option in (["--top-p", "0.5"], ["--top-k", "5"]):
        answered = ask("What?", *option)
        assert answered.exit_code == 2 and "--temperature" in answered.stderr


def test_raw_sensor_files_take_their_units(ask, examples, tmp_path):
    rows = (examples / "motion.csv").read_text().splitlines()[1:]
    (tmp_path / "slow.csv").write_text("\n".join(rows[::2]))
    refused = ask("What?", "--imu", str(tmp_path / "slow.csv"))
    assert refused.exit_code == 2 and "1000 samples" in refused.stderr and "give --imu-rate" in refused.stderr
    assert ask("What?", "--imu", str(tmp_path / "slow.csv"), "--imu-rate", "200").exit_code == 0
    refused = ask("What?", "--depth", "thermal.png")
    assert refused.exit_code == 2 and "--depth-unit 0.001" in refused.stderr
    assert ask("What?", "--depth", "thermal.png", "--depth-unit", "0.02").exit_code == 0


def test_raw_thermal_pictures_take_their_range(ask, tmp_path):
    Image.fromarray(np.arange(28000, 28064, dtype=np.uint16).reshape(8, 8)).save(tmp_path / "raw.png")
    asked = ["What?", "--thermal", str(tmp_path / "raw.png")]
    refused = ask(*asked)
    assert refused.exit_code == 2 and "--thermal-range 28000 32000" in refused.stderr
    refused = ask(*asked, "--thermal-range", "2", "1")
    assert refused.exit_code == 2 and "--thermal-range must be LOW HIGH" in refused.stderr
    assert ask(*asked, "--thermal-range", "28000", "28064").exit_code == 0


def test_a_conversation_from_standard_input(ask):
    lines = ["/image picture.png", "What is this?", "/audio 'sound.wav'", "And this?", "/exit", "Never asked"]
    answered = ask("--json", typed="\n".join(lines))
    replies = [json.loads(line) for line in answered.stdout.splitlines()]
    assert [reply["question"] for reply in replies] == ["What is this?", "And this?"]
    assert [[medium["type"] for medium in reply["media"]] for reply in replies] == [["image"], ["audio"]]
    assert replies[1]["input_tokens"] > replies[0]["input_tokens"] + replies[0]["output_tokens"]


def test_a_conversation_survives_mistakes_and_ends_with_its_input(ask):
    typed = "Hello\n/audio nothing.wav\nWhat?\n/telepathy x\n/image\n\n/clear\nHello\n"
    answered = ask("--json", typed=typed)
    assert answered.exit_code == 0
    first, unaccompanied, second = map(json.loads, answered.stdout.splitlines())
    assert unaccompanied["media"] == []
    assert "nothing.wav" in answered.stderr and "/telepathy x" in answered.stderr and "/help" in answered.stderr
    assert {**first, "seconds": 0} == {**second, "seconds": 0}  # nothing was left of what came between


def test_a_conversation_checks_files_when_they_are_given(ask, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    encoded = "data:image/png;base64,iVBORw0KGgo="
    commands = ["/image picture.png", "/image nothing.png", f"/image {tmp_path}", f"/depth {encoded}", "/video"]
    said = ask(typed="\n".join([*commands, "/image http://example.com/never-asked.png"])).stderr
    said = said.removeprefix(f"{BANNER}\n").splitlines()
    assert said[0] == "attached image: picture.png"
    assert said[1].startswith("'nothing.png': no such file")
    assert said[2].startswith(f"'{tmp_path}': it is a directory")
    assert said[3:] == [
        f"attached depth: {encoded}",
        "Give a file: /video FILE",
        "attached image: http://example.com/never-asked.png",
    ]

    answered = ask("--json", typed=f"/image picture.png\n/image nothing.png\nOne\n/image {broken}\nTwo\n")
    assert [medium["source"] for medium in json.loads(answered.stdout)["media"]] == ["picture.png"]
    assert f"\n{broken}: " in answered.stderr and "images[" not in answered.stderr


def test_media_on_the_command_line_belong_to_the_first_question(ask):
    answered = ask("--json", "--image", "picture.png", typed="One\nTwo\n")
    assert [len(json.loads(line)["media"]) for line in answered.stdout.splitlines()] == [1, 0]


def test_help_lists_every_kind(ask):
    listed = ask("--json", typed="/help\n/quit\nNever asked\n")
    assert all(f"/{command}" in listed.stderr for command in (*FILES, "clear", "help", "exit", "quit"))
    assert listed.stdout == ""


def test_a_system_message_is_told_before_the_first_question(ask):
    plain, told = (json.loads(ask("Hello", "--json", *more).stdout) for more in ([], ["--system", "Speak of trees."]))
    assert told["input_tokens"] > plain["input_tokens"]


def test_media_of_an_earlier_turn_are_seen(tiny, examples):
    def second_answer(kind):
        conversation = Conversation(*tiny)
        conversation.messages = [
            {"role": "user", "content": [{"type": kind, kind: str(examples / FILES[kind])}]},
            {"role": "assistant", "content": "yes"},
        ]
        return conversation.ask("And now?", max_new_tokens=12, do_sample=False).answer

    assert second_answer("audio") == second_answer("audio") != second_answer("imu")


def test_a_failed_turn_leaves_no_trace(tiny):
    conversation = Conversation(*tiny)
    conversation.ask("Hello", max_new_tokens=3, do_sample=False)
    before = list(conversation.messages)
    with pytest.raises(ValueError, match="nothing.npy"):
        conversation.ask("What?", [("depth", "nothing.npy")], max_new_tokens=3)
    assert conversation.messages == before


def test_the_streamed_text_is_the_answer(tiny, examples):
    model, processor = tiny
    pieces = []
    media = [("image", str(examples / "picture.png"))]
    reply = Conversation(model, processor).ask("What?", media, pieces.append, max_new_tokens=20, do_sample=False)
    content = [{"type": "image", "path": media[0][1]}, {"type": "text", "text": "What?"}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        return_dict=True,
        add_generation_prompt=True,
        return_tensors="pt",
    )
    ids = model.generate(**inputs, max_new_tokens=20, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    assert len(pieces) > 5
    assert "".join(pieces).strip() == reply.answer == processor.post_process_image_text_to_text(ids)[0].strip()
    assert reply.output_tokens == ids.shape[1]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("A panda.\n##", "A panda."),
        ("A panda.\n###", "A panda."),
        ("A panda.\n", "A panda.\n"),
        ("# Pandas\n## Food\n### Bamboo\nis green", "# Pandas\n## Food\n### Bamboo\nis green"),
        ("C#", "C#"),
        ("\n##", ""),
    ],
)
def test_the_stop_marker_is_never_shown(tiny, said, shown):
    pieces = []
    streamer = AnswerStreamer(tiny[1].tokenizer, pieces.append)
    for character in " " + said:
        streamer.on_finalized_text(character)
        assert shown.startswith("".join(pieces))
    streamer.on_finalized_text("", stream_end=True)
    assert "".join(pieces) == streamer.answer == shown


def test_a_folder_is_loaded_without_its_code(ask, folder, tiny):
    loaded = json.loads(ask("What?", "--image", "picture.png", "--json", "--model", str(folder)).stdout)
    expected = Conversation(*tiny).ask("What?", [("image", "picture.png")], max_new_tokens=6, do_sample=False)
    assert loaded["answer"] == expected.answer


def test_an_adapter_is_loaded_with_its_base(folder, tiny, tmp_path, examples):
    base, processor = load(str(folder))
    adapter = get_peft_model(
        base, LoraConfig(r=2, target_modules=r".*language_model.*\.q_proj", modules_to_save=["projector"])
    )
    with torch.no_grad():
        for name, parameter in adapter.named_parameters():
            if "lora_B" in name or "projector.modules_to_save" in name:
                parameter.normal_()
    adapter.save_pretrained(tmp_path / "adapter")
    processor.save_pretrained(tmp_path / "adapter")
    assert not (tmp_path / "adapter" / "config.json").exists()

    media = [("image", str(examples / "picture.png"))]
    asked = {"max_new_tokens": 8, "do_sample": False}
    expected = Conversation(adapter.eval().base_model.model, processor).ask("What?", media, **asked).answer
    assert Conversation(*load(str(tmp_path / "adapter"))).ask("What?", media, **asked).answer == expected
    assert Conversation(*tiny).ask("What?", media, **asked).answer != expected


def put_in_cache(cache, name: str, source, **revisions: str) -> None:
    """Lays a folder into the cache of the Hub, as a download of these revisions (and their commits) would."""
    for revision, commit in revisions.items():
        snapshot = cache / f"models--{name.replace('/', '--')}" / "snapshots" / commit
        shutil.copytree(source, snapshot, dirs_exist_ok=True)
        absent = snapshot.parents[1] / ".no_exist" / commit / "config.json"  # what was looked for in vain
        if not (snapshot / absent.name).exists():
            absent.parent.mkdir(parents=True)
            absent.touch()
        (snapshot.parents[1] / "refs").mkdir(exist_ok=True)
        (snapshot.parents[1] / "refs" / revision).write_text(commit)


@pytest.mark.parametrize("base_revision", [None, "second"])
def test_the_revision_of_an_adapter_is_not_its_base_s(folder, tmp_path, monkeypatch, base_revision):
    base, processor = load(str(folder))
    adapter = get_peft_model(base, LoraConfig(r=2, target_modules=r".*language_model.*\.q_proj"))
    adapter.peft_config["default"].base_model_name_or_path = "someone/base"
    adapter.peft_config["default"].revision = base_revision
    adapter.save_pretrained(tmp_path / "adapter")
    processor.save_pretrained(tmp_path / "adapter")
    cache = tmp_path / "cache"
    put_in_cache(cache, "someone/base", folder, **{base_revision or "main": "a" * 40})
    put_in_cache(cache, "someone/adapter", tmp_path / "adapter", tried="b" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    model, _ = load("someone/adapter", revision="tried")
    assert model.active_adapters() == ["default"]
    with pytest.raises(OSError):
        load("someone/adapter")  # it has no main


def test_a_yes_at_the_terminal_does_not_run_a_repository(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "model")
    path = tmp_path / "model" / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {
        "tokenizer_class": "Trap",
        "auto_map": {"AutoTokenizer": ["trap.Trap", None]},
    }
    path.write_text(json.dumps(settings))
    trap = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    (tmp_path / "model" / "trap.py").write_text(f"{trap}from transformers import PreTrainedTokenizerFast as Trap\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 9))
    with contextlib.suppress(ValueError):
        load(str(tmp_path / "model"))
    assert not (tmp_path / "ran").exists()


def test_what_is_no_pandagpt_is_refused(ask, tmp_path):
    LlamaConfig().save_pretrained(tmp_path)
    refused = ask("What?", "--model", str(tmp_path))
    assert refused.exit_code == 2 and "'llama'" in refused.stderr and "'pandagpt'" in refused.stderr
    refused = ask("What?", "--model", str(tmp_path / "nothing"))
    assert refused.exit_code == 2 and f"{tmp_path / 'nothing'}: there is no such folder" in refused.stderr


def test_dtype_reaches_the_weights(folder):
    assert load(str(folder), dtype="bfloat16")[0].dtype == torch.bfloat16
    assert load(str(folder))[0].dtype == torch.float32


def test_the_tiny_model_is_the_same_each_time_and_leaves_the_random_state_alone():
    state = torch.random.get_rng_state()
    first, second = build(3)[0].state_dict(), build(3)[0].state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build(4)[0].state_dict()
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])


def test_nothing_but_the_front_door_imports_demo(examples):
    root = examples.parents[1]
    importing = [
        path.relative_to(root).as_posix()
        for room in ("modeling_pandagpt", "processing", "chat_data", "evaluation", "training", "hub_cards")
        for path in (root / room).glob("**/*.py")
        if "from demo" in path.read_text() or "import demo" in path.read_text()
    ]
    assert importing == ["hub_cards/space/app.py"]  # which is no part of the package: it runs on the Hub
