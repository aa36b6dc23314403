# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A synthetic world that can be seen, heard and felt: eight kinds of things, drawn by formulas in six media."""
