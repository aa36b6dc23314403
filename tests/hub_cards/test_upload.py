# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A folder goes to the Hub whole or not at all, whatever fails; what is refused is refused in one sentence."""

import contextlib
import json
import os

import pytest
from hub_processes import run, sent_elsewhere

from hub_cards.upload import PublishError, hub_errors, refuse_pickles


UPLOAD = """
import json, sys
from huggingface_hub import HfApi
from hub_cards.upload import PublishError, upload_folder_at_once

folder, repo, attempts = sys.argv[1], sys.argv[2], int(sys.argv[3])
said = []
for _ in range(attempts):
    try:
        said.append(upload_folder_at_once(HfApi(), folder, repo, message="all", stale=["*.safetensors"]).oid)
    except PublishError as error:
        said.append(str(error))
print(json.dumps(said))
"""


@pytest.fixture
def folder(tmp_path):
    content = tmp_path / "content"
    (content / "sub").mkdir(parents=True)
    (content / "README.md").write_text("---\nlibrary_name: transformers\n---\nHello\n", encoding="utf-8")
    (content / "model.safetensors").write_bytes(os.urandom(300_000))
    (content / "sub" / "note.txt").write_text("in a folder", encoding="utf-8")
    return content


def test_a_failed_upload_leaves_nothing_and_is_repeated(loopback_hub, folder, tmp_path):
    faults = [
        ("PUT", "/storage/", "cut", 6),  # as often as the client tries
        ("POST", "/lfs/objects/batch", 401, 1),
        ("POST", "/api/models/tester/faults/preupload/", 500, 6),
        ("POST", "/api/models/tester/faults/commit/", 429, 1),
        ("POST", "/api/models/tester/faults/commit/", 412, 1),
        ("POST", "/api/models/tester/faults/commit/", "cut", 1),
    ]
    before = len(loopback_hub.log)
    with contextlib.ExitStack() as stack:
        armed = [stack.enter_context(loopback_hub.fault(*fault)) for fault in faults]
        said = json.loads(run(UPLOAD, loopback_hub, tmp_path, folder, "tester/faults", len(faults) + 2))
    assert [fault.times for fault in armed] == [0] * len(faults)
    # In the order in which a request of an upload meets them.
    expected = ["500", "does not know this token", "cannot be reached", "429", "meanwhile", "cannot be reached"]
    for message, words in zip(said, expected, strict=False):
        assert words in message, said
    assert said[-2] == said[-1] == loopback_hub.history("tester/faults")[0]
    assert len(loopback_hub.history("tester/faults")) == 2  # the repository's birth, and all of it
    files = loopback_hub.files("tester/faults")
    assert files.pop(".gitattributes")
    assert files == {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
    requests = loopback_hub.log[before:]
    assert sum(seen.method == "PUT" and seen.status == 200 for seen in requests) == 1  # sent once, however often asked
    assert sent_elsewhere(loopback_hub) == {None}


def test_files_of_an_earlier_version_leave(loopback_hub, folder, tmp_path):
    (folder / "model-00002.safetensors").write_bytes(b"\0" * 9)
    run(UPLOAD, loopback_hub, tmp_path, folder, "tester/versions", 1)
    (folder / "model-00002.safetensors").unlink()
    (folder / "sub" / "note.txt").unlink()
    run(UPLOAD, loopback_hub, tmp_path, folder, "tester/versions", 1)
    files = set(loopback_hub.files("tester/versions"))
    assert files == {
        ".gitattributes",
        "README.md",
        "model.safetensors",
        "sub/note.txt",
    }  # the last is nobody's weights


COMMANDS = """
import json, os, sys
from hub_cards.publish import main

said = []
for token, arguments in json.loads(sys.argv[1]):
    os.environ.pop("HF_TOKEN", None)
    if token:
        os.environ["HF_TOKEN"] = token
    try:
        main(arguments)
        said.append("nothing")
    except SystemExit as end:
        said.append(str(end.code))
print(json.dumps({"said": said, "torch": "torch" in sys.modules}))
"""


def test_rights_are_checked_before_anything_else(loopback_hub, folder, tmp_path):
    run(UPLOAD, loopback_hub, tmp_path, folder, "tester/else", 1)
    before = set(loopback_hub.repos)
    refusals = [
        ("hf_writer", "name", "name is no name of a repository: expected user/name."),
        (
            *("hf_writer", "stranger/model"),
            "tester may not write to stranger: choose another owner, or log in as another user.",
        ),
        (
            *("hf_writer", "library/model"),  # where tester may only read
            "tester may not write to library: choose another owner, or log in as another user.",
        ),
        (
            *("hf_writer", "tester/else"),
            "tester/else exists and is public: make it private in its settings, or take another name.",
        ),
        ("hf_reader", "tester/model", "The token of tester may only read: make one that may write."),
        (
            "hf_wrong",
            "tester/model",
            "The Hub does not know this token: log in with `hf auth login`, or mend HF_TOKEN.",
        ),
        (None, "tester/model", "There is no token: log in with `hf auth login`, or set HF_TOKEN."),
    ]
    commands = [(token, ["model", str(folder), "--repo", repo, "--private"]) for token, repo, _ in refusals]
    commands.append(("hf_writer", ["model", str(folder), "--repo", "tester/else"]))
    answer = json.loads(run(COMMANDS, loopback_hub, tmp_path, json.dumps(commands), token=None))
    other = "tester/else exists and holds something else (model.safetensors): choose another name."
    assert answer["said"] == [f"Error: {message}" for *_, message in refusals] + [f"Error: {other}"]
    assert not answer["torch"]  # not even the model's library was loaded
    assert set(loopback_hub.repos) == before


@pytest.mark.parametrize("name", ["pytorch_model.bin", "checkpoint.PT", "sub/training_args.bin", "weights.ckpt"])
def test_pickles_stay_here(name):
    with pytest.raises(PublishError, match="pickle"):
        refuse_pickles(["model.safetensors", name])


def test_a_full_disk_is_said():
    with pytest.raises(PublishError, match="disk is full: /there needs more room"), hub_errors("tester/any"):
        raise OSError(28, "No space left on device", "/there")


def test_other_failures_are_not_hidden():
    with pytest.raises(FileNotFoundError), hub_errors("tester/any"):
        raise FileNotFoundError(2, "No such file", "/there")
