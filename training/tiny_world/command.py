# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""`pandagpt tiny-world render …` and `pandagpt tiny-world build …`."""

import argparse
import importlib


_MODULES = {"render": "training.tiny_world.render", "build": "training.tiny_world.build"}


def main(argv: list[str] | None = None) -> None:
    """Hands everything after the name of a command on to its `main`."""
    parser = argparse.ArgumentParser("pandagpt tiny-world", description="A toy world in six media, and its model.")
    parser.add_argument("command", choices=_MODULES, help="draw the world as files, or train the tiny model on it")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the command; see its own --help")
    given = parser.parse_args(argv)
    importlib.import_module(_MODULES[given.command]).main(given.arguments)
