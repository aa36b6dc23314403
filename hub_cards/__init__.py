# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The room of publishing: `publish` is the command; `assemble` makes a whole Hub folder of a checkpoint, `cards` its
card, `datasets` shards of conversations, and `upload` sends a folder in one commit.
"""
