# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The room of evaluation: metrics that the field knows, the tasks that ask the models, and the report. It may import
the two closed rooms, `modeling_pandagpt` and `processing`.
"""
