# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The room of conversations about media: data of several forms, local or on the Hub, read as rows of one schema. It
may import `processing`; `training`, `evaluation` and `hub_cards` may import it.
"""
