# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Pictures, thermal pictures and depth maps: the original's pixels, units that are never guessed, clear errors."""

import base64
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

import processing
from processing import (
    PandaGPTDepthImageProcessorPil,
    PandaGPTImageProcessorPil,
    PandaGPTThermalImageProcessorPil,
)


FIXTURES = Path(__file__).parents[1] / "fixtures" / "preprocess"
MEDIA = FIXTURES / "media"
VISION = load_file(FIXTURES / "vision_pixels.safetensors")
THERMAL = load_file(FIXTURES / "thermal_pixels.safetensors")
NAMES = ["vision", "thermal", "depth"]


@pytest.fixture(scope="module")
def vision():
    return PandaGPTImageProcessorPil()


@pytest.fixture(scope="module")
def thermal():
    return PandaGPTThermalImageProcessorPil()


@pytest.fixture(scope="module")
def depth():
    return PandaGPTDepthImageProcessorPil()


def normalized(pixels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    return (pixels / 255 - mean) / std


def encoded(picture: Image.Image, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=format)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def disparity(depth_in_metres: float) -> float:
    return (min(0.075 * 518.857901 / depth_in_metres, 75.0) / 75.0 - 0.0418) / 0.0295


# Parity with the original


@pytest.mark.parametrize("name", sorted(VISION))
@pytest.mark.filterwarnings("ignore:Palette images")
def test_vision_equals_the_original(vision, name):
    values = vision(Image.open(MEDIA / name), return_tensors="pt").pixel_values
    assert values.shape == (1, 3, 224, 224) and values.dtype == torch.float32
    assert torch.equal(values[0], normalized(VISION[name]))


@pytest.mark.parametrize("name", sorted(THERMAL))
@pytest.mark.filterwarnings("ignore:Palette images")
def test_thermal_equals_the_original(thermal, name):
    # The original lets Pillow turn everything above 255 white; declared as a range that is the same.
    options = {"value_range": (0, 255)} if name == "gray16.png" else {}
    values = thermal(Image.open(MEDIA / name), return_tensors="pt", **options).thermal_values
    assert values.shape == (1, 1, 224, 224) and values.dtype == torch.float32
    assert torch.equal(values[0], THERMAL[name] / 255)


@pytest.mark.parametrize("name", ["dog_image.jpg", "car_image.jpg", "bird_image.jpg", "190662.jpg", "210009.jpg"])
def test_photographs_equal_the_original(vision, thermal, reference, name):
    pixels = load_file(reference / "preprocess" / "vision_pixels_uint8.safetensors")[name]
    assert torch.equal(vision(reference / "assets" / name, return_tensors="pt").pixel_values[0], normalized(pixels))
    pixels = load_file(reference / "preprocess" / "thermal_pixels_uint8.safetensors")[name]
    assert torch.equal(thermal(reference / "assets" / name, return_tensors="pt").thermal_values[0], pixels / 255)


def test_a_batch_is_its_pictures_one_by_one(vision):
    paths = [MEDIA / "rgba.png", MEDIA / "wide_3000x200.jpg", MEDIA / "tall_1x500.png"]
    batch = vision(paths, return_tensors="pt").pixel_values
    for row, path in zip(batch, paths, strict=True):
        assert torch.equal(row, vision(path, return_tensors="pt").pixel_values[0])


# What may be given


def test_every_kind_of_source_gives_the_same(vision):
    path = MEDIA / "rgba.png"
    data = path.read_bytes()
    picture = Image.open(path)
    rgb = np.asarray(picture.convert("RGB"))
    text = base64.b64encode(data).decode()
    sources = [str(path), path.as_uri(), data, text, f"data:image/png;base64,{text}", picture, rgb]
    sources += [np.moveaxis(rgb, -1, 0), torch.from_numpy(rgb.copy()), np.asarray(picture), rgb.astype(np.int64)]
    sources += [rgb.astype(np.float32) / 255, torch.from_numpy(rgb.copy()).double() / 255]
    expected = vision(path, return_tensors="pt").pixel_values
    values = vision(sources, return_tensors="pt").pixel_values
    for value in values:
        assert torch.equal(value, expected[0])
    assert torch.equal(vision(np.stack([rgb, rgb]), return_tensors="pt").pixel_values, expected.expand(2, -1, -1, -1))
    assert torch.equal(vision([[path], [path]], return_tensors="pt").pixel_values, expected.expand(2, -1, -1, -1))


def test_alpha_is_dropped_not_blended(vision):
    picture = Image.new("RGBA", (224, 224), (200, 100, 50, 0))
    pixels = vision(picture, return_tensors="pt", do_rescale=False, do_normalize=False).pixel_values
    assert pixels[0, :, 0, 0].tolist() == [200, 100, 50]


def test_rotation_is_applied_to_files_alone(vision):
    path = MEDIA / "exif_rot6.jpg"
    as_stored = vision(Image.open(path), return_tensors="pt").pixel_values
    upright = vision([path, path.read_bytes()], return_tensors="pt").pixel_values
    turned = vision(Image.open(path).transpose(Image.Transpose.ROTATE_270), return_tensors="pt").pixel_values
    assert torch.equal(upright[:1], turned) and torch.equal(upright[1:], turned)
    assert not torch.equal(upright[:1], as_stored)


def test_keywords_override_the_constructor(vision):
    picture = MEDIA / "gray.png"
    plain = vision(picture, return_tensors="pt", do_normalize=False).pixel_values
    torch.testing.assert_close(plain[0], VISION["gray.png"] / 255)
    assert vision(picture, return_tensors="pt", size=40, crop_size=32).pixel_values.shape == (1, 3, 32, 32)
    assert vision(picture, return_tensors="np").pixel_values.dtype == np.float32
    assert PandaGPTImageProcessorPil(do_normalize=False)(picture, return_tensors="pt").pixel_values.equal(plain)


# Thermal


@pytest.fixture
def kelvin() -> np.ndarray:
    """A 16-bit thermal picture in hundredths of a Kelvin, around 27 degrees Celsius."""
    return np.linspace(28000, 32000, 224 * 224).reshape(224, 224).round().astype(np.uint16)


def test_deep_thermal_pictures_need_a_range(thermal, kelvin):
    deep = [Image.fromarray(kelvin), kelvin, kelvin.astype(np.float32), encoded(Image.fromarray(kelvin)), npy(kelvin)]
    deep += [Image.fromarray(kelvin.astype(np.float32)), Image.fromarray(kelvin.astype(np.int32))]
    deep += [encoded(Image.fromarray(kelvin.astype(np.float32)), "TIFF"), torch.from_numpy(kelvin.astype(np.int32))]
    for picture in deep:
        with pytest.raises(ValueError, match=r"thermal\[0\].*more than 8 bits.*value_range"):
            thermal(picture)
    values = thermal(deep, return_tensors="pt", value_range=(28000, 32000)).thermal_values
    expected = torch.from_numpy((kelvin.astype(np.float32) - 28000) / 4000)
    for value in values:
        torch.testing.assert_close(value[0], expected, atol=0.51 / 255, rtol=0)


def test_the_range_of_deep_thermal_pictures_leaves_8_bits_alone_and_clips(thermal, kelvin):
    shallow = MEDIA / "gray.png"
    mixed = thermal([kelvin, shallow], return_tensors="pt", value_range=(29000, 30000)).thermal_values
    assert torch.equal(mixed[1], thermal(shallow, return_tensors="pt").thermal_values[0])
    assert mixed[0, 0, 0, 0] == 0 and mixed[0, 0, -1, -1] == 1


def test_a_bad_range_or_value_is_an_error(thermal, kelvin):
    for value_range in [(5, 5), (3, 2), (1, 2, 3), (0.0, float("inf"))]:
        with pytest.raises(ValueError, match="value_range must be"):
            thermal(kelvin, value_range=value_range)
    with pytest.raises(ValueError, match=r"thermal\[0\].*not finite"):
        thermal(np.full((9, 9), np.nan), value_range=(0, 1))


# Depth


def test_depth_becomes_normalised_disparity(depth):
    metres = np.full((300, 400), 2.0, dtype=np.float32)
    millimetres = (metres * 1000).astype(np.uint16)
    values = depth(
        [metres, npy(metres), metres[..., None], metres[None], torch.from_numpy(metres)], return_tensors="pt"
    )
    assert values.depth_values.shape == (5, 1, 224, 224) and values.depth_values.dtype == torch.float32
    torch.testing.assert_close(values.depth_values, torch.full((5, 1, 224, 224), disparity(2.0)))
    integers = [millimetres, Image.fromarray(millimetres), encoded(Image.fromarray(millimetres)), npy(millimetres)]
    values = depth(integers, depth_unit=0.001, return_tensors="pt").depth_values
    torch.testing.assert_close(values, torch.full((4, 1, 224, 224), disparity(2.0)))
    tiff = encoded(Image.fromarray(metres), "TIFF")
    assert depth(tiff, return_tensors="pt").depth_values[0, 0, 0, 0] == pytest.approx(disparity(2.0), rel=1e-6)


def test_depth_is_resized_as_floats(depth):
    slope = 2.0 + np.linspace(0, 1, 448)[None].repeat(448, 0)
    values = depth(slope, return_tensors="pt", do_normalize=False).depth_values[0, 0]
    expected = 0.075 * 518.857901 / (slope[::2, ::2] + slope[1::2, 1::2]) * 2 / 75
    np.testing.assert_allclose(values[4:-4, 4:-4], expected[4:-4, 4:-4], rtol=1e-4)
    assert len(values[100].unique()) == 224  # 8 bits would leave fewer steps


def test_camera_and_statistics_are_parameters():
    camera = PandaGPTDepthImageProcessorPil(focal_length=400, baseline=0.1, image_mean=[1.0], image_std=[2.0])
    values = camera(np.full((224, 224), 4.0), return_tensors="pt", max_disparity=20).depth_values
    torch.testing.assert_close(values, torch.full((1, 1, 224, 224), (0.1 * 400 / 4 / 20 - 1) / 2))


def test_depth_is_clipped_and_holes_are_far_away(depth):
    metres = np.array([[0.0, np.nan, np.inf, -1.0, 50.0, 80.0], [0.001, 0.01, 0.5, 1.0, 2.0, 3.0]], dtype=np.float32)
    values = depth(metres, return_tensors="pt", do_resize=False, crop_size={"height": 2, "width": 6}).depth_values[
        0, 0
    ]
    assert values[0].tolist() == pytest.approx([disparity(50.0)] * 6, rel=1e-5)
    assert values[1].tolist() == pytest.approx([disparity(d) for d in (0.01, 0.01, 0.5, 1, 2, 3)], rel=1e-5)
    for empty in (np.zeros((9, 9)), np.full((9, 9), np.nan)):
        with pytest.raises(ValueError, match=r"depth\[0\].*no measurement"):
            depth(empty)


def test_depth_without_a_unit_is_refused(depth):
    grey = Image.new("L", (9, 9), 100)
    for integers in (grey, np.full((9, 9), 1000, np.uint16), Image.fromarray(np.full((9, 9), 1000, np.uint16))):
        with pytest.raises(ValueError, match=r"depth\[0\].*needs its unit.*depth_unit=0.001"):
            depth(integers)
    assert depth(grey, depth_unit=0.02, return_tensors="pt").depth_values[0, 0, 0, 0] == pytest.approx(disparity(2.0))
    for coloured in (Image.new("RGB", (9, 9)), Image.new("P", (9, 9)), np.zeros((9, 9, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"depth\[0\].*one channel"):
            depth(coloured, depth_unit=0.001)
    with pytest.raises(ValueError, match="depth_unit must be a positive"):
        depth(grey, depth_unit=0)


# Errors


@pytest.mark.parametrize("name", NAMES)
def test_broken_pictures_are_named(request, name):
    processor = request.getfixturevalue(name)
    good = Image.new("F", (8, 8), 3.0) if name == "depth" else Image.new("L", (8, 8))
    data = (MEDIA / "wide_3000x200.jpg").read_bytes()
    png = (MEDIA / "rgba.png").read_bytes()
    for broken in (data[: len(data) // 2], png[: len(png) // 2], b"no picture", data[:100]):
        with pytest.raises(ValueError, match=rf"^{processor.media}\[1\] \(\d+ bytes\): "):
            processor([good, broken])
    with pytest.raises(ValueError, match=rf"^{processor.media}\[1\] \('no/such.png'\): no such file"):
        processor([good, "no/such.png"])
    with pytest.raises(TypeError, match=rf"^{processor.media}\[0\] \(int\)"):
        processor([3])
    with pytest.raises(ValueError, match="empty"):
        processor([])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((9, 9, 3), 256), "0 to 255"),
        (np.full((9, 9, 3), 70000, np.int32), "0 to 255"),
        (np.full((9, 9, 3), 1.5), "0.0 to 1.0"),
        (np.full((9, 9, 3), np.nan), "0.0 to 1.0"),
        (np.full((9, 9, 3), -1), "0 to 255"),
        (np.zeros(9, np.uint8), "height, width"),
        (np.zeros((9, 9, 7), np.uint8), "channel"),
        (np.zeros((0, 9, 3), np.uint8), "nothing"),
    ],
)
def test_arrays_that_are_no_pictures_are_errors(vision, array, message):
    with pytest.raises(ValueError, match=rf"^images\[0\] \(ndarray of shape .*{message}"):
        vision(array)


@pytest.mark.parametrize("name", NAMES)
def test_endless_strips_are_refused_before_they_are_scaled(request, name):
    processor = request.getfixturevalue(name)
    strip = Image.new("F" if name == "depth" else "L", (1, 5000), 3)
    for picture, side in ((strip, "1 x 5000"), (strip.transpose(Image.Transpose.ROTATE_90), "5000 x 1")):
        with pytest.raises(ValueError, match=rf"^{processor.media}\[0\] .*{side} pixels.*1000 times"):
            processor(picture)


def test_floats_are_deep_thermal_pictures(thermal):
    fractions = np.linspace(0, 1, 224 * 224, dtype=np.float32).reshape(224, 224)
    with pytest.raises(ValueError, match="value_range"):
        thermal(fractions)
    assert thermal(fractions, value_range=(0, 1), return_tensors="pt").thermal_values.max() == 1


def test_pickles_are_not_loaded(depth):
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        depth(buffer.getvalue())


# The library's conventions


@pytest.mark.parametrize("name", NAMES)
def test_round_trip_through_a_folder(request, name, tmp_path):
    options = {"vision": {"do_normalize": False}, "thermal": {"value_range": (1, 2)}, "depth": {"depth_unit": 0.25}}
    processor = type(request.getfixturevalue(name))(size={"shortest_edge": 30}, **options[name])
    processor.save_pretrained(tmp_path)
    assert type(processor).from_pretrained(tmp_path).to_dict() == processor.to_dict()
    loaded = AutoImageProcessor.from_pretrained(tmp_path, backend="pil", trust_remote_code=True)
    assert type(loaded).__name__ == type(processor).__name__ and loaded.to_dict() == processor.to_dict()
    assert loaded.model_input_names == [f"{name}_values".replace("vision", "pixel")]
    picture = np.linspace(1, 2, 100).reshape(10, 10) if name != "vision" else np.zeros((10, 10), np.uint8)
    options = {"return_tensors": "pt", "crop_size": 30}
    assert loaded(picture, **options)[loaded.model_input_names[0]].equal(
        processor(picture, **options)[processor.model_input_names[0]]
    )


@pytest.mark.parametrize(
    "name", ["PandaGPTImageProcessor", "PandaGPTThermalImageProcessor", "PandaGPTDepthImageProcessor"]
)
def test_torchvision_twins_share_all_but_the_backend(name):
    twin, reference_class = getattr(processing, name), getattr(processing, f"{name}Pil")
    assert twin.model_input_names == reference_class.model_input_names
    assert twin.valid_kwargs is reference_class.valid_kwargs
    for key in reference_class.valid_kwargs.__annotations__:
        assert getattr(twin, key, None) == getattr(reference_class, key, None), key


@pytest.mark.parametrize("name", ["PandaGPTImageProcessor", "PandaGPTThermalImageProcessor"])
def test_torchvision_stays_within_a_grey_level(name):
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    twin, processor = getattr(processing, name)(), getattr(processing, f"{name}Pil")()
    for path in (MEDIA / "rgba.png", MEDIA / "wide_3000x200.jpg", MEDIA / "gray_alpha_small.png"):
        options = {"return_tensors": "pt", "do_rescale": False, "do_normalize": False}
        ours, other = (each(path, **options)[processor.model_input_names[0]].int() for each in (processor, twin))
        assert (ours - other).abs().max() <= 1 and (ours != other).float().mean() < 0.01


def test_processors_travel_to_workers(vision):
    picture = MEDIA / "gray.png"
    copy = pickle.loads(pickle.dumps(vision))
    assert torch.equal(
        copy(picture, return_tensors="pt").pixel_values, vision(picture, return_tensors="pt").pixel_values
    )
