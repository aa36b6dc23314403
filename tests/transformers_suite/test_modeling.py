# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The library's tests of configurations and models, on PandaGPT and ImageBind."""

import unittest
import unittest.mock

import torch
from stand_ins import GenerationTesterMixin
from tiny_models import MEDIA_INPUT, MEDIA_SHAPES, random_media, tiny_config, tiny_imagebind_config
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)
from transformers_tests.test_configuration_common import ConfigTester
from transformers_tests.test_modeling_common import ModelTesterMixin, ids_tensor

from modeling_pandagpt import (
    ImageBindConfig,
    ImageBindModel,
    PandaGPTConfig,
    PandaGPTForConditionalGeneration,
    PandaGPTModel,
)
from modeling_pandagpt.configuration_pandagpt import (
    MEDIA_TYPES,
    MODALITY_OF_MEDIA_TYPE,
    ImageBindEncoderConfig,
)
from modeling_pandagpt.modeling_imagebind import ENCODER_CLASSES


# The mixins look up by a class's name which kind of model it is.
MODEL_MAPPING_NAMES.update(imagebind="ImageBindModel", pandagpt="PandaGPTModel")
MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES["pandagpt"] = "PandaGPTForConditionalGeneration"


class PandaGPTModelTester:
    """A tiny PandaGPT whose vocabulary holds the placeholders; every row has one medium of each kind."""

    batch_size = 7  # as many rows as the comparison of eager with sdpa runs
    seq_length = 14
    num_hidden_layers = 2
    num_attention_heads = 4
    hidden_size = 32
    vocab_size = 99
    is_training = True
    first_placeholder = 3  # so low that a vocabulary that is made smaller still holds them

    def __init__(self, parent):
        self.parent = parent

    @property
    def placeholders(self) -> list[int]:
        return list(range(self.first_placeholder, self.first_placeholder + len(MEDIA_TYPES)))

    def get_config(self) -> PandaGPTConfig:
        names = [f"{media_type}_token_id" for media_type in MEDIA_TYPES]
        config = tiny_config(**dict(zip(names, self.placeholders, strict=True)))
        config.text_config.vocab_size = self.vocab_size
        return config

    def prepare_config_and_inputs_for_common(self) -> tuple[PandaGPTConfig, dict[str, torch.Tensor]]:
        text = ids_tensor([self.batch_size, self.seq_length - len(MEDIA_TYPES)], self.vocab_size - 10) + 10
        input_ids = torch.cat([torch.tensor([self.placeholders] * self.batch_size), text], dim=1)
        inputs = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
        return self.get_config(), inputs | random_media(**dict.fromkeys(MEDIA_TYPES, self.batch_size))


class PandaGPTModelTest(ModelTesterMixin, GenerationTesterMixin, unittest.TestCase):
    all_model_classes = (PandaGPTModel, PandaGPTForConditionalGeneration)
    additional_model_inputs = list(MEDIA_SHAPES)
    _is_composite = True
    # The mixin expects one row for each medium, and the encoders' configurations directly in the model's. A row of
    # ours is a clip, and the configurations are ImageBind's.
    skip_test_image_features_output_shape = True
    skip_test_video_features_output_shape = True
    skip_test_audio_features_output_shape = True

    def setUp(self):
        self.model_tester = PandaGPTModelTester(self)
        if "rope" in self._testMethodName:  # its random ids are all of the vocabulary, and it gives no media
            self.model_tester.first_placeholder = self.model_tester.vocab_size
        self.config_tester = ConfigTester(self, config_class=PandaGPTConfig, has_text_modality=False)

    def test_config(self):
        self.config_tester.run_common_tests()

    def check_training_gradient_checkpointing(self, *args, **kwargs):
        # The mixin unfreezes ImageBind after `train()`, which is where ours looks whether it is frozen.
        with unittest.mock.patch.object(PandaGPTModel, "train", torch.nn.Module.train):
            super().check_training_gradient_checkpointing(*args, **kwargs)

    def check_recorded(self, media_type: str, recorded: str, expected: int):
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        config._attn_implementation = "eager"
        for model_class in self.all_model_classes:
            get_features = getattr(model_class(config).eval(), f"get_{media_type}_features")
            features = get_features(inputs[MEDIA_INPUT[media_type]], **{f"output_{recorded}": True})
            self.assertEqual(len(features[recorded]), expected)

    # The mixin's own four set the flag in the model's direct sub-configurations, too, which an encoder's is not.
    def test_get_audio_features_attentions(self):
        self.check_recorded("audio", "attentions", self.model_tester.num_hidden_layers)

    def test_get_audio_features_hidden_states(self):
        self.check_recorded("audio", "hidden_states", self.model_tester.num_hidden_layers + 1)

    def test_get_video_features_attentions(self):
        self.check_recorded("video", "attentions", self.model_tester.num_hidden_layers)

    def test_get_video_features_hidden_states(self):
        self.check_recorded("video", "hidden_states", self.model_tester.num_hidden_layers + 1)

    @unittest.skip("a medium is one vector, not a row of them; generate() encodes media itself, before beams")
    def test_get_image_features_pooler_output(self):
        pass

    @unittest.skip("a medium is one vector, not a row of them; generate() encodes media itself, before beams")
    def test_get_video_features_pooler_output(self):
        pass


class ImageBindModelTester:
    """A tiny ImageBind and as many inputs of each kind."""

    batch_size = 3
    seq_length = 9
    num_hidden_layers = 2
    is_training = False

    def __init__(self, parent):
        self.parent = parent

    def get_config(self) -> ImageBindConfig:
        return tiny_imagebind_config()

    def prepare_config_and_inputs_for_common(self):
        inputs = {
            "input_ids": ids_tensor([self.batch_size, self.seq_length], 100),
            **random_media(**dict.fromkeys(MEDIA_TYPES, self.batch_size)),
        }
        return self.get_config(), inputs


class ImageBindModelTest(ModelTesterMixin, unittest.TestCase):
    all_model_classes = (ImageBindModel,)
    _is_composite = True
    has_attentions = False  # it returns embeddings alone; the encoders' attentions are theirs

    def setUp(self):
        self.model_tester = ImageBindModelTester(self)
        self.config_tester = ConfigTester(self, config_class=ImageBindConfig, has_text_modality=False)

    def test_config(self):
        self.config_tester.run_common_tests()

    @unittest.skip("it returns embeddings alone; its encoders have the hidden states")
    def test_hidden_states_output(self):
        pass

    @unittest.skip("it returns embeddings alone; its encoders have the hidden states")
    def test_retain_grad_hidden_states_attentions(self):
        pass


class ImageBindEncoderTester:
    """One encoder of the tiny ImageBind."""

    batch_size = 7
    num_hidden_layers = 2
    num_attention_heads = 2
    hidden_size = 16
    is_training = False

    def __init__(self, parent: "ImageBindEncoderTest"):
        self.modality = parent.modality
        self.seq_length = parent.seq_length
        self.key_length = self.seq_length + self.get_config().add_kv_bias

    def get_config(self) -> ImageBindEncoderConfig:
        return getattr(tiny_imagebind_config(), f"{self.modality}_config")

    def prepare_config_and_inputs_for_common(self) -> tuple[ImageBindEncoderConfig, dict[str, torch.Tensor]]:
        if self.modality == "text":
            values = ids_tensor([self.batch_size, self.seq_length], 100)
        else:
            media_type = next(name for name in MEDIA_TYPES if MODALITY_OF_MEDIA_TYPE[name] == self.modality)
            (values,) = random_media(**{media_type: self.batch_size}).values()
        return self.get_config(), {"values": values[:, 0] if self.modality == "audio" else values}


class ImageBindEncoderTest(ModelTesterMixin):
    """What the encoders' tests have in common. Depth and thermal differ from audio in their patches' stride only."""

    test_resize_embeddings = False
    modality: str
    seq_length: int

    def setUp(self):
        self.all_model_classes = (ENCODER_CLASSES[self.modality],)
        self.model_tester = ImageBindEncoderTester(self)
        config_class = type(self.model_tester.get_config())
        self.config_tester = ConfigTester(self, config_class=config_class, has_text_modality=False)

    def test_config(self):
        self.config_tester.run_common_tests()

    def test_model_get_set_embeddings(self):
        if self.modality != "text":
            self.skipTest("this encoder has no token embeddings")
        super().test_model_get_set_embeddings()


class ImageBindVisionModelTest(ImageBindEncoderTest, unittest.TestCase):
    modality = "vision"
    seq_length = 5


class ImageBindTextModelTest(ImageBindEncoderTest, unittest.TestCase):
    modality = "text"
    seq_length = 9


class ImageBindAudioModelTest(ImageBindEncoderTest, unittest.TestCase):
    modality = "audio"
    seq_length = 3


class ImageBindImuModelTest(ImageBindEncoderTest, unittest.TestCase):
    modality = "imu"
    seq_length = 9
