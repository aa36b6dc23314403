# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""`transformers serve` on a folder of ours, asked by OpenAI's client; no source of ours is on the server's path."""

import base64
import os
import socket
import subprocess
import sys
import time

import pytest
from outsider import REFUSE_OUR_SOURCE

from demo.untrained import build


openai = pytest.importorskip("openai", reason="openai is not installed")
pytest.importorskip("fastapi", reason="fastapi is not installed: the library's server needs it")
pytestmark = pytest.mark.slow

SERVE = """
from transformers.cli.transformers import main
main()
"""
# A busy machine imports torch slowly.
STARTING_SECONDS = 180


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(scope="module")
def ask(tmp_path_factory, examples):
    """Asks the server about one medium."""
    home = tmp_path_factory.mktemp("serving")
    (home / "hf" / "hub").mkdir(parents=True)
    for part in build():
        part.save_pretrained(home / "model")
    port = str(free_port())
    # The server asks for 32 frames of a video unless it is told otherwise; ImageBind's clips have two.
    video = ["--chat-template-kwargs", '{"num_frames": 2}']
    options = [
        *video,
        "--trust-remote-code",
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "--host",
        "127.0.0.1",
        "--port",
        port,
    ]
    log = (home / "log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-c", REFUSE_OUR_SOURCE + SERVE, "serve", str(home / "model"), *options],
        cwd=home,
        env=os.environ | {"HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1"},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=120)
    end = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            client.models.list()
            break
        except openai.APIConnectionError:
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the server did not start:\n{(home / 'log').read_text()[-3000:]}")
            time.sleep(0.5)

    def ask(kind: str | None = None, name: str = "", stream: bool = False) -> str:
        blocks = [{"type": "text", "text": "What is this?"}]
        if kind:
            data = base64.b64encode((examples / name).read_bytes()).decode()
            content = {"data": data, "format": "wav"} if kind == "input_audio" else {"url": f"data:;base64,{data}"}
            blocks.insert(0, {"type": kind, kind: content})
        reply = client.chat.completions.create(
            model=str(home / "model"),
            messages=[{"role": "user", "content": blocks}],
            max_tokens=8,
            temperature=0,
            stream=stream,
        )
        if stream:
            return "".join(chunk.choices[0].delta.content or "" for chunk in reply if chunk.choices)
        return reply.choices[0].message.content

    yield ask
    server.terminate()
    server.wait(timeout=60)
    log.close()


def expected_answer(examples, kind: str | None = None, name: str = "") -> str:
    model, processor = build()
    blocks = [{"type": "text", "text": "What is this?"}]
    if kind:
        blocks.insert(0, {"type": kind, "path": str(examples / name)})
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": blocks}],
        tokenize=True,
        return_dict=True,
        add_generation_prompt=True,
        return_tensors="pt",
    )
    ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    return processor.post_process_image_text_to_text(ids)[0]


def test_text_picture_sound_and_video_get_the_model_s_answers(ask, examples):
    assert ask() == expected_answer(examples)
    assert ask("image_url", "picture.png") == expected_answer(examples, "image", "picture.png")
    assert ask("input_audio", "sound.wav") == expected_answer(examples, "audio", "sound.wav")
    assert ask("video_url", "video.mp4") == expected_answer(examples, "video", "video.mp4")


def test_a_streamed_answer_is_the_same(ask):
    assert ask("image_url", "picture.png", stream=True) == ask("image_url", "picture.png")
