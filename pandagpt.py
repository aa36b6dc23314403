# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The front door: `from pandagpt import PandaGPTForConditionalGeneration, load`, and the command `pandagpt`.

Nothing heavy is imported before a name or a command is used (PEP 562), so `pandagpt --help` answers at once. A command
is handed on, all its arguments with it, to the `main(argv)` of the room that does the work.
"""

import functools
import importlib
import json
from typing import Any

import typer
from typer.core import TyperCommand


_ROOMS = {
    "modeling_pandagpt": (
        "ImageBindConfig",
        "ImageBindModel",
        "ImageBindPreTrainedModel",
        "PandaGPTConfig",
        "PandaGPTForConditionalGeneration",
        "PandaGPTModel",
        "PandaGPTPreTrainedModel",
    ),
    "processing": (
        "ImageBindProcessor",
        "PandaGPTDepthImageProcessor",
        "PandaGPTDepthImageProcessorPil",
        "PandaGPTFeatureExtractor",
        "PandaGPTImageProcessor",
        "PandaGPTImageProcessorPil",
        "PandaGPTImuFeatureExtractor",
        "PandaGPTProcessor",
        "PandaGPTThermalImageProcessor",
        "PandaGPTThermalImageProcessorPil",
        "PandaGPTVideoProcessor",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted([*_ROOM_OF, "find_base", "load", "main"])


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _register()
    return getattr(importlib.import_module(_ROOM_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


@functools.cache
def _register() -> None:
    """Make our classes known to the library's Auto classes, which then run no folder's copy of them."""
    import transformers
    from transformers.models.auto.video_processing_auto import AutoVideoProcessor  # the library's own door hides it

    import modeling_pandagpt as modeling
    import processing

    picture_processors = {
        "pil": processing.PandaGPTImageProcessorPil,
        "torchvision": processing.PandaGPTImageProcessor,
    }
    video_processors = dict.fromkeys(picture_processors, processing.PandaGPTVideoProcessor)
    for config, model, processor in (
        (modeling.ImageBindConfig, modeling.ImageBindModel, processing.ImageBindProcessor),
        (modeling.PandaGPTConfig, modeling.PandaGPTForConditionalGeneration, processing.PandaGPTProcessor),
    ):
        transformers.AutoConfig.register(config.model_type, config, exist_ok=True)
        for auto_class in set(config().auto_map) - {"AutoConfig"}:
            getattr(transformers, auto_class).register(config, model, exist_ok=True)
        transformers.AutoProcessor.register(config, processor, exist_ok=True)
        transformers.AutoFeatureExtractor.register(config, processing.PandaGPTFeatureExtractor, exist_ok=True)
        transformers.AutoImageProcessor.register(config, image_processor_classes=picture_processors, exist_ok=True)
        AutoVideoProcessor.register(config, video_processor_classes=video_processors, exist_ok=True)


def find_base(name: str, revision: str | None = None) -> tuple[str, str | None, str | None]:
    """
    What an adapter's weights are added to.

    Args:
        name (`str`):
            Hub id or folder of an adapter, or of a model, which is its own base.
        revision (`str`, *optional*):
            Branch, tag or commit on the Hub of what `name` names.

    Returns:
        `tuple`: Hub id or folder of the base, its revision, and the path of the adapter's configuration or `None`.
    """
    from transformers.utils.peft_utils import find_adapter_config_file

    adapter_config = find_adapter_config_file(name, revision=revision)
    if adapter_config is None:
        return name, revision, None
    with open(adapter_config, encoding="utf-8") as file:
        settings = json.load(file)
    return settings["base_model_name_or_path"], settings.get("revision"), adapter_config


def load(name: str, revision: str | None = None, dtype: str = "auto", device: Any = "auto") -> tuple[Any, Any]:
    """
    Load a PandaGPT with its processor by our own installed classes: no code of a repository is ever executed.

    Args:
        name (`str`):
            Hub id or folder of a model, or of an adapter, whose base is then loaded too.
        revision (`str`, *optional*):
            Branch, tag or commit on the Hub of what `name` names. The base of an adapter has a revision of its own,
            which the adapter's configuration may name.
        dtype (`str`, *optional*, defaults to `"auto"`):
            The weights' type; `"auto"` takes the checkpoint's, but on a CPU the encoders get float32 unless it is
            bfloat16 and the processor multiplies that, since their large products take longer otherwise, at twice the
            encoders' memory. The language model, whose speed is the memory's, keeps its type
            (`benchmarks/dtypes.py`). What is saved from there has both types; give one to have one.
        device (`str`, *optional*, defaults to `"auto"`):
            Where the model runs; `"auto"` spreads it over what there is.

    Returns:
        `tuple[PandaGPTForConditionalGeneration, PandaGPTProcessor]`

    Raises:
        OSError: when there is no such model.
        ValueError: when it is not a PandaGPT.
    """
    import torch
    from transformers.configuration_utils import PreTrainedConfig

    base, base_revision, adapter_config = find_base(name, revision)
    config, _ = PreTrainedConfig.get_config_dict(base, revision=base_revision)
    if config.get("model_type") != "pandagpt":
        raise ValueError(f"{base} holds a model of type {config.get('model_type')!r}, expected 'pandagpt'.")
    # Left unsaid, the library asks at the terminal whether code may run.
    model = __getattr__("PandaGPTForConditionalGeneration").from_pretrained(
        base, revision=base_revision, dtype=dtype, device_map=device, trust_remote_code=False
    )
    if (
        dtype == "auto"
        and model.device.type == "cpu"
        and not (model.dtype == torch.bfloat16 and multiplies_bfloat16())
    ):
        model.model.imagebind.float()
    if adapter_config:
        model.load_adapter(name, adapter_kwargs={"revision": revision})
    processor = __getattr__("PandaGPTProcessor").from_pretrained(name, revision=revision, trust_remote_code=False)
    return model.eval(), processor


def multiplies_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16, such as by AVX512-BF16 or AMX. An old torch does not know."""
    import torch

    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any("bf16" in name and has is True for name, has in capabilities.items())


class _HandedOn(TyperCommand):
    """A command that leaves every argument, `--help` included, to the room that runs it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.args = args
        return args


app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="PandaGPT for transformers."
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pandagpt {version('pandagpt')}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


@app.command(cls=_HandedOn)
def chat(ctx: typer.Context) -> None:
    """Ask about pictures, videos, sounds and sensor readings in the terminal."""
    from demo.chat import main as run

    run(ctx.args)


@app.command(cls=_HandedOn)
def demo(ctx: typer.Context) -> None:
    """See, hear and feel with PandaGPT in a browser."""
    from demo.web import main as run

    run(ctx.args)


@app.command(cls=_HandedOn)
def convert(ctx: typer.Context) -> None:
    """Turn the original's checkpoints into folders for the Hub."""
    from modeling_pandagpt.convert_original_checkpoint import main as run

    run(ctx.args)


@app.command(cls=_HandedOn)
def train(ctx: typer.Context) -> None:
    """Fine-tune projector and language model on conversations about media."""
    from training.sft import main as run

    run(ctx.args)


@app.command(cls=_HandedOn)
def embed(ctx: typer.Context) -> None:
    """Compute the embeddings of a data set's media once, to train without the encoder."""
    from training.embeddings import main as run

    run(ctx.args)


@app.command(cls=_HandedOn)
def publish(ctx: typer.Context) -> None:
    """Put a model, an adapter or a data set on the Hub, complete, in one commit."""
    from hub_cards.publish import main as run

    run(ctx.args)


@app.command(cls=_HandedOn)
def evaluate(ctx: typer.Context) -> None:
    """Measure a model: questions answered, classes and modalities told apart, beside published figures."""
    from evaluation.run import main as run

    run(ctx.args)


@app.command("tiny-world", cls=_HandedOn)
def tiny_world(ctx: typer.Context) -> None:
    """Draw a toy world in six media, and train the bundled model on it."""
    from training.tiny_world.command import main as run

    run(ctx.args)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
