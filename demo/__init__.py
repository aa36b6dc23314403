# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The room of demonstrations: the chat in the terminal, what a running conversation keeps, the untrained tiny model
that answers by default, and the example files. It may import every other room; nothing imports it.
"""
