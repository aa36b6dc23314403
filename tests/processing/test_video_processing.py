# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Videos: the original's frames, clips and crops, from any container or from frames, and clear errors."""

import io
import json
import math
import pickle
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
from transformers.video_utils import VideoMetadata

from processing import PandaGPTVideoProcessor
from processing.feature_extraction_pandagpt import clip_timepoints
from processing.video_processing_pandagpt import _VideoFile


av = pytest.importorskip("av", reason="PyAV is not installed")

FIXTURES = Path(__file__).parents[1] / "fixtures" / "preprocess"
MEDIA = FIXTURES / "media"
SHORT = MEDIA / "short_0p9s.mp4"  # 18 frames
PORTRAIT = MEDIA / "portrait_ntsc_5p5s.mp4"  # 165 frames at 29.97 Hz
PIXELS = load_file(FIXTURES / "video_pixels.safetensors")
SYNTHETIC = ["synthetic/portrait_ntsc_5p5s.mp4", "synthetic/short_0p9s.mp4"]
STD = torch.tensor(OPENAI_CLIP_STD).view(3, 1, 1, 1)


@pytest.fixture(scope="module")
def processor():
    return PandaGPTVideoProcessor()


def grey_levels(values: torch.Tensor) -> torch.Tensor:
    """Normalised values (..., 3, frames, height, width) as levels from 0 to 255."""
    return (values.float() * STD + torch.tensor(OPENAI_CLIP_MEAN).view(3, 1, 1, 1)) * 255


def counting_video(
    container: str, codec: str, num_frames: int = 100, pixel_format: str = "yuv420p", **options
) -> bytes:
    """A video of 25 frames a second whose k-th frame is of the grey level 2 k."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25, options={name: str(value) for name, value in options.items()})
        stream.width, stream.height, stream.pix_fmt = 48, 32, pixel_format
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 2 * number, np.uint8), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return buffer.getvalue()


def numbers_of(processor, video, **kwargs) -> list[int]:
    """Which frames of a counting video were taken."""
    values = processor(video, return_tensors="pt", **kwargs).pixel_values_videos[0]
    return (grey_levels(values[::3]).mean(dim=(1, 3, 4)) / 2).round().int().flatten().tolist()


# Parity with the original


@pytest.mark.parametrize("name", ["portrait_ntsc_5p5s.mp4", "short_0p9s.mp4"])
def test_a_file_equals_the_original(processor, name):
    values = processor(MEDIA / name, return_tensors="pt").pixel_values_videos
    assert values.shape == (1, 15, 3, 2, 224, 224) and values.dtype == torch.float32
    difference = (grey_levels(values[0, PIXELS[f"{name}.views"]]) - PIXELS[name]).abs()
    assert difference.max() <= 2 and difference.mean() <= 0.3  # the golden levels are rounded


@pytest.mark.parametrize("name", [*SYNTHETIC, "world.mp4", "a.mp4"])
def test_every_view_of_a_file_equals_the_original(processor, reference, name):
    golden = load_file(reference / "preprocess" / "video_float16.safetensors")[name]
    meta = json.loads((reference / "preprocess" / "video_meta.json").read_text())[name]
    batch = processor(reference / "assets" / name, return_tensors="pt", return_metadata=True)
    difference = (batch.pixel_values_videos - golden.float()) * STD * 255
    assert difference.abs().max() <= 2
    metadata = batch["video_metadata"][0]
    assert metadata.frames_indices == [number for read in meta["reads"] for number in read["frames"]]
    assert (metadata.total_num_frames, metadata.fps) == (meta["num_frames"], pytest.approx(meta["fps"]))
    assert metadata.duration == pytest.approx(meta["duration"])


@pytest.mark.parametrize("name", [*SYNTHETIC, "world.mp4"])
def test_decoded_frames_equal_the_original(processor, reference, name):
    golden = load_file(reference / "preprocess" / "video_float16.safetensors")[name]
    frames = load_file(reference / "preprocess" / "video_raw_frames_uint8.safetensors")[name]
    values = processor(frames.flatten(0, 1), do_sample_frames=False, return_tensors="pt").pixel_values_videos
    torch.testing.assert_close(values, golden.float(), atol=2e-3, rtol=0)


def test_a_batch_is_its_videos_one_by_one(processor):
    batch = processor([SHORT, PORTRAIT], return_tensors="pt").pixel_values_videos
    assert torch.equal(batch[0], processor(SHORT, return_tensors="pt").pixel_values_videos[0])
    assert torch.equal(batch[1], processor([[PORTRAIT]], return_tensors="pt").pixel_values_videos[0])


# Which frames are taken


@pytest.mark.parametrize(
    ("total", "fps", "expected"),
    [
        (209, 30.0, [[0, 59], [38, 97], [75, 134], [112, 171], [149, 208]]),
        (165, 30000 / 1001, [[0, 59], [27, 86], [53, 112], [79, 138], [106, 164]]),
        (18, 20.0, [[0, 17]] * 5),
        (1, 30.0, [[0, 0]] * 5),
        (3, 0.1, [[0, 0], [1, 1], [2, 2], [2, 2], [2, 2]]),  # clips between two frames
    ],
)
def test_clips_are_spread_evenly(processor, total, fps, expected):
    assert processor.sample_frames(VideoMetadata(total, fps)).tolist() == expected


def test_number_of_clips_frames_and_crops(processor):
    video = np.random.default_rng(0).integers(0, 256, (100, 12, 20, 3), dtype=np.uint8)
    options = {"size": {"shortest_edge": 12}, "crop_size": {"height": 12, "width": 12}, "return_tensors": "pt"}
    values = processor(video, num_clips=2, num_frames=3, num_crops=1, clip_duration=1.0, fps=25, **options)
    values = grey_levels(values.pixel_values_videos)
    assert values.shape == (1, 2, 3, 3, 12, 12)
    chosen = torch.from_numpy(video[[0, 12, 24, 75, 87, 99]]).permute(0, 3, 1, 2)[..., 4:16]
    torch.testing.assert_close(values[0].transpose(1, 2).flatten(0, 1), chosen.float(), atol=1e-3, rtol=0)
    own = PandaGPTVideoProcessor(num_clips=1, num_crops=1, **{key: options[key] for key in ("size", "crop_size")})
    assert own(video, return_tensors="pt").pixel_values_videos.shape == (1, 1, 3, 2, 12, 12)


@pytest.mark.parametrize(("height", "width"), [(13, 20), (20, 13)])
def test_crops_run_along_the_longer_side(processor, height, width):
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    options = {"do_resize": False, "crop_size": {"height": 8, "width": 8}, "do_normalize": False, "do_rescale": False}
    crops = processor([frame], num_clips=1, num_frames=1, return_tensors="pt", **options).pixel_values_videos[
        0, :, :, 0
    ]
    # The centre is rounded up.
    corners = [(0, 3), (6, 3), (12, 3)] if height > width else [(3, 0), (3, 6), (3, 12)]
    for crop, (top, left) in zip(crops, corners, strict=True):
        assert np.array_equal(crop.permute(1, 2, 0), frame[top : top + 8, left : left + 8])


def test_the_longer_side_is_rounded_down(processor):
    frame = np.zeros((6, 10, 3), np.uint8)  # 10 x 16 2/3
    options = {"size": {"shortest_edge": 10}, "num_crops": 1, "return_tensors": "pt"}
    assert processor([frame], crop_size={"height": 10, "width": 16}, **options).pixel_values_videos.shape[-1] == 16
    with pytest.raises(ValueError, match=r"\(10, 16\) are too small"):
        processor([frame], crop_size={"height": 10, "width": 17}, **options)


# What may be given


def test_frames_of_every_kind_give_the_same(processor):
    frames = np.random.default_rng(0).integers(0, 256, (60, 10, 16, 3), dtype=np.uint8)
    tensor = torch.from_numpy(frames)
    options = {"size": {"shortest_edge": 10}, "crop_size": {"height": 10, "width": 10}, "return_tensors": "pt"}
    expected = processor((frames, 25), **options).pixel_values_videos
    kinds = [
        (tensor, 25),
        (tensor.permute(0, 3, 1, 2), 25),
        ([Image.fromarray(frame) for frame in frames], 25.0),
        (list(frames), 25),
        {"frames": frames, "fps": 25},
        (tensor.float() / 255, 25),
    ]
    values = processor(kinds, **options).pixel_values_videos
    for value in values:
        assert torch.equal(value, expected[0])
    for single in (frames, list(frames), [Image.fromarray(frame) for frame in frames], frames[None]):
        assert torch.equal(processor(single, fps=25, **options).pixel_values_videos, expected)
    metadata = [[{"fps": 25}], [VideoMetadata(60, 25.0)]]
    values = processor([frames, frames], video_metadata=metadata, **options).pixel_values_videos
    assert torch.equal(values, expected.expand_as(values))
    assert not torch.equal(processor((frames, 5), **options).pixel_values_videos, expected)


def test_files_of_every_kind_give_the_same(processor):
    sources = [str(SHORT), SHORT.as_uri(), SHORT.read_bytes(), {"bytes": SHORT.read_bytes(), "path": None}]
    values = processor(sources, return_tensors="pt").pixel_values_videos
    assert torch.equal(values, processor(SHORT, return_tensors="pt").pixel_values_videos.expand_as(values))


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("mp4", "libx264", {"g": 12, "bf": 3}),  # frames are stored in another order than shown
        ("matroska", "libx264", {"g": 12, "bf": 3}),
        ("mpegts", "libx264", {"g": 12, "bf": 3}),  # seeks inexactly
        ("mpeg", "mpeg2video", {"g": 12, "bf": 2}),
        ("h264", "libx264", {"g": 12, "bf": 2}),  # no container, no timestamps
        ("avi", "mpeg4", {"g": 12}),
        ("webm", "libvpx-vp9", {"g": 12}),
        ("gif", "gif", {"pixel_format": "rgb8"}),
    ],
)
def test_the_right_frames_of_every_container(processor, container, codec, options):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    taken = numbers_of(processor, counting_video(container, codec, **options), size=32, crop_size=32)
    expected = [0, 49, 13, 62, 25, 74, 38, 87, 50, 99]
    assert max(abs(one - other) for one, other in zip(taken, expected, strict=True)) <= 1  # lossy codecs


class CountingContainer:
    """A container that counts the frames which are decoded."""

    decoded = 0

    def __init__(self, container):
        self.container = container

    def __getattr__(self, name):
        return getattr(self.container, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.container.close()

    def decode(self, *streams, **kwargs):
        for frame in self.container.decode(*streams, **kwargs):
            CountingContainer.decoded += 1
            yield frame


def test_only_what_leads_to_the_wanted_frames_is_decoded(processor, monkeypatch):
    open_container = _VideoFile._open
    monkeypatch.setattr(_VideoFile, "_open", lambda self: CountingContainer(open_container(self)))
    video = counting_video("mp4", "libx264", num_frames=120, g=10, bf=0)
    taken = numbers_of(processor, video, size=32, crop_size=32, num_clips=2, num_frames=1)
    assert taken == pytest.approx([0, 70], abs=1)
    assert 2 <= CountingContainer.decoded <= 20


def trimmed_video(num_hidden: int) -> bytes:
    """A counting video of 100 frames, the first of which an edit list hides. The key frames are every 12th."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"avoid_negative_ts": "disabled"}) as output:
        stream = output.add_stream("mpeg4", rate=25, options={"g": "12", "sc_threshold": "1000000000"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        pictures = (np.full((32, 48, 3), 2 * number, np.uint8) for number in range(100))
        frames = [av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in pictures]
        for packet in [packet for frame in [*frames, None] for packet in stream.encode(frame)]:
            hidden = int(num_hidden / 25 / packet.time_base)
            packet.pts, packet.dts = packet.pts - hidden, packet.dts - hidden
            output.mux(packet)
    return buffer.getvalue()


@pytest.mark.parametrize("num_hidden", [6, 20])  # the second hides a whole group of frames, which is never read
def test_a_trimmed_recording_begins_where_it_is_shown(processor, num_hidden):
    video = trimmed_video(num_hidden)
    (metadata,) = processor(video, return_metadata=True)["video_metadata"]
    assert metadata.total_num_frames == 100 - num_hidden
    options = {"num_clips": 2, "clip_duration": 1.0, "size": 32, "crop_size": 32}
    expected = [num_hidden, num_hidden + 24, 75, 99]
    assert numbers_of(processor, video, **options) == pytest.approx(expected, abs=3)  # a lossy codec


def test_endless_strips_are_refused_before_they_are_scaled(processor):
    with pytest.raises(ValueError, match=r"^videos\[0\] .*1 x 5000 pixels.*1000 times"):
        processor(np.zeros((1, 5000, 1, 3), np.uint8))


def test_a_rotated_recording_is_turned_upright(processor):
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, 24:] = 255  # bright on the right
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for _ in range(5):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    data = bytearray(buffer.getvalue())
    # The track header's matrix says: turn clockwise by 90 degrees, as telephones write it.
    matrix = data.index(b"tkhd") + 44
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 32 << 16, 0, 1 << 30)
    options = {"size": 32, "crop_size": 32, "num_crops": 1, "num_clips": 1, "do_normalize": False}
    batch = processor(bytes(data), return_tensors="pt", return_metadata=True, **options)
    assert (batch["video_metadata"][0].height, batch["video_metadata"][0].width) == (48, 32)
    centre = batch.pixel_values_videos[0, 0, :, 0]
    assert centre[:, :12].max() < 0.1 and centre[:, 20:].min() > 0.9  # right becomes bottom


# Errors


def test_broken_videos_are_named(processor):
    data = PORTRAIT.read_bytes()
    for broken in (data[: len(data) // 2], b"no video", (MEDIA / "short_16k_0p7s.wav").read_bytes()):
        with pytest.raises(ValueError, match=r"^videos\[1\] \(\d+ bytes\): "):
            processor([SHORT, broken])
    with pytest.raises(ValueError, match=r"^videos\[1\] \('no/such.mp4'\): no such file"):
        processor([SHORT, "no/such.mp4"])
    with pytest.raises(TypeError, match=r"^videos\[0\] \(int\)"):
        processor([3])


def test_a_video_that_ends_too_early_is_named(processor, tmp_path):
    path = tmp_path / "indexed_first.mp4"
    with av.open(PORTRAIT) as source, av.open(path, "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            packet.stream = stream
            if packet.size:
                target.mux(packet)
    data = path.read_bytes()
    assert processor(data, return_tensors="pt").pixel_values_videos.shape[1] == 15
    path.write_bytes(data[: -len(data) // 4])
    with pytest.raises(ValueError, match=r"^videos\[0\] .*indexed_first.mp4.*truncated: it holds \d+ of 165 frames"):
        processor(path)


@pytest.mark.parametrize(
    ("video", "options", "message"),
    [
        (np.zeros((0, 9, 9, 3), np.uint8), {}, "no frames"),
        (np.zeros((9, 9, 3), np.uint8), {}, "frames, height, width"),
        (np.zeros((5, 300, 300, 3), np.uint8), {"fps": 0.0}, "frame rate"),
        (np.zeros((5, 300, 300, 3), np.uint8), {"do_sample_frames": False}, "whole clips"),
        (np.zeros((5, 300, 300, 3), np.uint8), {"num_clips": 0}, "at least one clip"),
        (np.zeros((5, 300, 300, 3), np.uint8), {"num_frames": 0}, "num_frames"),
        (np.zeros((5, 300, 300, 3), np.uint8), {"num_crops": 2}, "num_crops"),
        (np.zeros((5, 100, 300, 3), np.uint8), {"do_resize": False}, "too small"),
        (np.full((5, 300, 300, 3), 300), {}, "0 to 255"),
        ([Image.new("RGB", (9, 9)), Image.new("RGB", (8, 9))], {}, "differ in shape"),
    ],
)
def test_frames_that_are_no_video_are_errors(processor, video, options, message):
    with pytest.raises(ValueError, match=rf"^videos\[0\].*{message}"):
        processor((video, None) if isinstance(video, np.ndarray) and video.ndim == 3 else [video], **options)


def test_no_video_and_unknown_keywords_are_errors(processor):
    with pytest.raises(ValueError, match="videos is empty"):
        processor([])
    with pytest.raises(Exception, match="num_clip"):
        processor(SHORT, num_clip=3)


def test_without_pyav_the_error_says_what_to_install(processor, monkeypatch):
    monkeypatch.setattr("processing.video_processing_pandagpt.av", None)
    with pytest.raises(ImportError, match="pip install av"):
        processor(SHORT)
    frames = np.zeros((5, 9, 9, 3), np.uint8)
    assert processor(frames, return_tensors="pt").pixel_values_videos.shape == (1, 15, 3, 2, 224, 224)


# The library's conventions


def test_round_trip_through_a_folder(tmp_path):
    processor = PandaGPTVideoProcessor(num_clips=2, num_crops=1, size={"shortest_edge": 40}, crop_size=40, fps=12.5)
    processor.save_pretrained(tmp_path)
    assert PandaGPTVideoProcessor.from_pretrained(tmp_path).to_dict() == processor.to_dict()
    loaded = AutoVideoProcessor.from_pretrained(tmp_path, trust_remote_code=True)
    assert type(loaded).__name__ == "PandaGPTVideoProcessor" and loaded.to_dict() == processor.to_dict()
    ours, theirs = (each(SHORT, return_tensors="pt").pixel_values_videos for each in (processor, loaded))
    assert ours.shape == (1, 2, 3, 2, 40, 40) and torch.equal(ours, theirs)


def test_processors_travel_to_workers(processor):
    copy = pickle.loads(pickle.dumps(processor))
    frames = np.zeros((5, 9, 9, 3), np.uint8)
    assert torch.equal(
        copy(frames, return_tensors="pt").pixel_values_videos,
        processor(frames, return_tensors="pt").pixel_values_videos,
    )


def test_the_last_clip_ends_with_the_video():
    timepoints = clip_timepoints(3.3, 2.0, 3)
    assert timepoints[0] == (0, 2) and timepoints[-1][1] == Fraction(3.3)
    assert math.floor(timepoints[1][0] * 16000) == 10399  # not 10400: 3.3 is a little less as a float
