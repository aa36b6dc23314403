# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The room of publishing: the cards of models, adapters, data sets and Spaces, and the assembly of a whole Hub folder
from a checkpoint. It may import the two closed rooms, `modeling_pandagpt` and `processing`. This version holds no card
yet.
"""
