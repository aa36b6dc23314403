# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Small example files, one of each modality; `training/tiny_world/examples.py` draws them."""
