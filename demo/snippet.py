# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A conversation of the web page as a Python program that gives its last answer again."""

from pathlib import Path
from typing import Any

from demo.session import Turn


PROGRAM = """\
# {where}
import torch

import pandagpt
{loading}

messages = [
{messages}
]
inputs = processor.apply_chat_template(
    messages,
    tokenize=True,
    return_dict=True,
    add_generation_prompt=True,
    return_tensors="pt",{reading}
).to(model.device, model.dtype)
torch.manual_seed({seed})
output = model.generate(**inputs, {generation})
print(processor.post_process_image_text_to_text(output[:, inputs["input_ids"].shape[1] :])[0].strip())
"""

BUNDLED = "from demo.conversation import BUNDLED\n\nmodel, processor = pandagpt.load(BUNDLED{options})"
NAMED = "\nmodel, processor = pandagpt.load({name!r}{options})"

BEFORE_THE_FIRST_ANSWER = "# Ask something first: the conversation then stands here as a Python program."


def loading(name: str | None, revision: str | None, dtype: str, device: str) -> str:
    """
    The lines that load a model and its processor.

    Args:
        name (`str`, *optional*):
            Hub id or folder of a model or an adapter; the bundled model when `None`.
        revision (`str`, *optional*):
            Branch, tag or commit of it.
        dtype (`str`):
            Type of the weights, or `"auto"`.
        device (`str`):
            Where it runs, or `"auto"`.
    """
    options = {"revision": revision, "dtype": dtype, "device": device}
    given = "".join(f", {key}={value!r}" for key, value in options.items() if value not in (None, "auto"))
    return BUNDLED.format(options=given) if name is None else NAMED.format(name=name, options=given)


def snippet(turns: list[Turn], loading: str) -> str:
    """
    The program.

    Args:
        turns (`list[Turn]`):
            The conversation; unanswered turns are left out, as the model never saw them.
        loading (`str`):
            The lines that give `model` and `processor`.

    Returns:
        `str`: what prints the last answer, if it is run where the files are.
    """
    turns = [turn for turn in turns if turn.reply is not None]
    if not turns:
        return BEFORE_THE_FIRST_ANSWER
    *earlier, last = turns
    names = _names(turns)
    lines = [line for turn in earlier for line in (_question(turn, names), _message("assistant", turn.answer))]
    generation = dict(last.sampling.generation)
    if last.stopped and last.reply:
        generation["max_new_tokens"] = last.reply.output_tokens
    where = f"Run this where {', '.join(names.values())} can be found." if names else "It needs no files."
    return PROGRAM.format(
        where=where,
        loading=loading,
        messages="\n".join([*lines, _question(last, names)]),
        reading=f"\n    processor_kwargs={last.reading!r}," if last.reading else "",
        seed=last.sampling.seed,
        generation=_arguments(generation),
    )


def _names(turns: list[Turn]) -> dict[str, str]:
    """What each file is called; another one of the same name gets a number."""
    names: dict[str, str] = {}
    for path in dict.fromkeys(path for turn in turns for _, path in turn.media):
        file = Path(path)
        same = sum(Path(other).name == file.name for other in names)
        names[path] = f"{file.stem}-{same + 1}{file.suffix}" if same else file.name
    return names


def _question(turn: Turn, names: dict[str, str]) -> str:
    blocks = [{"type": kind, "path": names[path]} for kind, path in turn.media]
    return _message("user", [*blocks, {"type": "text", "text": turn.question}])


def _message(role: str, content: Any) -> str:
    return f"    {{'role': {role!r}, 'content': {content!r}}},"


def _arguments(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())
