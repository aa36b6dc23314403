# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The library's tests of processors, on PandaGPT's and ImageBind's."""

import unittest
import unittest.mock
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import AutoTokenizer
from transformers_tests.test_processing_common import ProcessorTesterMixin

from processing import ImageBindProcessor, PandaGPTProcessor


ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"


class MediaProcessorTest(ProcessorTesterMixin):
    """What both processors need of the mixin."""

    @classmethod
    def setUpClass(cls):
        # As a class of the library: saving a custom one adds code and an `auto_map`, for which no test here is made.
        cls.enterClassContext(unittest.mock.patch.object(cls.processor_class, "_auto_class", None))
        super().setUpClass()

    def get_component(self, attribute, **kwargs):
        # The mixin's own asks the Auto classes, which know the library's media processors alone.
        if attribute == "tokenizer":
            return super().get_component(attribute, **kwargs)
        component = getattr(self.get_processor(), attribute)
        return component.from_dict(component.to_dict(), **kwargs)

    def prepare_audio_inputs(self, batch_size: int | None = None) -> list[tuple[np.ndarray, int]]:
        # The mixin's arrays have no rate, which ours refuse.
        return [(array, 16000) for array in super().prepare_audio_inputs(batch_size)]

    def test_model_input_names(self):
        # The mixin's own gives four kinds of input; these are all.
        processor = self.get_processor()
        inputs = processor(
            text=self.prepare_text_inputs(modalities=["image", "video", "audio", "thermal", "depth", "imu"]),
            images=self.prepare_images_inputs(),
            videos=self.prepare_videos_inputs(),
            audio=self.prepare_audio_inputs(),
            thermal=Image.new("L", (8, 8)),
            depth=np.ones((8, 8), dtype=np.float32),
            imu=np.zeros((6, 2000), dtype=np.float32),
        )
        self.assertSetEqual(set(inputs), set(processor.model_input_names))

    @unittest.skip("asks the Auto classes for each media processor, of which they know the library's alone")
    def test_processor_from_and_save_pretrained_as_nested_dict(self):
        pass


class PandaGPTProcessorTest(MediaProcessorTest, unittest.TestCase):
    processor_class = PandaGPTProcessor

    @classmethod
    def _setup_from_components(cls) -> PandaGPTProcessor:
        tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "pandagpt_tiny" / "base_llama")
        PandaGPTProcessor.add_placeholder_tokens(tokenizer)
        template = (ROOT / "processing" / "chat_templates" / "vicuna_v0.jinja").read_text()
        return PandaGPTProcessor(tokenizer=tokenizer, chat_template=template)

    @classmethod
    def _setup_test_attributes(cls, processor: PandaGPTProcessor):
        super()._setup_test_attributes(processor)
        cls.thermal_token, cls.depth_token, cls.imu_token = "<thermal>", "<depth>", "<imu>"

    @unittest.skip("expects one tensor axis of sampled frames, and that frames given as a list cannot be sampled")
    def test_apply_chat_template_video_frame_sampling(self):
        pass


class ImageBindProcessorTest(MediaProcessorTest, unittest.TestCase):
    processor_class = ImageBindProcessor
    images_text_kwargs_max_length = audio_text_kwargs_max_length = videos_text_kwargs_max_length = 77
    images_unstructured_max_length = audio_unstructured_max_length = videos_unstructured_max_length = 77

    @classmethod
    def _setup_from_components(cls) -> ImageBindProcessor:
        return ImageBindProcessor(tokenizer=AutoTokenizer.from_pretrained(FIXTURES / "clip_tokenizer"))

    @unittest.skip("the processor pads text to 77 ids, which its tokenizer alone does not")
    def test_subprocessor_defaults_0_text(self):
        pass

    @unittest.skip("ImageBind's text always has 77 ids, never as many as the longest")
    def test_unstructured_kwargs_batched_0_images(self):
        pass

    test_unstructured_kwargs_batched_1_videos = test_unstructured_kwargs_batched_0_images
    test_unstructured_kwargs_batched_2_audio = test_unstructured_kwargs_batched_0_images
