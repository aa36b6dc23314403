# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Ask about pictures, videos, sounds and sensor readings in the terminal.

One question, answered as the tokens come:

```bash
pandagpt chat "What do you see and hear?" --image picture.png --audio sound.wav --model path/or/hub-id
```

A conversation, where `/help` lists what can be typed, and one JSON object for each answer:

```bash
pandagpt chat --model path/or/hub-id
pandagpt chat "What is this?" --thermal night.png --json
```

Thousands of questions about files, answered in batches, by several processes too (`demo.batch` says what a line is):

```bash
pandagpt chat --input questions.jsonl --output answers.jsonl --batch-size 16 --model path/or/hub-id
accelerate launch -m demo.chat --input questions.jsonl --output answers.jsonl --model path/or/hub-id
```
"""

import dataclasses
import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from typer.core import TyperCommand


KINDS = ("image", "video", "audio", "thermal", "depth", "imu")

# What an unreadable file, or a kind of medium that the model has no encoder for, is refused with.
REFUSALS = (OSError, TypeError, ValueError)

# What the library's messages call by the names of Python, and what it is called here.
SPOKEN_HERE = (
    (r"^\w+\[\d+\] \((['\"])(.*?)\1\): ", r"\2: "),
    (r"depth_unit=([\d.]+)", r"--depth-unit \1"),
    (r"value_range=\((\d+), (\d+)\)", r"--thermal-range \1 \2"),
    (r"value_range must be \(low, high\) with low < high", "--thermal-range must be LOW HIGH with LOW below HIGH"),
    (r"give sampling_rate\b", "give --imu-rate"),
)

# What answers when no model is named.
BANNER = """\
A tiny model of a toy world answers, since no --model was given. It knows bells, birds, clocks, dogs, frogs,
helicopters, rockets and trains, small or large, slow, steady or fast. Ask it "What is it?" or "Describe it."."""

HELP = f"""\
/{" | /".join(KINDS)} FILE   give a file (or a URL) along with the next question
/clear   forget the conversation
/help    this list
/exit    leave; /quit and the end of input do too
Anything else is a question."""


class _Ordered(TyperCommand):
    """Keeps the order in which media of different kinds stand on the command line, as `ctx.meta["kinds"]`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta["kinds"] = [parameter.name for parameter in order if parameter.name in KINDS]
        return super().parse_args(ctx, args)


Media = Annotated[list[str] | None, typer.Option(metavar="FILE", help="May be given several times.")]

# Help shows the options of a file of questions by themselves.
MANY = "Many questions"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(cls=_Ordered)
def chat(
    ctx: typer.Context,
    question: Annotated[list[str] | None, typer.Argument(help="Without a question a conversation begins.")] = None,
    model: Annotated[str | None, typer.Option(help="Hub id or folder; the bundled tiny model when left out.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of the model on the Hub.")] = None,
    image: Media = None,
    video: Media = None,
    audio: Media = None,
    thermal: Media = None,
    depth: Media = None,
    imu: Media = None,
    thermal_range: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="Black and white of 16-bit thermal pictures."),
    ] = None,
    depth_unit: Annotated[
        float | None, typer.Option(help="Metres a step of integer depth maps, such as 0.001.")
    ] = None,
    imu_rate: Annotated[float | None, typer.Option(help="Samples a second of motion files.")] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told before the first question.")] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 256,
    temperature: Annotated[float, typer.Option(min=0, help="0 always takes the likeliest token.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0, max=1, help="Sample among the likeliest of this mass.")] = 1.0,
    top_k: Annotated[int, typer.Option(min=0, help="Sample among this many likeliest; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.")] = 0,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"], typer.Option(help="Type of the weights.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="Such as cpu or cuda:0; auto takes what there is.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each answer, not streamed.")] = False,
    questions: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE.jsonl",
            exists=True,
            dir_okay=False,
            rich_help_panel=MANY,
            help='A question a line: {"question": "…", "image": "a.png", "audio": ["b.wav", "c.wav"]}, or '
            '{"messages": […]}; paths begin at the file\'s folder.',
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            dir_okay=False,
            rich_help_panel=MANY,
            help="An answer a line, or the error that came instead. The same command again goes on where it was "
            "stopped; lines that were deleted are asked again.",
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, rich_help_panel=MANY, help="Questions that are answered together.")
    ] = 16,
    workers: Annotated[
        int, typer.Option(min=0, rich_help_panel=MANY, help="Processes that read media; 0 reads them in this one.")
    ] = min(4, os.cpu_count() or 1),
) -> None:
    """Ask a question about any number of media, or hold a conversation."""
    given = {"image": image, "video": video, "audio": audio, "thermal": thermal, "depth": depth, "imu": imu}
    sources = {kind: iter(paths or ()) for kind, paths in given.items()}
    media = [(kind, next(sources[kind])) for kind in ctx.meta["kinds"]]
    if temperature == 0 and (top_p < 1 or top_k > 0):
        fail("--top-p and --top-k choose among samples: give a --temperature above 0 too.")
    generation: dict[str, Any] = {"max_new_tokens": max_new_tokens, "do_sample": temperature > 0}
    if temperature > 0:
        generation |= {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    if (questions is None) != (output is None):
        fail("--input and --output belong together.")
    if questions is not None and (question or media or as_json):
        fail("With --input all questions and media stand in that file, and every answer is a line of --output.")
    words = " ".join(question or ())
    if question and not words.strip():
        fail("The question is empty; leave it out to begin a conversation.")
    try:
        for _, source in media:
            _check_source(source)
    except REFUSALS as error:
        fail(spoken_here(error))

    reading: dict[str, dict[str, Any]] = {
        "thermal_kwargs": {"value_range": thermal_range},
        "depth_kwargs": {"depth_unit": depth_unit},
        "imu_kwargs": {"sampling_rate": imu_rate},
    }
    reading = {kind: options for kind, options in reading.items() if None not in options.values()}

    if questions is not None and output is not None:
        settings = {"model": model, "revision": revision, "dtype": dtype, "device": device, "seed": seed}
        settings |= {"data": str(questions), "output": str(output), "batch_size": batch_size, "workers": workers}
        _answer_file(settings, generation, system, reading)
        return
    try:
        network, processor = load_named(model, revision, dtype, device, seed)
    except ValueError as error:
        fail(str(error))
    terminal = _Terminal(network, processor, system, reading, generation, as_json)
    if not question:
        terminal.converse(media)
        return
    try:
        terminal.ask(words, media)
    except REFUSALS as error:
        fail(spoken_here(error))


def spoken_here(error: Exception | str) -> str:
    """The library's message in terms of the options."""
    message = str(error)
    for pattern, replacement in SPOKEN_HERE:
        message = re.sub(pattern, replacement, message)
    return message


def _check_source(source: str) -> None:
    """Raises `ValueError` for what is no file; a URL is only asked for with the question."""
    from processing.fetch_media import describe, open_media, scheme_of

    if scheme_of(source) in ("http", "https"):
        return
    try:
        open_media(source).close()
    except (OSError, ValueError) as error:
        raise ValueError(f"{describe(source)}: {error}") from error


def _check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(1, device=None if device == "auto" else device).item()
    except (AssertionError, RuntimeError) as error:
        raise ValueError(f"--device {device} cannot be used here: {str(error).splitlines()[0]}") from error


def _check_model(model: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import logging, validate_repo_id

    if os.path.isdir(model):
        return
    try:
        validate_repo_id(model)
    except HFValidationError as error:
        raise ValueError(f"--model {model}: there is no such folder, and it cannot be an id on the Hub.") from error
    _say(f"There is no folder {model}: looking for it on the Hub.")
    logging.set_verbosity_error()  # each of its many retries would be a line


def _find_model(model: str | None, device: str) -> str:
    """Where the model is, the bundled one by default. Raises `ValueError` if it or the device cannot be."""
    # These take seconds to import: `--help` and a mistyped option need not wait for them.
    from transformers.utils import logging

    from demo.conversation import BUNDLED

    _check_device(device)
    if model is None:
        _say(BANNER)
        logging.disable_progress_bar()  # it is loaded at once
        model = BUNDLED
    _check_model(model)
    return model


def load_named(model: str | None, revision: str | None, dtype: str, device: str, seed: int = 0) -> tuple[Any, Any]:
    """
    What answers, as the options of a command name it.

    Args:
        model (`str`, *optional*):
            Hub id or folder of a model or an adapter; the bundled model when `None`.
        revision (`str`, *optional*):
            Branch, tag or commit of it.
        dtype (`str`):
            Type of the weights, or `"auto"`.
        device (`str`):
            Where it runs, or `"auto"`.
        seed (`int`, *optional*, defaults to 0):
            Seed of everything that is drawn from here on.

    Returns:
        `tuple[PandaGPTForConditionalGeneration, PandaGPTProcessor]`

    Raises:
        ValueError: when there is no such model or device, in terms of the options.
    """
    from transformers import set_seed

    from pandagpt import load

    model = _find_model(model, device)
    set_seed(seed)
    try:
        return load(model, revision, dtype, device)
    except (OSError, ValueError) as error:
        raise ValueError(f"--model {model}: {error}") from error


class _Terminal:
    """One conversation in the terminal."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        system: str | None,
        reading: dict[str, dict[str, Any]],
        generation: dict[str, Any],
        as_json: bool,
    ):
        from demo.conversation import Conversation

        self.conversation = Conversation(model, processor, system, reading)
        self.generation = generation
        self.as_json = as_json

    def ask(self, question: str, media: list[tuple[str, str]]) -> None:
        """Print the answer, as it comes or as one JSON object."""
        if not self.as_json:
            self.conversation.ask(question, media, lambda text: print(text, end="", flush=True), **self.generation)
            print(flush=True)
            return
        reply = dataclasses.asdict(self.conversation.ask(question, media, **self.generation))
        reply["media"] = [{"type": kind, "source": source} for kind, source in media]
        print(json.dumps(reply, ensure_ascii=False), flush=True)

    def converse(self, media: list[tuple[str, str]]) -> None:
        """Take questions and commands, a line each, until `/exit` or the end of input."""
        prompt = "> " if sys.stdin.isatty() and sys.stdout.isatty() else ""
        while True:
            try:
                command, _, argument = input(prompt).strip().partition(" ")
            except EOFError:
                return
            if command in ("/exit", "/quit"):
                return
            if command == "/help":
                print(HELP, file=sys.stderr)
            elif command == "/clear":
                self.conversation.clear()
                media = []
            elif command[:1] == "/" and command[1:] in KINDS:
                media = [*media, *self._attach(command[1:], os.path.expanduser(argument.strip().strip("'\"")))]
            elif command[:1] == "/":
                print(f"Not understood: {command} {argument}\n{HELP}", file=sys.stderr)
            elif command:
                self._ask_on(f"{command} {argument}".strip(), media)
                media = []

    def _attach(self, kind: str, source: str) -> list[tuple[str, str]]:
        """The medium for the next question, in a list that is empty when it is refused."""
        if not source:
            print(f"Give a file: /{kind} FILE", file=sys.stderr)
            return []
        try:
            _check_source(source)
        except REFUSALS as error:
            print(spoken_here(error), file=sys.stderr)
            return []
        print(f"attached {kind}: {source}", file=sys.stderr)
        return [(kind, source)]

    def _ask_on(self, question: str, media: list[tuple[str, str]]) -> None:
        try:
            self.ask(question, media)
        except REFUSALS as error:
            print(spoken_here(error), file=sys.stderr)
            print("This question and its files are dropped; the conversation goes on.", file=sys.stderr)
        except KeyboardInterrupt:
            print("\nStopped; the conversation goes on without this question.", file=sys.stderr)


def _answer_file(
    settings: dict[str, Any], generation: dict[str, Any], system: str | None, reading: dict[str, dict[str, Any]]
) -> None:
    try:
        from demo.batch import Settings, answer_file
    except ModuleNotFoundError as error:
        fail(f'--input needs {error.name}: pip install "pandagpt[eval]"')
    try:
        settings["model"] = _find_model(settings["model"], settings["device"])
        asked = Settings(**settings, max_new_tokens=generation.pop("max_new_tokens"))
        asked.generation = generation
        answers = answer_file(
            asked, system, {kind.removesuffix("_kwargs"): options for kind, options in reading.items()}
        )
    except (OSError, ValueError) as error:
        fail(str(error))
    failed = sum("error" in answer for answer in answers)
    _say(f"{len(answers)} questions, of which {failed} could not be answered: {asked.output}")


def _say(message: str) -> None:
    """On standard error; of several processes the first alone."""
    if os.environ.get("RANK", "0") == "0":
        print(message, file=sys.stderr)


def fail(message: str, command: str = "chat") -> NoReturn:
    """Ends a command with a sentence."""
    print(f"pandagpt {command}: {message}", file=sys.stderr)
    raise typer.Exit(2)


def main(argv: list[str] | None = None) -> None:
    """
    The command `pandagpt chat`.

    Args:
        argv (`list[str]`, *optional*):
            The arguments after `chat`; those of the process when `None`.
    """
    app(argv, prog_name="pandagpt chat")


if __name__ == "__main__":
    main()
