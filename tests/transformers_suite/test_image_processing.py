# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The library's tests of image processors, on PandaGPT's three."""

import functools
import unittest
import unittest.mock

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor
from transformers.utils import is_torchvision_available
from transformers_tests.test_image_processing_common import ImageProcessingTester, ImageProcessingTestMixin

from processing import (
    PandaGPTDepthImageProcessor,
    PandaGPTDepthImageProcessorPil,
    PandaGPTImageProcessor,
    PandaGPTImageProcessorPil,
    PandaGPTThermalImageProcessor,
    PandaGPTThermalImageProcessorPil,
)


class PictureProcessingTester(ImageProcessingTester):
    """Random pictures, and 18 x 18 pixels of each."""

    def __init__(self, parent: "PictureProcessingTest"):
        size, crop_size = {"shortest_edge": 20}, {"height": 18, "width": 18}
        super().__init__(parent, size=size, crop_size=crop_size)

    def _get_image_processing_classes(self) -> dict[str, type]:
        return self.parent.backends


class OneChannelProcessingTester(PictureProcessingTester):
    def expected_output_image_shape(self, images: list) -> tuple[int, ...]:
        return 1, 18, 18


class DepthProcessingTester(OneChannelProcessingTester):
    def prepare_image_inputs(self, numpify: bool = False, torchify: bool = False, **kwargs) -> list:
        """Depth maps in metres."""
        maps = [np.random.uniform(1, 9, (30 + n, 40)).astype(np.float32) for n in range(self.batch_size)]
        if torchify:
            return [torch.from_numpy(depth) for depth in maps]
        return maps if numpify else [Image.fromarray(depth) for depth in maps]


class PictureProcessingTest(ImageProcessingTestMixin):
    """What the three need of the mixin."""

    image_processor_tester_class = PictureProcessingTester
    test_cast_dtype = True

    def setUp(self):
        super().setUp()
        for backend in self.backends.values():  # the mixin knows one name of an output
            self.enterContext(unittest.mock.patch.object(backend, "model_input_names", ["pixel_values"]))
        trusting = functools.partial(AutoImageProcessor.from_pretrained, trust_remote_code=True)
        self.enterContext(unittest.mock.patch.object(AutoImageProcessor, "from_pretrained", trusting))

    @unittest.skipUnless(is_torchvision_available(), "the backend exists, but torchvision is not installed")
    def test_new_models_require_torchvision_backend(self):
        super().test_new_models_require_torchvision_backend()

    @property
    def backends(self) -> dict[str, type]:
        return self.all_backends if is_torchvision_available() else {"pil": self.all_backends["pil"]}


class PandaGPTImageProcessingTest(PictureProcessingTest, unittest.TestCase):
    all_backends = {"torchvision": PandaGPTImageProcessor, "pil": PandaGPTImageProcessorPil}


class PandaGPTThermalImageProcessingTest(PictureProcessingTest, unittest.TestCase):
    all_backends = {"torchvision": PandaGPTThermalImageProcessor, "pil": PandaGPTThermalImageProcessorPil}
    image_processor_tester_class = OneChannelProcessingTester

    @unittest.skip("a thermal picture becomes grey, whatever its channels")
    def test_call_numpy_4_channels(self):
        pass


class PandaGPTDepthImageProcessingTest(PictureProcessingTest, unittest.TestCase):
    all_backends = {"torchvision": PandaGPTDepthImageProcessor, "pil": PandaGPTDepthImageProcessorPil}
    image_processor_tester_class = DepthProcessingTester

    @unittest.skip("a depth map has one channel; any other picture is refused")
    def test_call_numpy_4_channels(self):
        pass

    @unittest.skip("its photograph is no depth map; the batched test compares the backends")
    def test_backends_equivalence(self):
        pass
