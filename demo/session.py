# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""One visitor of the web page: the turns of the conversation, answered or not, and the answer that is being written.

Notable:
- What the page shows is always derived from the turns, never sent back by the browser.
- All sessions share one model: a lock lets them answer one after the other.
- Whoever undoes, edits or clears while an answer is being written stops it first.
"""

import logging
import queue
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import StoppingCriteria

from demo.chat import REFUSALS
from demo.conversation import Conversation, Reply


logger = logging.getLogger(__name__)

# A question of a book's length would hold up everybody.
LONGEST_QUESTION = 4000  # characters

# What the processors' messages call by the names of Python, and what it is called on the page.
SPOKEN_HERE = (
    (r"^\w+\[\d+\] \((['\"])(.*?)\1\): ", lambda match: f"{Path(match[2]).name}: "),
    (r"(the values that mean black and white), e\.g\. value_range=\((\d+), (\d+)\)", r"\1 (Settings), e.g. \2 and \3"),
    (r"e\.g\. depth_unit=([\d.]+) for millimetres", r"e.g. \1 for millimetres (Settings, Depth unit)"),
    (r"value_range must be \(low, high\) with low < high", "the thermal picture's black must lie below its white"),
    (r"give sampling_rate\b", "give the rate (Settings, Motion rate)"),
)


class TurnRefused(Exception):
    """A turn cannot begin; says why in words for the visitor."""


@dataclass(frozen=True)
class Sampling:
    """
    How answers are drawn.

    Args:
        max_new_tokens (`int`, *optional*, defaults to 256):
            Longest answer, in tokens.
        top_p (`float`, *optional*, defaults to 0.01):
            Share of the likeliest tokens that are drawn from.
        temperature (`float`, *optional*, defaults to 1.0):
            0 always takes the likeliest token.
        seed (`int`, *optional*, defaults to 0):
            Seed of the drawing.
    """

    max_new_tokens: int = 256
    top_p: float = 0.01
    temperature: float = 1.0
    seed: int = 0

    @property
    def generation(self) -> dict[str, Any]:
        """Options of `generate`."""
        if self.temperature == 0:
            return {"max_new_tokens": self.max_new_tokens, "do_sample": False}
        return {
            "max_new_tokens": self.max_new_tokens,
            "do_sample": True,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": 0,
        }


@dataclass
class Turn:
    """
    A question and what became of it.

    Args:
        question (`str`):
            What is asked.
        media (`list[tuple[str, str]]`):
            Kind and path of each medium that comes with it.
        sampling (`Sampling`):
            How its answer is drawn.
        reading (`dict[str, dict]`, *optional*):
            Options of the processor for media of a kind.
        answer (`str`, *optional*):
            What was written so far.
        reply (`Reply`, *optional*):
            The whole answer, once there is one.
        stopped (`bool`, *optional*):
            Whether the visitor cut the answer off.
        trouble (`str`, *optional*):
            Why there is no answer, in words for the visitor.
    """

    question: str
    media: list[tuple[str, str]]
    sampling: Sampling
    reading: dict[str, dict[str, Any]] = field(default_factory=dict)
    answer: str = ""
    reply: Reply | None = None
    stopped: bool = False
    trouble: str = ""

    @property
    def waits(self) -> bool:
        return self.reply is None and not self.trouble


class _Stopped(StoppingCriteria):
    def __init__(self, wanted: threading.Event):
        self.wanted = wanted

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), self.wanted.is_set(), device=input_ids.device)


class Session:
    """
    What one visitor said and got.

    Args:
        model ([`PandaGPTForConditionalGeneration`]):
            The model that answers everybody.
        processor ([`PandaGPTProcessor`]):
            Its processor.
        model_lock (`threading.Lock`):
            Held while the model works.
    """

    def __init__(self, model: Any, processor: Any, model_lock: threading.Lock):
        self.model, self.processor, self.model_lock = model, processor, model_lock
        self.turns: list[Turn] = []
        self.kinds: dict[str, str] = {}  # what the visitor said that a picture shows, by path
        self.begun_at = 0.0  # when the last question was put, by the monotonic clock
        self._conversation = Conversation(model, processor)
        self._stop_wanted = threading.Event()
        self._writing = threading.Lock()  # held while an answer is written

    @property
    def waits(self) -> bool:
        """Whether a question is not answered yet."""
        turns = self.turns[-1:]  # at once: another thread may clear them
        return bool(turns) and turns[0].waits

    @property
    def is_unheard(self) -> bool:
        """Whether a question waits that nobody answers yet."""
        return self.waits and not self._writing.locked()

    def begin(
        self,
        question: str,
        media: list[tuple[str, str]],
        sampling: Sampling,
        reading: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        """
        Put a question, which waits for [`answer`].

        Raises:
            TurnRefused: when it cannot be answered whatever the model is.
        """
        if self._writing.locked():
            raise TurnRefused("The last question is still being answered. Wait for it, or stop it.")
        if not question.strip():
            raise TurnRefused("Type a question first.")
        if len(question) > LONGEST_QUESTION:
            raise TurnRefused(f"A question may have {LONGEST_QUESTION} characters; this one has {len(question)}.")
        if sampling.max_new_tokens < 1:
            raise TurnRefused("A maximum length of 0 leaves no room for an answer. Choose more under Settings.")
        self.give_up()
        self._stop_wanted.clear()
        self.begun_at = time.monotonic()
        self.turns.append(Turn(question.strip(), list(media), sampling, reading or {}))

    def answer(self) -> Iterator[None]:
        """Answer the question that waits, if one does; yields whenever there is more to show."""
        if not self.waits:
            return
        turn = self.turns[-1]
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        worker = threading.Thread(target=self._write, args=(turn, pieces.put), daemon=True)
        worker.start()
        try:
            piece = pieces.get()
            while piece is not None:
                turn.answer += piece
                if pieces.empty():  # else what came meanwhile is shown together with it
                    yield
                piece = pieces.get()
            if turn.reply:
                turn.answer = turn.reply.answer  # as the model remembers it: without blanks at its end
            yield
        finally:  # the browser may be gone
            if worker.is_alive() and turn.waits:
                self._stop_wanted.set()
            worker.join()

    def give_up(self) -> None:
        """Give up a question that waits though nobody is going to answer it."""
        if self.waits and not self._writing.locked():
            self.turns[-1].trouble = "Too many people are asking at this moment. Try it again in a while."

    def _write(self, turn: Turn, write: Any) -> None:
        """Has the model answer, in a thread of its own; the last thing that is written is None."""
        try:
            with self._writing, self.model_lock:
                self._ask(turn, write)
        except REFUSALS as error:
            turn.trouble = spoken(error)
        except torch.OutOfMemoryError:
            turn.trouble = "This is too much for the memory of this machine. Clear the conversation, or attach less."
        except Exception:
            logger.exception("A question could not be answered")
            turn.trouble = "Something went wrong on this machine, not by your doing. Its log has the details."
        finally:
            write(None)

    def _ask(self, turn: Turn, write: Any) -> None:
        if self._stop_wanted.is_set() or turn not in self.turns:
            turn.trouble = "Stopped before the answer began."
            return
        if turn.reading != self._conversation.processor_kwargs:
            self._forget_computed(turn.reading)
        torch.manual_seed(turn.sampling.seed)
        turn.reply = self._conversation.ask(
            turn.question,
            turn.media,
            write,
            stopping_criteria=[_Stopped(self._stop_wanted)],
            **turn.sampling.generation,
        )
        turn.stopped = self._stop_wanted.is_set()

    def _forget_computed(self, reading: dict[str, dict[str, Any]]) -> None:
        """All media are read anew with the next question."""
        messages = self._conversation.messages
        self._conversation = Conversation(self.model, self.processor, processor_kwargs=reading)
        self._conversation.messages = messages

    def stop(self) -> None:
        """End the answer that is being written, or that waits, after what there is of it."""
        self._stop_wanted.set()

    def go_back(self, index: int = 0) -> Turn | None:
        """Forget a turn and all after it; returns the turn, if there is one of this index."""
        self.stop()
        with self._writing:
            kept, gone = self.turns[:index], self.turns[index:]
            self.turns = kept
            for turn in gone:
                if turn.reply is not None:
                    self._conversation.undo()
        return gone[0] if gone else None

    def release(self) -> None:
        """Let go of what can be computed anew; the turns stay for a visitor who comes back."""
        self.stop()
        with self._writing:
            self._forget_computed(self._conversation.processor_kwargs)
        self.give_up()

    @property
    def attached(self) -> list[tuple[str, str]]:
        """Kind and path of every medium of the answered questions."""
        return [medium for turn in self.turns if turn.reply is not None for medium in turn.media]

    @property
    def media_embeds(self) -> torch.Tensor:
        """ImageBind's embeddings of [`attached`], (media, projection_dim)."""
        return self._conversation.media_embeds


def spoken(error: Exception) -> str:
    """An error of the processors, in the words of the page."""
    message = str(error)
    for pattern, replacement in SPOKEN_HERE:
        message = re.sub(pattern, replacement, message)
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")
