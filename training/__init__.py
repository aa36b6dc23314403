# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The room of training: supervised fine-tuning of the projector and of LoRA on the language model, in the two stages
of the original (captions, then visual instructions), with its data, its collator and its recipes. It may import the
two closed rooms, `hub_cards` and `evaluation`.
"""
