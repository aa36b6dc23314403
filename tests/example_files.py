# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The names of the example files by kind, in the fixture `examples`."""

FILES = {
    "image": "picture.png",
    "video": "video.mp4",
    "audio": "sound.wav",
    "thermal": "thermal.png",
    "depth": "depth.npy",
    "imu": "motion.csv",
}
