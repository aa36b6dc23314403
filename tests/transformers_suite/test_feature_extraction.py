# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The library's tests of feature extractors, on PandaGPT's two."""

import unittest
from typing import Any

import numpy as np
from transformers_tests.test_sequence_feature_extraction_common import SequenceFeatureExtractionTestMixin

from processing import PandaGPTFeatureExtractor, PandaGPTImuFeatureExtractor


class FeatureExtractionTester:
    """Random sequences of ascending lengths, as `pad` takes them."""

    batch_size = 5
    min_seq_length = 400
    seq_length_diff = 200
    max_seq_length = 1000  # the mixin pads to one step more, which is the longest

    def __init__(self, feature_size: int):
        self.feature_size = feature_size

    def prepare_feat_extract_dict(self) -> dict[str, Any]:
        return {"feature_size": self.feature_size, "padding_value": 1.0}

    def prepare_inputs_for_common(self, equal_length: bool = False, numpify: bool = False) -> list:
        lengths = [self.min_seq_length + index * self.seq_length_diff for index in range(self.batch_size)]
        shape = () if self.feature_size == 1 else (self.feature_size,)
        inputs = [np.random.rand(max(lengths) if equal_length else length, *shape) for length in lengths]
        return inputs if numpify else [sequence.tolist() for sequence in inputs]


class PandaGPTFeatureExtractionTest(SequenceFeatureExtractionTestMixin, unittest.TestCase):
    feature_extraction_class = PandaGPTFeatureExtractor

    def setUp(self):
        self.feat_extract_tester = FeatureExtractionTester(feature_size=1)


class PandaGPTImuFeatureExtractionTest(SequenceFeatureExtractionTestMixin, unittest.TestCase):
    feature_extraction_class = PandaGPTImuFeatureExtractor

    def setUp(self):
        self.feat_extract_tester = FeatureExtractionTester(feature_size=6)
