# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The web page itself: what stands where, and what happens on every click.

Handlers get the visitor's [`Session`] and return what the page is to show of it. Texts are shown as plain text:
neither Markdown nor HTML of a visitor or of the model is ever interpreted.
"""

import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from demo.media_views import PICTURE_KINDS, is_picture, kind_of, picture_of
from demo.session import Sampling, Session, Turn, TurnRefused
from demo.similarities import Item, TextEncoder, cosine_similarities, heat_map
from demo.snippet import BEFORE_THE_FIRST_ANSWER, snippet


MOST_WAITING = 20  # questions; whoever comes then is told to come again
TO_JOIN = 10  # seconds that a browser has, from the question on, to stand in line for the answer
MOST_EVENTS = 100  # in Gradio's own queue, which the small things of the page go through too
UPLOADS_KEPT = 3600  # seconds
EXAMPLES = Path(__file__).parent / "examples"

# What stands on a card of the empty page: its question, and its media with their kinds.
EXAMPLE_TURNS = (
    ("What do you see?", (("image", "picture.png"),)),
    ("What do you see?", (("video", "video.mp4"),)),
    ("What do you hear?", (("audio", "sound.wav"),)),
    ("What do you sense?", (("thermal", "thermal.png"),)),
    ("What do you sense?", (("depth", "depth.npy"),)),
    ("What do you feel?", (("imu", "motion.csv"),)),
)
KIND_NAMES = {
    "image": "Picture",
    "video": "Video",
    "audio": "Sound",
    "thermal": "Thermal picture",
    "depth": "Depth map",
    "imu": "Motion",
}

PLACEHOLDER = """\
<div class="welcome"><h2>Show it, play it, or let it feel something</h2>
<p>Attach pictures, videos, sounds, thermal pictures, depth maps or motion recordings, and ask. Or begin with one of
these.</p></div>"""

# What stays on the page when a session is forgotten: after an hour, by a restart, or when too many others came.
EXPIRED = "This conversation has expired."

# A browser takes "<" and a word joiner for text, not for the beginning of a tag.
WORD_JOINER = "\u2060"

CSS = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def theme() -> gr.themes.Base:
    """Colours and fonts; the fonts are the visitor's own, none is fetched."""
    default = gr.themes.Default(primary_hue="cyan", neutral_hue="slate", radius_size="lg", font=FONT, font_mono=MONO)
    return default.set(body_text_color_subdued="*neutral_500", block_info_text_color="*neutral_500")


@dataclass(frozen=True)
class Served:
    """
    What answers on the page.

    Args:
        model ([`PandaGPTForConditionalGeneration`]):
            The model.
        processor ([`PandaGPTProcessor`]):
            Its processor.
        description (`str`):
            One line about it, in Markdown.
        loading (`str`):
            The lines of Python that load both.
        encode_texts (`TextEncoder`, *optional*):
            Brings texts into the same space as media.
    """

    model: Any
    processor: Any
    description: str
    loading: str
    encode_texts: TextEncoder | None = None


def build(served: Served) -> gr.Blocks:
    """The page, ready to be launched."""
    return Page(served).blocks


class Page:
    """
    The page and the sessions of its visitors.

    Args:
        served ([`Served`]):
            What answers.
    """

    def __init__(self, served: Served):
        self.served = served
        self.model_lock = threading.Lock()
        self.sessions_lock = threading.Lock()  # held while there is one more, or while those that wait are counted
        self.sessions: weakref.WeakValueDictionary[str, Session] = weakref.WeakValueDictionary()  # by the browser tab
        self.blocks = gr.Blocks(
            title="PandaGPT", analytics_enabled=False, fill_height=True, delete_cache=(600, UPLOADS_KEPT)
        )
        with self.blocks:
            self._lay_out()
            self._connect()
        self.blocks.queue(max_size=MOST_EVENTS, api_open=False)

    # What stands where

    def _lay_out(self) -> None:
        # Deleted after an hour of silence; the session then begins anew.
        self.session = gr.State(None, time_to_live=UPLOADS_KEPT, delete_callback=_end)
        self.pictures = gr.State([])  # paths of the pictures that are attached to the next question
        gr.Markdown(f"# PandaGPT\n{self.served.description}", elem_id="head")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Chat"):
                self._lay_out_chat()
            with gr.Tab("Similarities") as self.similarities_tab:
                self._lay_out_similarities()
            with gr.Tab("Python"):
                gr.Markdown("The conversation as a program that gives its last answer again.")
                self.code = gr.Code(BEFORE_THE_FIRST_ANSWER, language="python", interactive=False, show_label=False)

    def _lay_out_chat(self) -> None:
        cards = [_card(question, media) for question, media in EXAMPLE_TURNS]
        self.chat = gr.Chatbot(
            show_label=False,
            height="calc(100dvh - 310px)",
            min_height=420,
            placeholder=PLACEHOLDER,
            examples=cards,
            buttons=["copy", "copy_all"],
            editable="user",
            group_consecutive_messages=False,  # only a message of its own can be edited
            render_markdown=False,
            sanitize_html=True,
            allow_tags=False,
            latex_delimiters=[],
            feedback_options=None,
            elem_id="chat",
        )
        self.chat.keep_in_cache.update(card["icon"]["path"] for card in cards)  # uploads are deleted, these are not
        self.notice = gr.HTML(visible=False, elem_id="notice")  # why the last click came to nothing
        self.tray = gr.Row(elem_id="tray")
        self.question = gr.MultimodalTextbox(
            show_label=False,
            placeholder="Ask about what you attach …",
            file_count="multiple",
            file_types=["image", "video", "audio", ".npy", ".csv"],
            sources=["upload", "microphone"],
            max_plain_text_length=100_000,
            autofocus=True,
            elem_id="question",
        )
        with gr.Row(elem_id="more"):
            with gr.Accordion("Webcam", open=False):
                self.webcam = gr.Image(sources=["webcam"], type="filepath", show_label=False, height=280)
            with gr.Accordion("Settings", open=False):
                self._lay_out_settings()

    def _lay_out_settings(self) -> None:
        sampling = Sampling()
        length = gr.Slider(0, 400, sampling.max_new_tokens, step=1, label="Maximum length", info="Tokens of an answer")
        top_p = gr.Slider(0, 1, sampling.top_p, step=0.01, label="Top-p", info="Draw from the likeliest of this mass")
        temperature = gr.Slider(0, 2, sampling.temperature, step=0.05, label="Temperature", info="0 draws nothing")
        seed = gr.Number(sampling.seed, precision=0, minimum=0, maximum=2**32 - 1, label="Seed")
        gr.Markdown("What files leave unsaid (0: nothing)", elem_classes="note")
        with gr.Row():
            unit = gr.Number(0, label="Depth unit", info="Metres a step, e.g. 0.001", min_width=150)
            rate = gr.Number(0, label="Motion rate", info="Samples a second", min_width=150)
        with gr.Row():
            black = gr.Number(0, label="Thermal black", info="Of 16-bit pictures", min_width=150)
            white = gr.Number(0, label="Thermal white", info="Of 16-bit pictures", min_width=150)
        self.settings = [length, top_p, temperature, seed, unit, black, white, rate]

    def _lay_out_similarities(self) -> None:
        gr.Markdown(
            "Every medium becomes one vector of a space that all six kinds share. 1 is the same direction, 0 is "
            "unrelated. Here is everything that the conversation was given."
        )
        with_texts = self.served.encode_texts is not None
        self.texts = gr.Textbox(label="Texts to compare with, a line each", lines=3, visible=with_texts)
        self.compare = gr.Button("Compare", variant="primary", visible=with_texts, elem_id="compare")
        if not with_texts:
            gr.Markdown(
                "Texts are compared too where the page is started with `--imagebind` and an ImageBind that has a text "
                "encoder; a PandaGPT leaves it out.",
                elem_classes="note",
            )
        self.heat = gr.HTML(elem_id="heat")

    # What happens

    def _connect(self) -> None:
        shown = [self.session, self.chat, self.question, self.code, self.notice]
        at_once: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        self.blocks.load(self._welcome, None, self.session, **at_once)
        self.blocks.unload(self._leave)

        asking = [
            self.question.submit(self._submit, [self.session, self.question, *self.settings], shown, **at_once),
            self.chat.retry(self._retry, [self.session, *self.settings], shown, **at_once),
            self.chat.edit(self._edit, [self.session, *self.settings], shown, **at_once),
            self.chat.example_select(self._example, [self.session, *self.settings], shown, **at_once),
        ]
        for asked in asking:
            # One answer at a time: the place in the queue stands in the conversation.
            answered = asked.success(
                self._answer,
                self.session,
                self.chat,
                concurrency_limit=1,
                concurrency_id="model",
                show_progress="minimal",
                api_visibility="private",
            )
            answered.then(self._settle, self.session, shown, **at_once)
            answered.failure(self._give_up, self.session, shown, **at_once)
        self.question.stop(self._stop, self.session, shown, **at_once)
        self.chat.undo(self._undo, self.session, shown, **at_once)
        self.chat.clear(self._clear, self.session, shown, **at_once)

        # A state's change is noticed after events of the queue alone; these two wait for nobody in it.
        unlimited: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}
        self.question.change(
            _pictures, self.question, self.pictures, trigger_mode="always_last", api_visibility="private", **unlimited
        )
        self.webcam.change(_attach, [self.question, self.webcam], [self.question, self.webcam], **at_once)
        with self.tray:
            gr.render([self.session, self.pictures], [self.pictures.change], **unlimited)(self._choices)

        gr.on(
            [self.similarities_tab.select, self.compare.click, self.texts.submit],
            self._compare,
            [self.session, self.texts],
            self.heat,
            concurrency_id="model",
            api_visibility="private",
        )

    def _welcome(self, request: gr.Request) -> Session:
        session = Session(self.served.model, self.served.processor, self.model_lock)
        if request.session_hash:
            with self.sessions_lock:
                self.sessions[request.session_hash] = session
        return session

    def _leave(self, request: gr.Request) -> None:
        """The tab was closed, or a phone went to sleep: what is large goes at once, the rest after an hour."""
        session = self.sessions.get(request.session_hash or "")
        if session:
            session.release()

    def _expired(self, request: gr.Request) -> tuple:
        """A new session for a page whose own is gone; what is typed and attached stays."""
        return self._shown(self._welcome(request), gr.update(), f"{EXPIRED} Ask again to begin a new one.")

    def _submit(self, session: Session | None, request: gr.Request, message: dict, *settings: Any) -> tuple:
        kinds = session.kinds if session else {}
        try:
            media = [(kinds.get(path) or kind_of(path), path) for path in message["files"]]
        except ValueError as error:
            return _refused(session, error)
        return self._begin(session, request, message["text"] or "", media, settings)

    def _example(self, session: Session | None, request: gr.Request, chosen: gr.SelectData, *settings: Any) -> tuple:
        question, media = EXAMPLE_TURNS[chosen.index]
        return self._begin(
            session, request, question, [(kind, _served_example(name)) for kind, name in media], settings
        )

    def _retry(self, session: Session | None, request: gr.Request, clicked: gr.RetryData, *settings: Any) -> tuple:
        return self._ask_again(session, request, clicked.index, None, settings)

    def _edit(self, session: Session | None, request: gr.Request, edited: gr.EditData, *settings: Any) -> tuple:
        return self._ask_again(session, request, edited.index, edited.value, settings)

    def _ask_again(
        self, session: Session | None, request: gr.Request, place: Any, question: str | None, settings: tuple
    ) -> tuple:
        if session is None:
            return self._expired(request)
        turn = session.go_back(_turn_at(session.turns, place))
        if turn is None:
            return self._shown(session, gr.update())
        question = turn.question if question is None else question.replace(WORD_JOINER, "")
        return self._begin(session, request, question, turn.media, settings)

    def _begin(
        self,
        session: Session | None,
        request: gr.Request,
        question: str,
        media: list[tuple[str, str]],
        settings: tuple,
    ) -> tuple:
        notice = "" if session else f"{EXPIRED} This is a new one."
        session = session or self._welcome(request)
        try:
            with self.sessions_lock:
                if self._waiting() >= MOST_WAITING:
                    raise TurnRefused(f"{MOST_WAITING} questions are waiting already. Try again in a while.")
                session.begin(question, media, *_chosen(settings))
        except TurnRefused as error:
            return _refused(session, error)
        return self._shown(session, gr.update(value=None), notice)

    def _waiting(self) -> int:
        """How many questions stand in line, or were put a moment ago and are about to."""
        lines = self.blocks._queue.event_queue_per_concurrency_id
        events = lines["model"].queue if "model" in lines else ()
        in_line = {event.session_hash for event in events if event.fn.name == self._answer.__name__}
        earliest = time.monotonic() - TO_JOIN
        about_to = {
            key for key, session in self.sessions.items() if session.is_unheard and session.begun_at > earliest
        }
        return len(in_line | about_to)

    def _answer(self, session: Session | None) -> Iterator[list[dict]]:
        if session is None:
            return
        for _ in session.answer():
            yield messages(session.turns)

    def _settle(self, session: Session | None, request: gr.Request) -> tuple:
        return self._shown(session, gr.update()) if session else self._expired(request)

    def _give_up(self, session: Session | None, request: gr.Request) -> tuple:
        if session:
            session.give_up()
        return self._settle(session, request)

    def _stop(self, session: Session | None, request: gr.Request) -> tuple:
        if session is None or not session.waits:
            return self._settle(session, request)
        session.stop()
        return (gr.skip(),) * 5  # the answer, when it ends, shows the rest

    def _undo(self, session: Session | None, request: gr.Request, clicked: gr.UndoData) -> tuple:
        if session is None:
            return self._expired(request)
        turn = session.go_back(_turn_at(session.turns, clicked.index))
        value = {"text": turn.question, "files": [path for _, path in turn.media]} if turn else None
        for kind, path in turn.media if turn else ():
            session.kinds[path] = kind
        return self._shown(session, gr.update(value=value), "")

    def _clear(self, session: Session | None, request: gr.Request) -> tuple:
        session = session or self._welcome(request)
        session.go_back()
        return self._shown(session, gr.update(), "")  # what is typed already stays

    def _shown(self, session: Session, question: dict[str, Any], notice: str | None = None) -> tuple:
        """Everything that is shown of a session; a notice stays until there is another, or an empty one."""
        question["submit_btn"], question["stop_btn"] = not session.waits, session.waits
        program = snippet(session.turns, self.served.loading)
        return session, messages(session.turns), question, program, gr.skip() if notice is None else _notice(notice)

    def _choices(self, session: Session | None, pictures: list[str]) -> None:
        """A choice for each attached picture of what it shows."""
        if session is None:
            return
        for path in pictures:
            kind = session.kinds.setdefault(path, kind_of(path))
            name = next(name for name, its_kind in PICTURE_KINDS.items() if its_kind == kind)
            choice = gr.Radio(
                list(PICTURE_KINDS), value=name, label=f"{Path(path).name} is a", key=path, interactive=True
            )

            def choose(session: Session | None, name: str, path: str = path) -> None:
                if session:
                    session.kinds[path] = PICTURE_KINDS[name]

            choice.input(choose, [self.session, choice], None, queue=False, api_visibility="private")

    def _compare(self, session: Session | None, texts: str) -> str:
        lines = (
            [line.strip() for line in (texts or "").splitlines() if line.strip()] if self.served.encode_texts else []
        )
        media = session.attached if session else []
        embeds = session.media_embeds if session else torch.zeros(0, 0)
        if len(embeds) != len(media):
            return "<p>These files' vectors were let go while the page was away. Ask something, then look again.</p>"
        items = [Item(Path(path).name, kind, picture_of(kind, path)) for kind, path in media]
        if self.served.encode_texts and lines:
            with self.model_lock:
                texts_embeds = self.served.encode_texts(lines)
            embeds = torch.cat([embeds.float().cpu(), texts_embeds.float().cpu()]) if items else texts_embeds
            items += [Item(line, "text") for line in lines]
        if len(items) < 2:
            return "<p>Nothing to compare yet: ask about at least two files in the chat.</p>"
        return heat_map(items, cosine_similarities(embeds))


def messages(turns: list[Turn]) -> list[dict]:
    """The turns as the chat shows them."""
    return [message for turn in turns for message in _messages_of(turn)]


def _messages_of(turn: Turn) -> Iterator[dict]:
    """The media, the question, and the answer or what stands for it: up to three messages."""
    if turn.media:
        yield {"role": "user", "content": list(_views(turn))}
    yield {"role": "user", "content": _inert(turn.question)}
    if turn.trouble:
        yield {"role": "assistant", "content": _inert(f"⚠ {turn.trouble}")}
    elif turn.answer or turn.reply:
        yield {"role": "assistant", "content": _inert(turn.answer or "(an empty answer)")}


def _views(turn: Turn) -> Iterator[Any]:
    for kind, path in turn.media:
        caption = f"{KIND_NAMES[kind]}: {Path(path).name}"
        picture = picture_of(kind, path, turn.reading.get("imu_kwargs", {}).get("sampling_rate"))
        if picture is None:
            yield _inert(caption)
        else:  # videos and sounds have players
            yield {"path": path if kind in ("video", "audio") else str(picture), "alt_text": caption}


def _inert(text: str) -> str:
    return text.replace("<", f"<{WORD_JOINER}").replace("&", f"&{WORD_JOINER}")


def _refused(session: Session | None, error: Exception) -> tuple:
    """Everything stays as it is, and the page says why."""
    return session, gr.skip(), gr.skip(), gr.skip(), _notice(str(error))


def _notice(text: str) -> dict[str, Any]:
    return gr.update(value=escape(text), visible=bool(text))


def _turn_at(turns: list[Turn], place: int | tuple[int, int] | list[int]) -> int:
    """Which turn a message of the chat belongs to."""
    owners = [index for index, turn in enumerate(turns) for _ in _messages_of(turn)]
    message = place if isinstance(place, int) else place[0]
    return owners[message] if message < len(owners) else len(turns)


def _chosen(settings: tuple) -> tuple[Sampling, dict[str, dict[str, Any]]]:
    """The sampling, and the processor's options of those fields that are filled in."""
    length, top_p, temperature, seed, unit, black, white, rate = settings
    reading: dict[str, dict[str, Any]] = {}
    if unit:
        reading["depth_kwargs"] = {"depth_unit": unit}
    if white:
        reading["thermal_kwargs"] = {"value_range": (black or 0, white)}
    if rate:
        reading["imu_kwargs"] = {"sampling_rate": rate}
    return Sampling(int(length), top_p, temperature, int(seed or 0)), reading


def _pictures(message: dict | None) -> list[str]:
    return [path for path in (message or {}).get("files", []) if is_picture(path)]


def _attach(message: dict | None, picture: str | None) -> tuple:
    """A picture of the webcam becomes an attachment, and the camera is free for the next."""
    if picture is None:
        return gr.skip(), gr.skip()
    message = message or {"text": "", "files": []}
    return {**message, "files": [*message["files"], picture]}, None


def _served_example(name: str) -> str:
    """An example's copy where files may be shown from."""
    return save_file_to_cache(EXAMPLES / name, cache_dir=get_upload_folder())


def _card(question: str, media: tuple[tuple[str, str], ...]) -> Any:
    kind, name = media[0]
    picture = picture_of(kind, _served_example(name))
    return {"text": question, "display_text": f"{question}  ({KIND_NAMES[kind]})", "icon": str(picture), "files": []}


def _end(session: Session | None) -> None:
    if session:
        session.stop()
