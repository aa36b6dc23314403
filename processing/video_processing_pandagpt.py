# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Video processor: clips spread over a video, first and last frame of each, three crops of each.

Notable:
- Needs neither torchvision nor torchcodec: PyAV decodes, torch resizes.
- Only the frames that are asked for become pictures, and stretches between them are skipped where a key frame allows.
- Resized without antialiasing and on floats, as the original does; a frame that several clips share is resized once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import torch
from huggingface_hub.dataclasses import validate_typed_dict
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, PILImageResampling
from transformers.processing_utils import VideosKwargs
from transformers.video_processing_utils import VideoProcessorMixin
from transformers.video_utils import VideoMetadata

from .feature_extraction_pandagpt import clip_timepoints
from .fetch_media import flatten, is_rated, naming, open_media
from .image_processing_pandagpt import check_aspect_ratio, open_picture, to_pil


try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]


class PandaGPTVideoProcessorKwargs(VideosKwargs, total=False):
    """
    num_clips (`int`, *optional*, defaults to 5):
        Clips of a video, spread evenly from its start to its end.
    clip_duration (`float`, *optional*, defaults to 2.0):
        Seconds of a clip.
    num_crops (`int`, *optional*, defaults to 3):
        Crops of a clip along its longer side: 3, or 1 for the centre alone.
    """

    num_clips: int | None
    clip_duration: float | int | None
    num_crops: int | None


class PandaGPTVideoProcessor(VideoProcessorMixin):
    """Videos for ImageBind's vision encoder, as the original's `load_and_transform_video_data`.

    Five clips of 2 s are spread evenly over the video (all the same where it is shorter); of each the first and the
    last frame are taken; their shorter side is scaled to 224 bilinearly without antialiasing, the longer one is
    rounded down; three squares (left, centre, right or top, centre, bottom) are cut; CLIP mean and std.

    Called with one video or a list of them, each a path, URL, base64 string, data URL, bytes, or its frames: a list of
    PIL pictures or arrays, or an array or tensor (frames, height, width, 3) or (frames, 3, height, width) of 8-bit
    integers or of floats from 0 to 1, alone or as a tuple (frames, rate) or `{"frames": ..., "fps": ...}`.
    Returns `pixel_values_videos` (n, 15, 3, 2, 224, 224), float32: clips x crops, channels, frames, height, width.

    Args:
        num_clips (`int`, *optional*, defaults to 5), clip_duration (`float`, *optional*, defaults to 2.0):
            How many clips, of how many seconds.
        num_frames (`int`, *optional*, defaults to 2):
            Frames of a clip, evenly from its first to its last.
        num_crops (`int`, *optional*, defaults to 3):
            3, or 1 for the centre alone.
        fps (`float`, *optional*, defaults to 30.0):
            Frames per second of frames that come without their rate (also by `video_metadata`). A file knows its rate.
        do_sample_frames (`bool`, *optional*, defaults to `True`):
            If `False`, the frames of a video are already those of its clips, `num_frames` after `num_frames`.

    Raises:
        `ValueError`: if a video cannot be read or has no frames; the message names its position.
        `ImportError`: if a video file is given and PyAV is missing.
    """

    valid_kwargs = PandaGPTVideoProcessorKwargs
    model_input_names = ["pixel_values_videos"]
    num_clips = 5
    clip_duration = 2.0
    num_frames = 2
    num_crops = 3
    fps = 30.0
    do_sample_frames = True
    resample = PILImageResampling.BILINEAR
    size = {"shortest_edge": 224}
    default_to_square = False
    crop_size = {"height": 224, "width": 224}
    image_mean = OPENAI_CLIP_MEAN
    image_std = OPENAI_CLIP_STD
    do_resize = True
    do_rescale = True
    do_normalize = True
    do_convert_rgb = True

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._set_attributes(**kwargs)  # the mixin leaves this to torchvision's backend

    def preprocess(self, videos: Any, **kwargs: Any) -> BatchFeature:
        # The library's preprocess decodes all videos before it works on the first; clips are far smaller than videos,
        # so one video after the other needs a fraction of the memory and lets an error name its video.
        validate_typed_dict(self.valid_kwargs, kwargs)  # type: ignore[type-var]
        options = {name: getattr(self, name, None) for name in self._valid_kwargs_names}
        options = self._standardize_kwargs(**{**options, **kwargs})
        self._validate_preprocess_kwargs(**options)
        videos = flatten(videos, "videos")
        if not videos:
            raise ValueError("videos is empty: give at least one")
        values, metadata = [], []
        for position, video in enumerate(videos):
            with naming("videos", position, video):
                given = _metadata_of(options["video_metadata"], position)
                frames, indices, read = self._read(video, given, **options)
                values.append(self._to_clips(frames, indices, **options))
                metadata.append(read)
        features = BatchFeature(
            {"pixel_values_videos": [video.cpu().numpy() for video in values]}, tensor_type=options["return_tensors"]
        )
        if options["return_metadata"]:
            features["video_metadata"] = metadata
        return features

    def sample_frames(
        self,
        metadata: VideoMetadata,
        num_clips: int = 5,
        clip_duration: float = 2.0,
        num_frames: int = 2,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Returns the numbers (clips, frames) of the frames that are taken from a video of this length and rate."""
        total, fps = metadata.total_num_frames, float(metadata.fps or 0)
        if not 0 < fps < math.inf:
            raise ValueError(f"the frame rate must be positive, got {metadata.fps}")
        clips = []
        for start, end in clip_timepoints(total / fps, clip_duration, num_clips):
            # Where frames are seconds apart a clip may fall between two of them: it takes the nearer one.
            first = min(math.ceil(fps * start), total - 1)
            last = max(min(math.ceil(fps * end), total) - 1, first)
            clips.append(first + torch.linspace(0, last - first, num_frames).long())
        return torch.stack(clips)

    def _read(
        self, video: Any, given: Mapping[str, Any], **options: Any
    ) -> tuple[list[np.ndarray], torch.Tensor, VideoMetadata]:
        """Returns the frames that are needed, which of them each clip takes (clips, frames), and the metadata."""
        frames, fps = _frames_and_rate(video)
        if frames is None:
            if av is None:
                raise ImportError("reading video files needs PyAV: pip install av")
            with open_media(video) as file:
                video_file = _VideoFile(file)
                metadata = VideoMetadata(video_file.num_frames, video_file.fps, video_backend="pyav")
                wanted = self._wanted(metadata, **options)
                pictures = video_file.read(wanted.unique().tolist())
        else:
            rates = (fps or given.get("fps"), options["fps"], self.fps)  # None in a call means "not given"
            metadata = VideoMetadata(len(frames), next(rate for rate in rates if rate is not None))
            wanted = self._wanted(metadata, **options)
            pictures = [_as_rgb(frames[index], options) for index in wanted.unique().tolist()]
        if len({picture.shape for picture in pictures}) > 1:
            raise ValueError(f"its frames differ in shape: {sorted({picture.shape for picture in pictures})}")
        metadata.height, metadata.width = pictures[0].shape[:2]
        metadata.duration = metadata.total_num_frames / metadata.fps if metadata.fps else None
        metadata.frames_indices = wanted.flatten().tolist()
        return pictures, wanted.unique(return_inverse=True)[1], metadata

    def _wanted(
        self, metadata: VideoMetadata, do_sample_frames: bool, num_frames: int, **options: Any
    ) -> torch.Tensor:
        """Returns the numbers (clips, frames) of the frames that are needed."""
        if num_frames < 1:
            raise ValueError(f"num_frames must be at least 1, got {num_frames}")
        if metadata.total_num_frames < 1:
            raise ValueError("the video has no frames")
        if do_sample_frames:
            return self.sample_frames(metadata, num_frames=num_frames, **options)
        if metadata.total_num_frames % num_frames:
            raise ValueError(f"{metadata.total_num_frames} frames are not whole clips of {num_frames}")
        return torch.arange(metadata.total_num_frames).view(-1, num_frames)

    def _to_clips(self, frames: list[np.ndarray], indices: torch.Tensor, **options: Any) -> torch.Tensor:
        """Frames (height, width, channels) to (clips x crops, channels, frames, crop height, crop width)."""
        # One after the other: a scaled frame may be far larger than its crops.
        crops = torch.stack([self._to_crops(frame, **options) for frame in frames], dim=1)
        clips = crops[:, indices]  # (crops, clips, frames, channels, height, width)
        return clips.permute(1, 0, 3, 2, 4, 5).flatten(0, 1)

    def _to_crops(
        self,
        frame: np.ndarray,
        do_resize: bool,
        size: Any,
        resample: PILImageResampling | int,
        crop_size: Any,
        num_crops: int,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: float | Sequence[float],
        image_std: float | Sequence[float],
        device: str | torch.device | None = None,
        **options: Any,
    ) -> torch.Tensor:
        """A frame (height, width, channels) to (crops, channels, crop height, crop width)."""
        pixels = torch.from_numpy(frame.copy()).to(device).permute(2, 0, 1).float()
        if do_rescale:
            pixels = pixels * rescale_factor
        if do_resize:
            mode = PILImageResampling(resample).name.lower()
            align = None if mode == "nearest" else False
            new_size = _new_size(pixels.shape[-2], pixels.shape[-1], size)
            pixels = torch.nn.functional.interpolate(pixels[None], new_size, mode=mode, align_corners=align)[0]
        if do_normalize:
            mean, std = (
                torch.as_tensor(value, device=pixels.device).view(-1, 1, 1) for value in (image_mean, image_std)
            )
            pixels = (pixels - mean) / std
        return torch.stack(_crops(pixels, crop_size.height, crop_size.width, num_crops))


class _VideoFile:
    """A video file whose frames are counted and timed without decoding, and decoded by number."""

    def __init__(self, file: BinaryIO):
        self.file = file
        with self._open() as container:
            if not container.streams.video:
                raise ValueError("it has no video track")
            stream = container.streams.video[0]
            # Only what they say of themselves is kept: the packets together are the whole file.
            packets = [(p.pts, p.is_keyframe, p.is_discard) for p in container.demux(stream) if p.size]
            if len(packets) < stream.frames and self._count_stored() < stream.frames:
                raise ValueError(f"the file is truncated: it holds {len(packets)} of {stream.frames} frames")
            self.fps = float(stream.average_rate or stream.guessed_rate or 0)
        shown = [time for time, _, is_hidden in packets if not is_hidden]
        self.num_frames = len(shown)
        self.times = sorted(time for time in shown if time is not None)
        self.key_times = [time for time, is_key, _ in packets if is_key and time is not None]

    def read(self, numbers: list[int]) -> list[np.ndarray]:
        """Returns the frames of these ascending numbers as RGB (height, width, 3), turned upright."""
        frames: list[Any] = []
        if len(set(self.times)) == self.num_frames:
            frames = list(self._seek(numbers))
        if len(frames) < len(numbers):
            # No or broken timestamps, or a container that cannot seek exactly (MPEG-TS): count from the start.
            frames = list(self._count(numbers))
        if len(frames) < len(numbers):
            raise ValueError(f"frame {numbers[len(frames)]} of {self.num_frames} cannot be decoded")
        return [np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)) for frame in frames]

    def _open(self, **options: str) -> Any:
        self.file.seek(0)
        try:
            return av.open(self.file, options=options)
        except av.FFmpegError as error:
            raise ValueError(f"it is no video of a known format, or it is damaged ({error.strerror})") from error

    def _count_stored(self) -> int:
        """All frames that are there, those of a trimmed recording among them that its edit list hides."""
        with self._open(ignore_editlist="1") as container:
            return sum(packet.size > 0 for packet in container.demux(video=0))

    def _seek(self, numbers: list[int]) -> Iterator[Any]:
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"  # on all cores; by default only what was encoded in slices is
            decoder = container.decode(stream)
            position = self.times[0]
            for number in numbers:
                target = self.times[number]
                if any(position < key_time <= target for key_time in self.key_times):
                    container.seek(target, stream=stream)
                    decoder = container.decode(stream)
                frame = next((frame for frame in decoder if frame.pts is None or frame.pts >= target), None)
                if frame is None or frame.pts != target:
                    return
                position = target
                yield frame

    def _count(self, numbers: list[int]) -> Iterator[Any]:
        with self._open() as container:
            container.streams.video[0].thread_type = "AUTO"
            for number, frame in enumerate(container.decode(video=0)):
                if number in numbers:
                    yield frame
                if number == numbers[-1]:
                    return


def _frames_and_rate(video: Any) -> tuple[Any, float | None]:
    """Returns the frames of a video that is given as frames, `None` for one that has to be read, and the rate."""
    rate = None
    if is_rated(video):
        video, rate = video
    elif isinstance(video, Mapping) and "frames" in video:
        video, rate = video["frames"], video.get("fps")
    if isinstance(video, np.ndarray | torch.Tensor):
        if video.ndim != 4:
            raise ValueError(
                f"expected (frames, height, width, 3) or (frames, 3, height, width), got {tuple(video.shape)}"
            )
        return video, rate
    return (video, rate) if isinstance(video, list | tuple) else (None, None)


def _metadata_of(video_metadata: Any, position: int) -> Mapping[str, Any]:
    """The metadata of one video out of whatever nesting the library's callers use."""
    while isinstance(video_metadata, list):
        flat = [entry for row in video_metadata for entry in (row if isinstance(row, list) else [row])]
        video_metadata = flat[position] if position < len(flat) else {}
    return video_metadata or {}


def _as_rgb(frame: Any, options: Mapping[str, Any]) -> np.ndarray:
    """A frame as (height, width, channels) of 8 bits."""
    picture = to_pil(open_picture(frame), options["input_data_format"])
    array = np.asarray(picture.convert("RGB") if options["do_convert_rgb"] else picture)
    return array if array.ndim == 3 else array[..., None]


def _new_size(height: int, width: int, size: Any) -> tuple[int, int]:
    if not size.shortest_edge:
        return size.height, size.width
    check_aspect_ratio(width, height)
    shorter = min(height, width)
    return math.floor(height / shorter * size.shortest_edge), math.floor(width / shorter * size.shortest_edge)


def _crops(pixels: torch.Tensor, height: int, width: int, num_crops: int) -> list[torch.Tensor]:
    """Crops of (…, height, width) along the longer side: start, centre, end; or the centre alone."""
    spare_height, spare_width = pixels.shape[-2] - height, pixels.shape[-1] - width
    if spare_height < 0 or spare_width < 0:
        raise ValueError(f"frames of {tuple(pixels.shape[-2:])} are too small for crops of {(height, width)}")
    if num_crops not in (1, 3):
        raise ValueError(f"num_crops must be 1 or 3, got {num_crops}")
    centre = math.ceil(spare_height / 2), math.ceil(spare_width / 2)
    corners = [centre]
    if num_crops == 3 and pixels.shape[-2] > pixels.shape[-1]:
        corners = [(0, centre[1]), centre, (spare_height, centre[1])]
    elif num_crops == 3:
        corners = [(centre[0], 0), centre, (centre[0], spare_width)]
    return [pixels[..., top : top + height, left : left + width] for top, left in corners]


PandaGPTVideoProcessor.register_for_auto_class("AutoVideoProcessor")
