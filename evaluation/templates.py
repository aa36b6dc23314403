# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Prompts that make sentences of a class's name, for zero-shot classification.

`imagenet` are CLIP's 80 (arXiv 2103.00020, section 3.1.4; listed in its repository, under the MIT licence), which
ImageBind took over (arXiv 2305.05665, appendix B). They are put together from their parts here: nearly every one comes
with "a" and with "the". The order does not matter, their embeddings are averaged.
"""

from collections.abc import Sequence


_OF_IT = (
    *("a photo", "a bad photo", "a good photo", "a blurry photo", "a bright photo", "a dark photo", "a cropped photo"),
    *("a close-up photo", "a low resolution photo", "a pixelated photo", "a jpeg corrupted photo"),
    *("a black and white photo", "a drawing", "a doodle", "a sketch", "a painting", "a rendering", "a rendition"),
    *("a sculpture", "a tattoo", "art", "graffiti", "itap"),
)
_HOW_IT_IS = ("hard to see", "clean", "dirty", "nice", "weird", "cool", "large", "small")
_MADE_OF = ("embroidered", "plastic", "origami", "toy", "cartoon", "plushie")


def _clip_imagenet() -> list[str]:
    prompts = ["a photo of many {}.", "a photo of one {}.", "a photo of my {}.", "itap of my {}."]
    for article in ("a", "the"):
        prompts += [f"{picture} of {article} {{}}." for picture in _OF_IT]
        prompts += [f"a photo of {article} {quality} {{}}." for quality in _HOW_IT_IS]
        prompts += [f"{article} {material} {{}}." for material in _MADE_OF]
        prompts.append(f"{article} {{}} in a video game.")
    return prompts


TEMPLATES = {
    "none": ["{}"],
    "imagenet": _clip_imagenet(),
    "photo": ["a photo of a {}."],
    "video": ["a video of a person {}.", "a photo of a person {}."],
    "sound": ["a sound of a {}.", "the sound of {}."],
    "thermal": ["a thermal photo of a {}.", "a photo of a {}."],
    "depth": ["a depth photo of a {}.", "a photo of a {}."],
    "motion": ["a person {}.", "a recording of a person {}."],
}


def templates_of(name: str | Sequence[str]) -> list[str]:
    """
    Prompts by their name, or as they are given.

    Args:
        name (`str` or `Sequence[str]`):
            A key of `TEMPLATES`, or prompts with `{}` where the class's name goes.

    Returns:
        `list[str]`

    Raises:
        ValueError: for an unknown name, or a prompt without `{}`.
    """
    if isinstance(name, str) and "{}" not in name and name not in TEMPLATES:
        raise ValueError(
            f"there are no templates {name!r}: expected one of {', '.join(TEMPLATES)}, or prompts with {{}}"
        )
    prompts = TEMPLATES.get(name, [name]) if isinstance(name, str) else list(name)
    if wrong := [prompt for prompt in prompts if "{}" not in prompt]:
        raise ValueError(f"the template {wrong[0]!r} has no {{}} for the name of the class")
    return prompts
