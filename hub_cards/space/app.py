# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The Space: `pandagpt demo` with one model. Its settings may name another one in the variable MODEL."""

import os

from demo.web import main


MODEL = os.environ.get("MODEL", "user/name")

if __name__ == "__main__":
    main(["--model", MODEL, "--host", os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")])
