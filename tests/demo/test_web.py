# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The web page without a browser: what a session keeps, what is shown of it, and the program that it becomes."""

import contextlib
import gc
import io
import shutil
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from example_files import FILES
from PIL import Image

from demo.conversation import Reply
from demo.media_views import DISTANCE, HEAT, false_colours, is_picture, kind_of, picture_of
from demo.session import LONGEST_QUESTION, Sampling, Session, Turn, TurnRefused
from demo.similarities import Item, TextEncoder, cosine_similarities, heat_map
from demo.snippet import BEFORE_THE_FIRST_ANSWER, loading, snippet
from demo.untrained import build
from modeling_pandagpt import ImageBindConfig, ImageBindModel


UNTRAINED = "\nfrom demo.untrained import build\n\nmodel, processor = build()"
SHORT = Sampling(max_new_tokens=8)


@pytest.fixture(scope="module")
def tiny():
    return build()


@pytest.fixture
def media(examples, tmp_path, monkeypatch):
    """Copies of the example files, as uploads are, where the test runs."""
    for name in FILES.values():
        shutil.copy(examples / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return {kind: (kind, str(tmp_path / name)) for kind, name in FILES.items()}


@pytest.fixture
def session(tiny):
    return Session(*tiny, threading.Lock())


def ask(session, question="What is it?", media=(), sampling=SHORT, **reading):
    session.begin(question, list(media), sampling, reading)
    for _ in session.answer():
        pass
    return session.turns[-1]


def run(program: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "snippet", "exec"), {})
    return printed.getvalue().removesuffix("\n")


# Kinds and pictures of files


def test_kinds_follow_from_names_shapes_and_bits(tmp_path, examples):
    assert {kind_of(examples / name) for name in ("picture.png", "thermal.png")} == {"image"}
    assert kind_of(examples / "depth.npy") == "depth" and kind_of(examples / "motion.csv") == "imu"
    np.save(tmp_path / "motion.npy", np.zeros((6, 2000), np.float32))
    assert kind_of(tmp_path / "motion.npy") == "imu"
    Image.fromarray(np.full((4, 4), 1500, np.uint16)).save(tmp_path / "millimetres.PNG")
    assert kind_of(tmp_path / "millimetres.PNG") == "depth" and is_picture(tmp_path / "millimetres.PNG")
    with pytest.raises(ValueError, match="notes.txt is none of the files that can be given"):
        kind_of("notes.txt")
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY broken")
    with pytest.raises(ValueError, match="broken.npy is no array"):
        kind_of(tmp_path / "broken.npy")


def test_an_array_of_objects_is_never_unpickled(tmp_path):
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="no array of numbers"):
        kind_of(tmp_path / "evil.npy")


def test_every_kind_has_a_picture(media):
    for kind, path in media.values():
        picture = Image.open(picture_of(kind, path))
        assert picture.mode == "RGB" and len(picture.getcolors(1 << 24)) > 1, kind


@pytest.mark.parametrize("kind", FILES)
def test_what_cannot_be_read_has_no_picture(tmp_path, kind):
    path = tmp_path / FILES[kind]
    path.write_bytes(b"nothing of the kind")
    assert picture_of(kind, path) is None


def test_a_picture_is_drawn_once_for_each_way_to_read_the_file(media, monkeypatch):
    kind, path = media["imu"]
    drawn = []
    monkeypatch.setattr("demo.media_views._draw", lambda *read_as: drawn.append(read_as) or Image.new("RGB", (2, 2)))
    first, again, other = (picture_of(kind, path, rate) for rate in (50, 50, 99.5))
    assert first == again != other and [rate for *_, rate in drawn] == [50, 99.5]
    assert {file.suffix for file in Path(path).parent.iterdir()} <= {*(Path(name).suffix for name in FILES.values())}


def test_a_broken_file_is_not_tried_again(tmp_path, monkeypatch):
    path = tmp_path / "sound.wav"
    path.write_bytes(b"no sound")
    assert picture_of("audio", path) is None
    monkeypatch.setattr("demo.media_views._draw", lambda *read_as: pytest.fail("it was tried again"))
    assert picture_of("audio", path) is None


def test_two_who_look_at_once_see_the_whole_picture(media):
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda _: Image.open(picture_of(*media["depth"])).convert("RGB").tobytes(), range(8)))
    assert len(set(seen)) == 1


def test_false_colours_go_from_low_to_high():
    picture = np.asarray(false_colours(np.array([[0.0, 5.0, 10.0]]), HEAT))
    assert tuple(picture[0, 0]) == HEAT[0] and tuple(picture[0, 2]) == HEAT[-1]
    assert tuple(np.asarray(false_colours(np.ones((2, 2)), DISTANCE))[0, 0]) == DISTANCE[0]  # a flat one, no division


def test_near_is_red_and_the_unmeasured_is_far(tmp_path):
    np.save(tmp_path / "depth.npy", np.kron([[1.0, 10.0], [0.0, np.inf]], np.ones((32, 32))))
    picture = np.asarray(Image.open(picture_of("depth", tmp_path / "depth.npy")))
    assert tuple(picture[0, 0]) == DISTANCE[-1] and tuple(picture[-1, 0]) == tuple(picture[-1, -1]) == DISTANCE[0]


# Sessions


def test_three_turns_with_media_in_the_first_and_third_are_one_conversation(session, media):
    ask(session, "First?", [media["image"]])
    ask(session, "Second?")
    without = session.turns[-1]
    ask(session, "Third?", [media["audio"], media["depth"]])
    assert [turn.question for turn in session.turns] == ["First?", "Second?", "Third?"]
    assert all(turn.reply and turn.answer == turn.reply.answer and not turn.trouble for turn in session.turns)
    assert without.media == [] and session.attached == [media["image"], media["audio"], media["depth"]]
    assert session.media_embeds.shape == (3, 64)


def test_a_medium_of_a_later_turn_is_seen(tiny, media):
    answers = set()
    for later in ([], [media["image"]], [media["thermal"]]):
        session = Session(*tiny, threading.Lock())
        ask(session, "What is this?", [media["audio"]])
        answers.add(ask(session, "And now?", later, Sampling(max_new_tokens=30)).answer)
    assert len(answers) == 3


@pytest.mark.parametrize(
    "sampling",
    [Sampling(12), Sampling(12, temperature=0), Sampling(12, top_p=0.9, temperature=1.3, seed=7)],
    ids=["the original's", "greedy", "sampled"],
)
def test_the_program_gives_the_same_answer(session, media, sampling):
    ask(session, 'What is "this", \\ and\nthat?', [media["image"], media["imu"]], sampling)
    ask(session, "And <image> ### now?", [], Sampling(5, top_p=0.8, seed=3))
    assert run(snippet(session.turns, UNTRAINED)) == session.turns[-1].answer
    last = ask(session, "Compare.", [media["video"], media["audio"]], sampling)
    assert last.answer and run(snippet(session.turns, UNTRAINED)) == last.answer


def test_the_program_of_a_stopped_answer_stops_there_too(session, media):
    session.begin("Tell me all.", [media["thermal"]], Sampling(max_new_tokens=400, temperature=0))
    pieces = session.answer()
    next(pieces)
    session.stop()
    for _ in pieces:
        pass
    turn = session.turns[-1]
    assert turn.stopped and 0 < turn.reply.output_tokens < 400
    assert run(snippet(session.turns, UNTRAINED)) == turn.answer


def test_the_program_reads_files_as_the_page_did(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.linspace(500, 9000, 64 * 64).reshape(64, 64).astype(np.uint16)).save("depth.png")
    medium = [("depth", str(tmp_path / "depth.png"))]
    refused = ask(session, media=medium)
    assert "depth.png: a depth map of integers" in refused.trouble.lower() and "Depth unit" in refused.trouble
    assert refused.reply is None and snippet(session.turns, UNTRAINED) == BEFORE_THE_FIRST_ANSWER
    answered = ask(session, media=medium, depth_kwargs={"depth_unit": 0.001})
    assert answered.answer and run(snippet(session.turns, UNTRAINED)) == answered.answer


def test_the_program_tells_files_of_one_name_apart():
    first, second = Path("one") / "image.png", Path("two") / "image.png"
    turn = Turn("What?", [("image", str(first)), ("image", str(second)), ("image", str(first))], Sampling())
    turn.reply = Reply("What?", turn.media, "yes", 1, 1, 0.0)
    program = snippet([turn], "")
    assert program.count("'image.png'") == 2 and program.count("'image-2.png'") == 1
    assert "image.png, image-2.png" in program


def test_the_program_names_the_model_as_it_was_loaded():
    assert loading(None, None, "auto", "auto").endswith("pandagpt.load(BUNDLED)")
    assert loading("user/model", None, "auto", "auto").endswith("pandagpt.load('user/model')")
    lines = loading("user/model", "v1", "bfloat16", "cpu")
    assert lines.endswith("pandagpt.load('user/model', revision='v1', dtype='bfloat16', device='cpu')")


def test_going_back_forgets_the_turn_and_what_follows(session, media):
    first = ask(session, "First?", [media["image"]])
    ask(session, "Second?", [media["audio"]])
    ask(session, "Third?", [media["audio"]])
    assert session.go_back(1).question == "Second?"
    assert session.turns == [first] and len(session.media_embeds) == 1
    again = ask(session, "Second?", [media["audio"]])
    assert run(snippet(session.turns, UNTRAINED)) == again.answer
    session.go_back()
    assert session.turns == [] and len(session.media_embeds) == 0
    assert session.go_back(3) is None


def test_a_failed_turn_can_be_taken_back_alone(session, media, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    first = ask(session, "First?", [media["image"]])
    failed = ask(session, "Second?", [("image", str(tmp_path / "bad.png"))])
    assert failed.trouble.startswith("Bad.png: it is no picture") and str(tmp_path) not in failed.trouble
    session.go_back(1)
    assert session.turns == [first] and len(session.media_embeds) == 1


@pytest.mark.parametrize(
    ("question", "sampling", "reason"),
    [
        (" \n", SHORT, "Type a question"),
        ("a" * (LONGEST_QUESTION + 1), SHORT, str(LONGEST_QUESTION)),
        ("What?", Sampling(0), "Choose more under Settings"),
    ],
)
def test_what_cannot_be_answered_is_refused_at_once(session, question, sampling, reason):
    with pytest.raises(TurnRefused, match=reason):
        session.begin(question, [], sampling)
    assert session.turns == []


def test_clearing_in_the_middle_stops_the_answer(session):
    session.begin("Tell me all.", [], Sampling(max_new_tokens=400))
    pieces = session.answer()
    next(pieces)
    with pytest.raises(TurnRefused, match="still being answered"):
        session.begin("And?", [], SHORT)
    session.go_back()
    assert session.turns == [] and list(pieces) is not None
    assert ask(session, "Again?").answer


def test_a_question_that_was_stopped_before_its_turn_is_never_asked(session):
    session.begin("What?", [], SHORT)
    session.stop()
    assert list(session.answer()) == [None]
    assert session.turns[-1].trouble == "Stopped before the answer began." and not session.waits


def test_a_lost_browser_stops_the_answer(session):
    session.begin("Tell me all.", [], Sampling(max_new_tokens=400))
    pieces = session.answer()
    next(pieces)
    pieces.close()
    assert session.turns[-1].stopped and not session.waits


def test_two_sessions_share_a_model_and_nothing_else(tiny, media):
    lock = threading.Lock()
    alone = ask(Session(*tiny, lock), "What is it?", [media["image"]]).answer
    sessions = [Session(*tiny, lock) for _ in range(2)]
    threads = [
        threading.Thread(target=ask, args=(session, "What is it?", [media[kind]]))
        for session, kind in zip(sessions, ("image", "audio"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sessions[0].turns[0].answer == alone
    assert [session.attached for session in sessions] == [[media["image"]], [media["audio"]]]


def test_a_session_that_is_let_go_keeps_its_words_and_sees_its_media_again(tiny, media, session):
    ask(session, "First?", [media["image"]])
    session.release()
    assert len(session.media_embeds) == 0 and len(session.turns) == 1
    again = ask(session, "Second?", [media["audio"]])
    assert len(session.media_embeds) == 2
    other = Session(*tiny, threading.Lock())
    ask(other, "First?", [media["image"]])
    assert ask(other, "Second?", [media["audio"]]).answer == again.answer


def test_a_session_that_nobody_holds_is_gone(tiny):
    session = Session(*tiny, threading.Lock())
    ask(session)
    gone = weakref.ref(session)
    del session
    for _ in range(50):  # the thread that wrote the answer may be about to end
        gc.collect()
        if gone() is None:
            break
        time.sleep(0.1)
    assert gone() is None


# The shared space


def test_similarities_are_cosines():
    embeds = torch.tensor([[2.0, 0.0], [0.0, 0.5], [-3.0, 0.0]])
    assert cosine_similarities(embeds).tolist() == [[1, 0, -1], [0, 1, 0], [-1, 0, 1]]


def test_the_heat_map_shows_names_as_text(media):
    kind, path = media["image"]
    items = [Item("<script>alert(1)</script>.png", kind, picture_of(kind, path)), Item('a "dog"', "text")]
    html = heat_map(items, torch.tensor([[1.0, -0.25], [-0.25, 1.0]]))
    assert "<script>" not in html and "&lt;script&gt;" in html and "a &quot;dog&quot;" in html
    assert html.count("-0.25") == 2 and "data:image/png;base64," in html


def test_texts_are_compared_by_an_imagebind_of_the_same_width(tmp_path):
    from processing import ImageBindProcessor
    from processing.processing_imagebind import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained("tests/fixtures/clip_tokenizer")
    encoder = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = ImageBindConfig(
        text_config={**encoder, "vocab_size": len(tokenizer)}, modalities=["text"], projection_dim=16
    )
    ImageBindModel(config).save_pretrained(tmp_path)
    ImageBindProcessor(tokenizer=tokenizer).save_pretrained(tmp_path)
    embeds = TextEncoder(str(tmp_path), 16)(["a dog", "a bell"])
    assert embeds.shape == (2, 16) and cosine_similarities(embeds).diagonal().allclose(torch.ones(2))
    with pytest.raises(ValueError, match="16 dimensions"):
        TextEncoder(str(tmp_path), 64)


# The page


def test_messages_are_plain_text_and_know_their_turn(session, media):
    page = pytest.importorskip("demo.page", reason="Gradio is not installed")
    ask(session, "Is <b>this</b> &lt; that?", [media["depth"], media["audio"]])
    ask(session, "And?")
    ask(session, "Broken?", [("image", "gone.png")])
    shown = page.messages(session.turns)
    roles = [message["role"] for message in shown]
    assert roles == ["user", "user", "assistant", "user", "assistant", "user", "user", "assistant"]
    assert [page._turn_at(session.turns, place) for place in range(9)] == [0, 0, 0, 1, 1, 2, 2, 2, 3]
    assert page._turn_at(session.turns, [3, 0]) == 1
    depth, sound = shown[0]["content"]
    assert depth["path"].endswith(".depth.png") and sound["path"] == media["audio"][1]
    words = shown[1]["content"]
    assert "<b" not in words and "&lt" not in words
    assert words.replace(page.WORD_JOINER, "") == "Is <b>this</b> &lt; that?"
    assert shown[5]["content"] == ["Picture: gone.png"] and shown[7]["content"].startswith("⚠ ")


@pytest.fixture(scope="module")
def page(tiny):
    pages = pytest.importorskip("demo.page", reason="Gradio is not installed")
    return pages.Page(pages.Served(*tiny, "", ""))


SETTINGS = (8, 0.01, 1.0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("handler", "arguments"),
    [
        ("_retry", (SimpleNamespace(index=1), *SETTINGS)),
        ("_edit", (SimpleNamespace(index=0, value="And?"), *SETTINGS)),
        ("_undo", (SimpleNamespace(index=1),)),
        ("_stop", ()),
        ("_settle", ()),
        ("_give_up", ()),
    ],
)
def test_what_needs_an_expired_conversation_says_so_and_begins_anew(page, handler, arguments):
    request = SimpleNamespace(session_hash=handler)
    session, shown, question, program, notice = getattr(page, handler)(None, request, *arguments)
    assert session is page.sessions[handler] and shown == [] and program == BEFORE_THE_FIRST_ANSWER
    assert notice["visible"] and "This conversation has expired." in notice["value"]
    assert question["submit_btn"] and not question["stop_btn"] and "value" not in question
    _, shown, *_, notice = page._submit(session, request, {"text": "And now?", "files": []}, *SETTINGS)
    assert not notice["visible"] and [message["content"] for message in shown] == ["And now?"]
    assert len(list(page._answer(session))) and not session.waits


def test_a_question_to_an_expired_conversation_begins_a_new_one(page, media):
    request = SimpleNamespace(session_hash="late")
    assert list(page._answer(None)) == []
    session, *_, notice = page._clear(None, request)
    assert session.turns == [] and not notice["visible"]
    session, *_, notice = page._submit(None, request, {"text": "What?", "files": [media["image"][1]]}, *SETTINGS)
    assert session.waits and notice["value"] == "This conversation has expired. This is a new one."
    session, *_, notice = page._example(None, request, SimpleNamespace(index=2), *SETTINGS)
    assert session.turns[0].media[0][0] == "audio" and notice["visible"]
