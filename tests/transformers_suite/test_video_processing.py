# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The library's tests of video processors, on PandaGPT's."""

import functools
import types
import unittest
import unittest.mock
from typing import Any

import numpy as np
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
from transformers_tests import test_video_processing_common
from transformers_tests.test_video_processing_common import VideoProcessingTestMixin, prepare_video_inputs

from processing import PandaGPTVideoProcessor


class VideoProcessingTester:
    """Random videos of 8 frames, of which 2 clips of 2 frames and 3 crops of 18 x 18 pixels are taken."""

    batch_size = 3
    num_channels = 3

    def prepare_video_processor_dict(self) -> dict[str, Any]:
        sizes = {"size": {"shortest_edge": 20}, "crop_size": {"height": 18, "width": 18}}
        return {"num_clips": 2, "clip_duration": 0.1, **sizes}

    def prepare_video_inputs(self, equal_resolution: bool = False, return_tensors: str = "pil") -> list:
        return prepare_video_inputs(self.batch_size, 8, self.num_channels, 30, 80, equal_resolution, return_tensors)

    def expected_output_video_shape(self, videos: list) -> tuple[int, ...]:
        return 6, self.num_channels, 2, 18, 18


class PandaGPTVideoProcessingTest(VideoProcessingTestMixin, unittest.TestCase):
    fast_video_processing_class = PandaGPTVideoProcessor
    test_cast_dtype = True

    def setUp(self):
        super().setUp()
        self.video_processor_tester = VideoProcessingTester()
        # Without torchvision the library hides its Auto class, which does not need it for ours.
        trusting = functools.partial(AutoVideoProcessor.from_pretrained, trust_remote_code=True)
        auto_class = types.SimpleNamespace(from_pretrained=trusting)
        self.enterContext(unittest.mock.patch.object(test_video_processing_common, "AutoVideoProcessor", auto_class))

    @property
    def video_processor_dict(self) -> dict[str, Any]:
        return self.video_processor_tester.prepare_video_processor_dict()

    def test_call_sample_frames(self):
        # The mixin's own expects one axis of frames, `fps` to be a rate to sample at, and an error for more frames
        # than the video has; ours has clips, `fps` is the rate of the frames, and a short video repeats its frames.
        processor = PandaGPTVideoProcessor(**self.video_processor_dict)
        video = np.zeros((8, 30, 40, 3), dtype=np.uint8)
        for num_frames in (3, 10):
            sampled = processor(video, num_frames=num_frames, return_tensors="pt")[self.input_name]
            self.assertEqual(sampled.shape[1:4], (2 * 3, 3, num_frames))
        for num_frames in (2, 4):
            whole = processor(video, num_frames=num_frames, do_sample_frames=False, return_tensors="pt")
            self.assertEqual(whole[self.input_name].shape[1:4], (8 // num_frames * 3, 3, num_frames))
