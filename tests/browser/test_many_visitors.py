# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Many visitors of one page, which runs in this process so that what it holds can be counted, and be held up."""

import gc
import os
import re
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.untrained import build


pytest.importorskip("httpx", reason="httpx, which comes with gradio, is not installed")
from page_client import PageClient  # noqa: E402


pytestmark = pytest.mark.browser

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page that runs here; the session of a closed tab is forgotten after a second instead of an hour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_IS_E2E_TEST", "1")
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        pages = pytest.importorskip("demo.page", reason="Gradio is not installed")
        page = pages.Page(pages.Served(*build(), "", ""))
        page.blocks.launch(
            prevent_thread_lock=True, quiet=True, share=False, server_name="127.0.0.1", css=pages.CSS, ssr_mode=False
        )
        yield page
        page.blocks.close()


@pytest.fixture
def visit(page, visit_at):
    return lambda: visit_at(page.blocks.local_url)


def wait_until(is_so) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def expire_all(page) -> None:
    for key in list(page.blocks.app.state_holder.session_data):
        page.blocks.app.state_holder.delete_state(key)


def are_gone(things: list[weakref.ref]) -> bool:
    gc.collect()
    return not any(thing() for thing in things)


def test_more_questions_than_can_wait_are_refused_and_all_others_answered(page, visit):
    from demo.page import MOST_WAITING

    first, *others = (PageClient(page.blocks.local_url) for _ in range(MOST_WAITING + 11))
    with page.model_lock, ThreadPoolExecutor(8) as pool:  # the first answer is held up, until all others have asked
        first.submit("What is it?")
        first.join()
        wait_until(lambda: not page.sessions[first.session].is_unheard)
        reasons = list(pool.map(lambda client: client.submit("And mine?"), others))
        refused = f"{MOST_WAITING} questions are waiting already. Try again in a while."
        waiting = [client for client, reason in zip(others, reasons, strict=True) if reason != refused]
        assert len(waiting) == MOST_WAITING
        list(pool.map(PageClient.join, waiting))
        visitor = visit()
        visitor.send("May I?")
        visitor.wait_for_notice("questions are waiting already")
        assert visitor.page.locator("#question textarea").input_value() == "May I?"
    with ThreadPoolExecutor(len(waiting) + 1) as pool:
        heard = list(pool.map(PageClient.listen, [first, *waiting]))
    assert all(one.end["success"] for one in heard)
    assert set.union(*(one.places for one in heard)) >= set(range(MOST_WAITING))
    for client in (first, *waiting):
        (turn,) = page.sessions[client.session].turns
        assert turn.reply and not turn.trouble
    assert visitor.ask("And now?")


def test_the_place_in_line_is_seen(page, visit):
    one, two = visit(), visit()
    with page.model_lock:
        one.send("What is it?")
        one.page.locator("#question .stop-button").wait_for()
        two.send("And mine?")
        two.page.get_by_text(re.compile(r"queue: 1/\d")).wait_for()
    for visitor in (one, two):
        visitor.wait_for_turns(1)


def test_a_question_whose_browser_never_stands_in_line_holds_its_place_for_a_moment_only(page, monkeypatch):
    monkeypatch.setattr("demo.page.MOST_WAITING", 1)
    one, two = (PageClient(page.blocks.local_url) for _ in range(2))
    one.submit("What is it?")
    assert "waiting already" in two.submit("And mine?")
    monkeypatch.setattr("demo.page.TO_JOIN", 0)
    assert "waiting already" not in two.submit("And mine?")
    two.join()
    assert two.listen().answer


def test_closed_tabs_leave_nothing_behind(page, visit, examples, memory_of):
    def come_and_go(count: int) -> None:
        held: list[weakref.ref] = []
        for number in range(count):
            client = PageClient(page.blocks.local_url)
            with client.open_tab():
                assert not client.submit("What is it?", examples / "picture.png")
                client.join()
                if number % 3:  # every third is gone before the answer
                    assert client.listen().answer
                session = page.sessions[client.session]
                held += [weakref.ref(session), weakref.ref(session._conversation)]
                del session
        wait_until(lambda: are_gone(held))

    visitor = visit()
    visitor.ask("What is it?", str(examples / "picture.png"))
    visitor.page.close()
    come_and_go(10)  # what the first ones need stays, as imports do
    before = memory_of(os.getpid())
    come_and_go(30)
    assert memory_of(os.getpid()) - before < 48 * MEBIBYTE


def test_an_expired_conversation_says_so_and_the_page_goes_on(page, visit):
    visitor = visit()
    visitor.set("Maximum length", 8)
    visitor.ask("What is it?")
    expire_all(page)
    visitor.page.locator("#chat button[title=Undo]").last.click()
    visitor.wait_for_notice("This conversation has expired.")
    visitor.page.locator("#chat button.example").first.wait_for()
    assert visitor.ask("And now?") and len(visitor.questions) == 1
    visitor.page.locator("#notice").wait_for(state="hidden")
    expire_all(page)
    visitor.send("And later?")
    visitor.wait_for_notice("This is a new one.")
    visitor.wait_for_turns(1)
    assert "later" in visitor.questions[0]
