# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Every control of the web page, in headless Chromium, with the untrained model: all is real but the sense of it."""

import contextlib
import io
import re

import pytest


pytestmark = pytest.mark.browser

FILES = ("picture.png", "video.mp4", "sound.wav", "thermal.png", "depth.npy", "motion.csv")


@pytest.fixture
def visitor(visit):
    """Somebody who likes short answers."""
    visitor = visit()
    visitor.set("Maximum length", 12)
    return visitor


@pytest.fixture
def file_of(examples):
    return lambda name: str(examples / name)


def run(program: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "snippet", "exec"), {})
    return printed.getvalue().removesuffix("\n")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1600, 900)], ids=["phone", "wide"])
def test_an_example_answers_on_click_in_every_window(visit, width, height):
    visitor = visit(viewport={"width": width, "height": height})
    assert visitor.page.locator("#chat button.example").count() == 6
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    visitor.page.locator("#chat button.example").nth(2).click()
    visitor.wait_for_turns(1)
    assert "What do you hear?" in visitor.questions[0] and visitor.answers[0]
    assert visitor.page.locator("#chat [data-testid^=waveform]").count() == 1
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width


def test_three_turns_with_all_six_kinds_in_the_first_and_third(visitor, examples, file_of, monkeypatch):
    monkeypatch.chdir(examples)
    page = visitor.page
    visitor.attach(*map(file_of, FILES))
    choices = page.locator("#tray fieldset, #tray .block:has(input[type=radio])")
    choices.first.wait_for()
    page.locator("#tray").get_by_label("Thermal").last.check()
    visitor.ask("What are these?")
    pictures = page.locator("#chat .user.message img")
    assert pictures.count() == 4  # photograph, thermal, depth, motion; video and sound have players
    sources = [picture.get_attribute("src") for picture in pictures.all()]
    assert [re.search(r"\.(\w+)\.png$", source)[1] for source in sources] == ["image", "thermal", "depth", "imu"]
    assert all(picture.evaluate("picture => picture.naturalWidth") > 50 for picture in pictures.all())
    assert page.locator("#chat video").count() == 1 and page.locator("#chat [data-testid^=waveform]").count() == 1
    visitor.ask("And what is <b>bold</b>?")
    third = visitor.ask("And this?", file_of("thermal.png"))
    assert len(visitor.answers) == 3

    page.get_by_role("tab", name="Similarities").click()
    page.locator("#heat td").nth(48).wait_for(state="attached")
    labels = page.locator("#heat tbody th").all_inner_texts()
    assert [label.strip() for label in labels] == [*FILES, "thermal.png"]
    cells = [row.locator("td").all_inner_texts() for row in page.locator("#heat tbody tr").all()]
    assert [cells[i][i] for i in range(7)] == ["1.00"] * 7
    assert cells == [list(column) for column in zip(*cells, strict=True)]

    page.get_by_role("tab", name="Python").click()
    page.locator("button[aria-label*='Copy'], button[title*='Copy']").last.click()
    program = page.evaluate("navigator.clipboard.readText()")
    assert program.count("'type': 'thermal'") == 2  # what was said of a file stays said
    assert run(program) == third


def test_stop_in_the_middle_then_resubmit_undo_edit_and_clear(visit, file_of):
    visitor = visit()
    page = visitor.page
    visitor.set("Maximum length", 400)
    visitor.attach(file_of("picture.png"))
    visitor.send("Tell me everything.")
    # In one go: the button is gone as soon as the answer ends of itself.
    page.wait_for_function(
        """(document.querySelector('#chat .bot.message')?.innerText ?? '').length > 150
        && (document.querySelector('#question .stop-button').click(), true)"""
    )
    visitor.wait_for_turns(1)
    stopped = visitor.answers[0]
    page.get_by_role("tab", name="Python").click()
    length = int(re.search(r"max_new_tokens=(\d+)", page.locator(".cm-content").inner_text())[1])
    assert length < 400
    page.get_by_role("tab", name="Chat").click()

    visitor.set("Maximum length", 10)
    page.locator("#chat button[title=Retry]").last.click()
    page.wait_for_function(f"document.querySelector('#chat .bot.message')?.innerText.length < {len(stopped)}")
    visitor.wait_for_turns(1)
    short = visitor.answers[0]
    assert stopped.startswith(short) or len(short.split()) <= 10

    visitor.ask("And now?")
    page.locator("#chat button[title=Undo]").last.click()
    visitor.wait_for_turns(1)
    assert page.locator("#question textarea").input_value() == "And now?"

    page.locator("#chat button[title=Edit]").last.click()
    page.locator("#chat textarea").fill("Something <i>else</i>?")
    page.locator("#chat button[title=Submit]").click()
    page.wait_for_function("document.querySelector('#chat').innerText.includes('else')")
    visitor.wait_for_turns(1)
    assert page.locator("#chat .user.message img").count() == 1  # its picture stays
    page.locator("#chat button[title=Clear]").click()
    page.locator("#chat button.example").first.wait_for()
    assert visitor.answers == []
    assert visitor.ask("A new beginning?")


def test_webcam_and_microphone(visitor):
    page = visitor.page
    page.locator("button.label-wrap", has_text="Webcam").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#more video')?.currentTime > 0")
    page.get_by_label("capture photo").click()
    attached = page.locator("#question .thumbnail-item")
    attached.nth(0).wait_for()
    page.get_by_label("Record audio").click()
    page.get_by_label("Start recording").click()
    page.wait_for_timeout(1500)
    page.get_by_label("Stop recording").click()
    page.get_by_label("Attach audio").click()
    attached.nth(1).wait_for()
    visitor.ask("What do you see and hear?")
    assert page.locator("#chat .user.message img").count() == 1
    assert page.locator("#chat [data-testid^=waveform]").count() == 1


def test_two_visitors_never_see_each_other(visit, file_of):
    one, two = visit(), visit()
    for visitor in (one, two):
        visitor.set("Maximum length", 40)
    one.attach(file_of("picture.png"))
    two.attach(file_of("depth.npy"))
    one.send("My secret is the panda.")
    two.send("Mine is the distance.")
    one.wait_for_turns(1)
    two.wait_for_turns(1)
    assert "panda" in one.page.content() and "Mine is the distance" not in one.page.content()
    assert "distance" in two.page.content() and "My secret" not in two.page.content()
    assert "picture.png" not in two.page.locator("#chat").inner_html()
    one.page.reload()
    one.page.wait_for_selector("#chat button.example")
    assert one.answers == []


def test_messages_are_inert(visitor):
    evil = "<script>document.title='evil'</script><img src=x onerror=\"document.title='evil'\">"
    evil += " ![x](http://10.0.0.1/a.png)"
    visitor.ask(f"{evil} <b id=bold>bold</b> &lt;")
    assert visitor.page.title() == "PandaGPT" and visitor.page.locator("#bold").count() == 0
    shown = visitor.questions[0].replace("\u2060", "")
    assert "<script>document.title='evil'</script>" in shown and shown.rstrip().endswith("&lt;")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("fake.png", b"MZ this is no picture", "Fake.png: it is no picture of a known format"),
        ("cut.wav", b"RIFF\xff\xff\x00\x00WAVEfmt ", "Cut.wav: the WAV file is truncated"),
        ("short.csv", b"1,2,3,4,5,6\n", "Short.csv: 1 samples without a rate; give the rate (Settings, Motion rate)"),
        ("video.mp4", b"\x00\x00\x00\x18ftypmp42 and nothing else", "Video.mp4: "),
    ],
)
def test_a_bad_file_is_refused_in_words_and_the_talk_goes_on(visitor, name, content, said):
    answer = visitor.ask("What is it?", {"name": name, "mimeType": "image/png", "buffer": content})
    assert said in answer.replace("\u2060", "") and "/tmp" not in answer and "Error" not in answer
    assert not visitor.ask("And without it?").startswith("⚠")


def test_what_is_no_question_is_refused_in_words(visitor):
    visitor.send("  ")
    visitor.wait_for_notice("Type a question first.")
    visitor.set("Maximum length", 0)
    visitor.send("What?")
    visitor.wait_for_notice("Choose more under Settings")
    assert visitor.questions == [] and visitor.page.locator("#question textarea").input_value() == "What?"


def test_dark_mode_is_readable(visit, server):
    visitor = visit(f"{server.url}/?__theme=dark")
    visitor.set("Maximum length", 12)
    visitor.ask("What is it?")
    contrast = """message => {
        const light = colour => {
            const [r, g, b] = colour.match(/[\\d.]+/g).map(c => (c / 255) ** 2.2);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        };
        const style = getComputedStyle(message), text = getComputedStyle(message.querySelector('span'));
        const [one, two] = [light(style.backgroundColor), light(text.color)];
        return Math.max(one, two) / Math.min(one, two);
    }"""
    assert visitor.page.locator("#chat .user.message").first.evaluate(contrast) > 4.5
