# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Image, thermal and depth processors: whatever shows a picture to a (channels, 224, 224) tensor.

Notable:
- Two backends each, as everywhere in transformers: `…Pil` is the reference (the published checkpoints saw Pillow's
  filter), the one without a suffix resizes with torchvision and differs by at most a grey level here and there.
  Both read and convert media by the same code; only `resize` and the arithmetic differ.
- Alpha is dropped, not blended, as the original does.
- Thermal pictures of more than 8 bits and depth maps of integers are refused until their scale is declared.
"""

import io
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from transformers.image_processing_backends import PilBackend, TorchvisionBackend
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature
from transformers.image_transforms import get_resize_output_image_size
from transformers.image_utils import (
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
    ChannelDimension,
    PILImageResampling,
    SizeDict,
    infer_channel_dimension_format,
)
from transformers.processing_utils import ImagesKwargs

from .fetch_media import fetch, flatten, naming


# What the authors of ImageBind clip depth to before they turn it into disparity, in metres.
NEAREST, FARTHEST = 0.01, 50.0

# Scaling the shorter side of a longer picture would make gigabytes of a file of some bytes.
MAX_ASPECT_RATIO = 1000

Picture = Image.Image | np.ndarray


class PandaGPTThermalImageProcessorKwargs(ImagesKwargs, total=False):
    """
    value_range (`tuple[float, float]`, *optional*):
        The values of a picture of more than 8 bits that become black and white; anything beyond them is clipped.
        Required for such pictures, ignored for 8-bit ones.
    """

    value_range: list[float | int] | tuple[float | int, ...] | None


class PandaGPTDepthImageProcessorKwargs(ImagesKwargs, total=False):
    """
    depth_unit (`float`, *optional*):
        Metres per stored unit, e.g. 0.001 for millimetres. Required for integers; floats are metres without it.
    focal_length (`float`, *optional*, defaults to 518.857901):
        Focal length of the camera in pixels of the depth map.
    baseline (`float`, *optional*, defaults to 0.075):
        Distance between the two eyes of the sensor in metres.
    max_disparity (`float`, *optional*, defaults to 75.0):
        Disparity, in pixels, that becomes 1; anything above it too.
    """

    depth_unit: float | int | None
    focal_length: float | int | None
    baseline: float | int | None
    max_disparity: float | int | None


class _PictureProcessor(BaseImageProcessor):
    """What the processors share beside their backend: reading, the crop's rounding, the name of the output."""

    media = "images"
    model_input_names = ["pixel_values"]
    resample = PILImageResampling.BICUBIC
    size = {"shortest_edge": 224}
    default_to_square = False
    crop_size = {"height": 224, "width": 224}
    do_resize = True
    do_center_crop = True

    def _prepare_image_like_inputs(self, images: Any, *args: Any, expected_ndims: int = 3, **kwargs: Any) -> list:
        pictures = flatten(images, self.media)
        if not pictures:
            raise ValueError(f"{self.media} is empty: give at least one")
        prepared = []
        for position, picture in enumerate(pictures):
            with naming(self.media, position, picture):
                prepared.append(self.process_image(picture, **kwargs))
        return prepared

    def process_image(self, image: Any, *args: Any, **kwargs: Any) -> Any:
        picture = self._read(open_picture(image), **kwargs)
        check_aspect_ratio(*(picture.size if isinstance(picture, Image.Image) else picture.shape[:0:-1]))
        # An 8-bit PIL picture, or a float array (1, height, width): the backend makes its own format of it.
        kwargs["do_convert_rgb"] = False
        kwargs["input_data_format"] = None if isinstance(picture, Image.Image) else ChannelDimension.FIRST
        return super().process_image(picture, *args, **kwargs)

    def _read(self, picture: Picture, **kwargs: Any) -> Picture:
        """What the backend is given: an 8-bit PIL picture, or floats (1, height, width)."""
        raise NotImplementedError

    def center_crop(self, image: Any, size: Any, *args: Any, **kwargs: Any) -> Any:
        # The original's crop (torchvision's) rounds a half to even; both backends would cut it off.
        height, width = image.shape[-2:]
        if height < size.height or width < size.width:
            return super().center_crop(image, size, *args, **kwargs)
        top, left = round((height - size.height) / 2), round((width - size.width) / 2)
        return image[..., top : top + size.height, left : left + size.width]

    def _preprocess(self, images: list, *args: Any, return_tensors: Any = None, **kwargs: Any) -> BatchFeature:
        features = super()._preprocess(images, *args, return_tensors=return_tensors, **kwargs)
        return BatchFeature({self.model_input_names[0]: features["pixel_values"]})

    def to_dict(self) -> dict[str, Any]:
        processor_dict = super().to_dict()
        if "AutoImageProcessor" in processor_dict.get("auto_map", {}):
            # Saving names the one class that was saved; a user may load either backend.
            module, base = type(self).__module__.split(".")[-1], processor_dict["image_processor_type"]
            backends = {"torchvision": f"{module}.{base}", "pil": f"{module}.{base}Pil"}
            processor_dict["auto_map"]["AutoImageProcessor"] = backends
        return processor_dict


class _ImageDefaults(_PictureProcessor):
    image_mean = OPENAI_CLIP_MEAN
    image_std = OPENAI_CLIP_STD
    do_rescale = True
    do_normalize = True
    do_convert_rgb = True

    def _read(
        self, picture: Picture, do_convert_rgb: bool | None = None, input_data_format: Any = None, **kwargs: Any
    ) -> Image.Image:
        picture = to_pil(picture, input_data_format)
        return picture.convert("RGB") if do_convert_rgb else picture


class _ThermalDefaults(_PictureProcessor):
    media = "thermal"
    model_input_names = ["thermal_values"]
    valid_kwargs = PandaGPTThermalImageProcessorKwargs
    value_range = None
    do_rescale = True
    do_normalize = False

    def _read(
        self, picture: Picture, input_data_format: Any = None, value_range: Any = None, **kwargs: Any
    ) -> Image.Image:
        values = _single_channel(picture, input_data_format)
        if values is None or values.dtype in (np.uint8, np.bool_):
            return to_pil(picture, input_data_format).convert("L")
        if value_range is None:
            raise ValueError(
                f"a thermal picture of more than 8 bits ({values.dtype}, {values.min():g} to {values.max():g}) needs "
                "the values that mean black and white, e.g. value_range=(28000, 32000)"
            )
        if not np.isfinite(values).all():
            raise ValueError("it holds values that are not finite")
        low, high = value_range
        levels = 255 * ((values.astype(np.float64) - low) / (high - low)).clip(0, 1)
        return Image.fromarray(np.rint(levels).astype(np.uint8))

    def _standardize_kwargs(self, *args: Any, value_range: Any = None, **kwargs: Any) -> dict:
        if value_range is not None:
            value_range = tuple(value_range)
            if len(value_range) != 2 or not -np.inf < value_range[0] < value_range[1] < np.inf:
                raise ValueError(f"value_range must be (low, high) with low < high, got {value_range}")
        return {**super()._standardize_kwargs(*args, **kwargs), "value_range": value_range}


class _DepthDefaults(_PictureProcessor):
    media = "depth"
    model_input_names = ["depth_values"]
    valid_kwargs = PandaGPTDepthImageProcessorKwargs
    depth_unit = None
    focal_length = 518.857901
    baseline = 0.075
    max_disparity = 75.0
    image_mean = [0.0418]
    image_std = [0.0295]
    do_rescale = False
    do_normalize = True

    def _read(  # type: ignore[override]
        self,
        picture: Picture,
        *,
        depth_unit: float | None,
        focal_length: float,
        baseline: float,
        max_disparity: float,
        input_data_format: Any = None,
        **kwargs: Any,
    ) -> np.ndarray:
        values = _single_channel(picture, input_data_format)
        if values is None:
            raise ValueError(f"a depth map has one channel, got {_layout(picture)}; a coloured depth map is no depth")
        if depth_unit is None and not np.issubdtype(values.dtype, np.floating):
            raise ValueError(
                f"a depth map of integers ({values.dtype}) needs its unit, e.g. depth_unit=0.001 for millimetres"
            )
        depth = values.astype(np.float64) * (1.0 if depth_unit is None else depth_unit)
        measured = np.isfinite(depth) & (depth > 0)
        if not measured.any():
            raise ValueError("the depth map holds no measurement: no value is finite and above 0")
        depth = np.where(measured, depth, FARTHEST).clip(NEAREST, FARTHEST)
        disparity = (baseline * focal_length / depth).clip(max=max_disparity)
        return (disparity / max_disparity).astype(np.float32)[None]

    def _standardize_kwargs(self, *args: Any, **kwargs: Any) -> dict:
        for name in ("depth_unit", "focal_length", "baseline", "max_disparity"):
            value = kwargs.get(name)
            if value is not None and not 0 < value < np.inf:
                raise ValueError(f"{name} must be a positive number, got {value}")
        return super()._standardize_kwargs(*args, **kwargs)


class _TorchvisionAsPillow(TorchvisionBackend):
    """Torchvision's backend with Pillow's way of rounding."""

    def resize(self, image: torch.Tensor, size: SizeDict, *args: Any, **kwargs: Any) -> torch.Tensor:
        # Along the rows, then along the columns, each exactly and then rounded to 8 bits. Torchvision's own arithmetic
        # on 8 bits is coarser: a few pixels in a million would be two grey levels away.
        height, width = _scaled_size(image, size)
        for step in ((image.shape[-2], width), (height, width)):
            scaled = super().resize(image.float(), SizeDict(height=step[0], width=step[1]), *args, **kwargs)
            image = scaled.round().clamp(0, 255).to(torch.uint8)
        return image


class PandaGPTImageProcessor(_ImageDefaults, _TorchvisionAsPillow):
    """Colour pictures for ImageBind's vision encoder, resized by torchvision (see [`PandaGPTImageProcessorPil`])."""


class PandaGPTImageProcessorPil(_ImageDefaults, PilBackend):
    """Colour pictures for ImageBind's vision encoder; the reference.

    RGB by Pillow's `convert` (alpha dropped), shorter side 224 bicubic, centre crop of 224, CLIP mean and std, exactly
    as the original's `load_and_transform_vision_data`. The EXIF rotation is applied to a picture that is opened here
    (the original ignored it); a PIL picture is taken as it is.

    Called with one picture or a list of them, each a path, URL, base64 string, data URL, bytes, PIL picture, or an
    array or tensor (height, width), (height, width, channels) or (channels, height, width) of 8-bit integers or of
    floats from 0 to 1 (rounded to 8 bits), returns `pixel_values` (n, 3, 224, 224), float32. Keywords are those of
    [`~processing_utils.ImagesKwargs`], in the constructor or the call.

    Raises:
        `ValueError`: if a picture cannot be read; the message names its position.
    """


class PandaGPTThermalImageProcessor(_ThermalDefaults, _TorchvisionAsPillow):
    """Thermal pictures, resized by torchvision (see [`PandaGPTThermalImageProcessorPil`])."""


class PandaGPTThermalImageProcessorPil(_ThermalDefaults, PilBackend):
    """Thermal pictures for ImageBind's thermal encoder; the reference.

    Pillow's `convert("L")`, resized and cropped as an image, from 0 to 1 without mean and std, as the original's
    `load_and_transform_thermal_data`. A picture of one channel and more than 8 bits (16-bit PNG or TIFF, `.npy`,
    array) is mapped from `value_range` to 8 bits; Pillow alone would turn nearly all of it white.

    Takes what [`PandaGPTImageProcessorPil`] takes, and `.npy` and TIFF; but floats and other integers of one channel
    count as more than 8 bits, whatever their values. Returns `thermal_values` (n, 1, 224, 224), float32.

    Args:
        value_range (`tuple[float, float]`, *optional*):
            The stored values that become 0 and 1, for pictures of more than 8 bits.

    Raises:
        `ValueError`: if a picture cannot be read, or has more than 8 bits and no `value_range` is declared.
    """


class PandaGPTDepthImageProcessor(_DepthDefaults, TorchvisionBackend):
    """Depth maps, resized by torchvision (see [`PandaGPTDepthImageProcessorPil`])."""


class PandaGPTDepthImageProcessorPil(_DepthDefaults, PilBackend):
    """Depth maps for ImageBind's depth encoder; the reference. **Experimental.**

    Metres, clipped to [0.01, 50], become the disparity `baseline * focal_length / depth` (the published recipe of
    ImageBind's authors), which is clipped to `max_disparity` and divided by it, resized bicubically as floats,
    cropped, and normalised. The authors did not publish the last steps for ImageBind: 75, 0.0418 and 0.0295 belong
    together in Omnivore, the same group's earlier model, and are what the community uses.
    A pixel that is 0, negative or not finite has no measurement and counts as farthest (50 m); fill such holes
    beforehand if you can, as the authors did.

    Takes a `.npy` file, a 16-bit PNG, a TIFF, or an array or tensor (height, width), (1, height, width) or
    (height, width, 1); returns `depth_values` (n, 1, 224, 224), float32. Floats are metres; integers, 8-bit pictures
    among them, are refused until `depth_unit` declares what they count.

    Args:
        depth_unit (`float`, *optional*):
            Metres per stored unit, e.g. 0.001 for millimetres.
        focal_length (`float`, *optional*, defaults to 518.857901):
            In pixels of the depth map; the default is that of NYU Depth's Kinect at 640 x 480.
        baseline (`float`, *optional*, defaults to 0.075):
            In metres: 0.075 for a Kinect (v1 and v2), 0.095 for RealSense and Xtion.
        max_disparity (`float`, *optional*, defaults to 75.0):
            In pixels: the disparity that becomes 1.
        image_mean (`list[float]`, *optional*, defaults to `[0.0418]`) and image_std (defaults to `[0.0295]`):
            Of the disparity divided by `max_disparity`.

    Raises:
        `ValueError`: if a map cannot be read, has more than one channel, has no unit, or holds no measurement.
    """

    def resize(self, image: np.ndarray, size: SizeDict, resample: Any = None, *args: Any, **kwargs: Any) -> np.ndarray:
        # The library's resize of arrays goes through 8 bits.
        new_size = _scaled_size(image, size)
        return np.asarray(Image.fromarray(image[0]).resize(new_size[::-1], resample=resample))[None]


def _scaled_size(image: Any, size: Any) -> tuple[int, int]:
    """Height and width that a picture (channels, height, width) is scaled to."""
    if not size.shortest_edge:
        return size.height, size.width
    return get_resize_output_image_size(
        image, size.shortest_edge, default_to_square=False, input_data_format=ChannelDimension.FIRST
    )


def open_picture(source: Any) -> Picture:
    """Returns a PIL picture, wholly decoded and turned upright, or the array of a `.npy` file, array or tensor."""
    if isinstance(source, Image.Image | np.ndarray):
        return source
    if isinstance(source, torch.Tensor):
        source = source.detach().cpu()
        return (source.float() if source.dtype == torch.bfloat16 else source).numpy()
    data = fetch(source)
    if data.startswith(b"\x93NUMPY"):
        return np.load(io.BytesIO(data), allow_pickle=False)
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    except UnidentifiedImageError as error:
        raise ValueError("it is no picture of a known format, or its beginning is damaged") from error


def to_pil(picture: Picture, input_data_format: str | ChannelDimension | None = None) -> Image.Image:
    """Returns a PIL picture of an array of 8-bit integers or of floats from 0 to 1; a PIL picture stays as it is."""
    if isinstance(picture, Image.Image):
        return picture
    array = _channels_last(picture, input_data_format)
    if array.dtype == np.bool_:
        array = array.astype(np.float32)
    low, high = (0.0, 1.0) if np.issubdtype(array.dtype, np.floating) else (0, 255)
    if array.size == 0 or not low <= array.min() <= array.max() <= high:
        given = f"{array.min()} to {array.max()}" if array.size else "nothing"
        raise ValueError(f"an array of {array.dtype} must hold values from {low} to {high}, got {given}")
    if high == 1.0:
        array = np.rint(array * 255)
    return Image.fromarray(np.ascontiguousarray(array.astype(np.uint8)))


def check_aspect_ratio(width: int, height: int) -> None:
    """
    Raises:
        `ValueError`: if one side is more than 1000 times as long as the other.
    """
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise ValueError(
            f"{width} x {height} pixels are too long a picture: "
            f"one side may be at most {MAX_ASPECT_RATIO} times the other"
        )


def _channels_last(array: np.ndarray, input_data_format: str | ChannelDimension | None) -> np.ndarray:
    """(height, width), (height, width, channels) or (channels, height, width) to (height, width[, 2 to 4])."""
    if array.ndim == 3:
        if input_data_format is None:
            input_data_format = infer_channel_dimension_format(array, num_channels=(1, 2, 3, 4))
        if ChannelDimension(input_data_format) == ChannelDimension.FIRST:
            array = np.moveaxis(array, 0, -1)
        return array[..., 0] if array.shape[-1] == 1 else array
    if array.ndim != 2:
        raise ValueError(f"expected (height, width[, channels]) or (channels, height, width), got {array.shape}")
    return array


def _single_channel(picture: Picture, input_data_format: str | ChannelDimension | None) -> np.ndarray | None:
    """Returns the values of a picture with one channel as (height, width), `None` for any other picture."""
    if isinstance(picture, Image.Image):
        return np.asarray(picture) if picture.mode in ("1", "L", "F") or picture.mode.startswith("I") else None
    array = _channels_last(picture, input_data_format)
    return array if array.ndim == 2 else None


def _layout(picture: Picture) -> str:
    return f"mode {picture.mode}" if isinstance(picture, Image.Image) else f"shape {picture.shape}"


PandaGPTImageProcessor.register_for_auto_class("AutoImageProcessor")
PandaGPTImageProcessorPil.register_for_auto_class("AutoImageProcessor")
PandaGPTThermalImageProcessor.register_for_auto_class("AutoImageProcessor")
PandaGPTThermalImageProcessorPil.register_for_auto_class("AutoImageProcessor")
PandaGPTDepthImageProcessor.register_for_auto_class("AutoImageProcessor")
PandaGPTDepthImageProcessorPil.register_for_auto_class("AutoImageProcessor")
