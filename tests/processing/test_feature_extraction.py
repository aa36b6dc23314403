# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Sounds and motion: the original's log-mel clips, any format, rate and channels, and clear errors."""

import io
import json
import math
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoFeatureExtractor

from processing import PandaGPTFeatureExtractor, PandaGPTImuFeatureExtractor
from processing.feature_extraction_pandagpt import resample


FIXTURES = Path(__file__).parents[1] / "fixtures" / "preprocess"
MEDIA = FIXTURES / "media"
SHORT = MEDIA / "short_16k_0p7s.wav"
STEREO = MEDIA / "stereo_48k_3p3s.wav"
GOLDEN = load_file(FIXTURES / "audio.safetensors")
PADDING = 0.46706  # a frame after the end: (0 + 4.268) / 9.138


@pytest.fixture(scope="module")
def audio():
    return PandaGPTFeatureExtractor()


@pytest.fixture(scope="module")
def imu():
    return PandaGPTImuFeatureExtractor()


@pytest.fixture(scope="module")
def tone() -> np.ndarray:
    """A second of two tones, (2, 16000), float32."""
    time = np.arange(16000) / 16000
    return np.stack([0.5 * np.sin(2 * np.pi * 440 * time), 0.3 * np.sin(2 * np.pi * 1000 * time)]).astype(np.float32)


def features(extractor, sounds, **kwargs) -> torch.Tensor:
    return extractor(sounds, return_tensors="pt", **kwargs).input_features


def assert_golden(values: torch.Tensor, golden: torch.Tensor) -> None:
    assert values.shape == golden.shape == (1, 3, 1, 128, 204) and values.dtype == torch.float32
    torch.testing.assert_close(values, golden, atol=1e-3, rtol=0)
    assert (values - golden).abs().mean() <= 1e-5


# Parity with the original


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_file_equals_the_original(audio, name):
    assert_golden(features(audio, MEDIA / name), GOLDEN[name])


@pytest.mark.parametrize("name", ["dog_audio.wav", "car_audio.wav", "bird_audio.wav", "synthetic/long_44k1_12s.wav"])
def test_recordings_equal_the_original(audio, reference, name):
    golden = load_file(reference / "preprocess" / "audio.safetensors")[name]
    assert_golden(features(audio, reference / "assets" / name), golden)


def test_a_batch_of_many_lengths_is_its_sounds_one_by_one(audio):
    batch = features(audio, [MEDIA / name for name in sorted(GOLDEN)])
    for row, name in zip(batch, sorted(GOLDEN), strict=True):
        torch.testing.assert_close(row, GOLDEN[name][0], atol=1e-3, rtol=0)


def test_the_mean_is_subtracted_in_place_over_all_channels(audio):
    """The golden numbers say how wrong it goes otherwise: 0.5 where an offset drifts."""
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")
    samples, rate = soundfile.read(MEDIA / "stereo_16k_2p5s.wav", dtype="float32", always_2d=True)
    golden = GOLDEN["stereo_16k_2p5s.wav"]
    assert_golden(features(audio, (samples.T, rate)), golden)
    first_alone = features(audio, (samples[:, 0], rate))
    downmixed = features(audio, (samples.mean(axis=1), rate))
    assert (first_alone - golden).abs().max() > 0.01 and (downmixed - golden).abs().max() > 0.1


def test_frames_after_the_end_are_padded_before_normalisation(audio):
    values = features(audio, SHORT)
    assert values[..., 68:].unique().tolist() == pytest.approx([PADDING], abs=1e-4)  # 1 + (11200 - 400) // 160 = 68
    assert features(audio, SHORT, do_normalize=False)[..., 68:].abs().max() == 0
    assert (features(audio, SHORT, do_normalize=False)[..., :68] != 0).all()


def test_the_first_frame_by_hand(audio):
    """One frame computed with numpy from the textbook, in double precision."""
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 400)
    frame = samples - samples.mean()
    frame = (frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])) * np.hanning(400)
    power = np.abs(np.fft.rfft(frame, 512)) ** 2
    mel = 1127 * np.log(1 + np.arange(257) * 16000 / 512 / 700)
    edges = np.linspace(1127 * np.log(1 + 20 / 700), 1127 * np.log(1 + 8000 / 700), 130)
    slopes = np.minimum(
        (mel[:, None] - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - mel[:, None]) / np.diff(edges)[1:]
    )
    expected = np.log(np.maximum(power @ slopes.clip(0), np.finfo(np.float32).eps))
    values = features(audio, (samples, 16000), do_normalize=False, num_clips=1)
    np.testing.assert_allclose(values[0, 0, 0, :, 0], expected, atol=1e-3)
    assert values[..., 1:].abs().max() == 0


# Resampling


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 44101, 48000, 96000])
def test_resampling_keeps_a_tone(rate):
    seconds = 0.5
    time = torch.arange(int(rate * seconds), dtype=torch.float64) / rate
    tones = torch.stack([torch.sin(2 * math.pi * 500 * time), torch.cos(2 * math.pi * 900 * time)]).float()
    resampled = resample(tones, rate, 16000)
    assert resampled.shape == (2, math.ceil(tones.shape[1] * 16000 / rate))
    time = torch.arange(resampled.shape[1], dtype=torch.float64) / 16000
    expected = torch.stack([torch.sin(2 * math.pi * 500 * time), torch.cos(2 * math.pi * 900 * time)]).float()
    torch.testing.assert_close(resampled[:, 100:-100], expected[:, 100:-100], atol=2e-3, rtol=0)


def test_resampling_removes_what_the_new_rate_cannot_hold():
    time = torch.arange(24000, dtype=torch.float64) / 48000
    assert resample(torch.sin(2 * math.pi * 12000 * time)[None].float(), 48000, 16000)[:, 100:-100].abs().max() < 5e-3


# What may be given


def test_every_kind_of_sound_gives_the_same(audio, tone):
    integers = (tone * 32768).round().astype(np.int16)
    tone = integers.astype(np.float32) / 32768
    kinds = [
        (tone, 16000),
        (torch.from_numpy(tone), 16000.0),
        (tone.astype(np.float64), 16000),
        (integers, 16000),
        (integers.astype(np.int32) * 65536, 16000),
        {"array": tone, "sampling_rate": 16000, "path": None},
    ]
    values = features(audio, kinds)
    for value in values:
        torch.testing.assert_close(value, values[0], atol=1e-5, rtol=0)
    for single in (tone, torch.from_numpy(tone), [tone], tone[None]):
        assert torch.equal(features(audio, single, sampling_rate=16000)[0], values[0])
    mono = features(audio, tone[0], sampling_rate=16000)
    assert torch.equal(features(audio, tone[0].tolist(), sampling_rate=16000), mono)
    assert torch.equal(features(audio, tone[:1], sampling_rate=16000), mono)


def test_given_arrays_are_not_changed(audio):
    offset = np.full((2, 48000), 0.5, np.float32)
    tensor = torch.from_numpy(offset.copy())
    features(audio, [(offset, 16000), (tensor, 16000)])
    assert (offset == 0.5).all() and (tensor == 0.5).all()


def test_files_of_every_kind_give_the_same(audio):
    values = features(audio, [str(SHORT), SHORT, SHORT.as_uri(), SHORT.read_bytes(), {"bytes": SHORT.read_bytes()}])
    for value in values:
        assert torch.equal(value, values[0])


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("mp4", "aac", 48000),
        ("mp3", "libmp3lame", 44100),
        ("ogg", "libopus", 48000),
        ("flac", "flac", 44100),
        ("matroska", "pcm_s16le", 22050),
    ],
)
def test_compressed_sounds_keep_their_channels(audio, container, codec, rate):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    time = np.arange(2 * rate) / rate
    channels = np.stack([0.5 * np.sin(2 * np.pi * 440 * time), 0.4 * np.sin(2 * np.pi * 3000 * time)]).astype(
        np.float32
    )
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout="stereo")
        frame.sample_rate = rate
        for piece in av.AudioResampler(format=stream.format, layout="stereo", rate=rate).resample(frame):
            output.mux(stream.encode(piece))
        output.mux(stream.encode())
    values = features(audio, buffer.getvalue(), num_clips=1)[0, 0, 0, :, 50:150].mean(dim=1)
    # The filter bank sees the first channel alone: its tone, and nothing of the second channel's.
    expected = features(audio, (channels, rate), num_clips=1)[0, 0, 0, :, 50:150].mean(dim=1)
    assert values.argmax() == expected.argmax()
    second = features(audio, (channels[1], rate), num_clips=1)[0, 0, 0, :, 50:150].mean(dim=1).argmax()
    assert values[values.argmax()] - values[second] > 0.5


def test_pyav_reads_what_soundfile_reads(audio, monkeypatch):
    pytest.importorskip("av", reason="PyAV is not installed")
    by_soundfile = features(audio, STEREO)
    monkeypatch.setattr("processing.feature_extraction_pandagpt.soundfile", None)
    torch.testing.assert_close(features(audio, STEREO), by_soundfile, atol=1e-4, rtol=0)
    monkeypatch.setattr("processing.feature_extraction_pandagpt.av", None)
    with pytest.raises(ImportError, match="pip install soundfile av"):
        audio(STEREO)


# Errors


def test_sounds_under_25_ms_are_refused(audio):
    with pytest.raises(
        ValueError, match=r"^audio\[1\] \('.*tiny_16k_0p02s.wav'\): the sound is 20 ms long; at least 25 ms"
    ):
        audio([SHORT, MEDIA / "tiny_16k_0p02s.wav"])
    with pytest.raises(ValueError, match=r"24\.9375 ms"):
        audio((np.zeros(399, np.float32), 16000))
    assert features(audio, (np.zeros(400, np.float32), 16000)).shape == (1, 3, 1, 128, 204)


def test_broken_sounds_are_named(audio):
    data = STEREO.read_bytes()
    for broken in (data[: len(data) // 2], b"no sound at all", (MEDIA / "gray.png").read_bytes()):
        with pytest.raises(ValueError, match=r"^audio\[1\] \(\d+ bytes\): "):
            audio([SHORT, broken])
    with pytest.raises(ValueError, match=r"truncated: 316822 of 633644 bytes"):
        audio(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"^audio\[0\] .*no sound track"):
        audio(MEDIA / "short_0p9s.mp4")
    with pytest.raises(ValueError, match=r"^audio\[0\] \('no/such.wav'\): no such file"):
        audio("no/such.wav")


def test_a_header_with_an_absurd_rate_is_refused(audio):
    data = bytearray(SHORT.read_bytes())
    for rate in (3, 2**31 - 1):
        struct.pack_into("<I", data, 24, rate)
        with pytest.raises(ValueError, match=r"audio\[0\].*rate must lie between"):
            audio(bytes(data))


@pytest.mark.parametrize(
    ("sound", "error", "message"),
    [
        (np.zeros(800, np.float32), ValueError, "needs its rate"),
        ((np.zeros(800, np.float32), 0), ValueError, "between 1000 and"),
        ((np.zeros(800, np.float32), -16000), ValueError, "between 1000 and"),
        ((np.zeros(800, np.float32), 16000.5), ValueError, "whole Hz"),
        ((np.zeros(800, np.float32), float("nan")), ValueError, "whole Hz|NaN"),
        ((np.zeros(0, np.float32), 16000), ValueError, "no samples"),
        ((np.zeros((800, 2), np.float32), 16000), ValueError, r"\(channels, samples\), got \(800, 2\)"),
        ((np.zeros((1, 2, 800), np.float32), 16000), ValueError, r"got \(1, 2, 800\)"),
        ((np.zeros(800, np.uint8), 16000), TypeError, "uint8"),
        ((np.full(800, np.nan, np.float32), 16000), ValueError, "not finite"),
        ((np.full(800, np.inf), 16000), ValueError, "not finite"),
        (object(), TypeError, "got object"),
    ],
)
def test_what_is_no_sound_is_an_error(audio, sound, error, message):
    with pytest.raises(error, match=rf"^audio\[0\].*({message})"):
        audio([sound])


def test_no_sound_bad_clips_and_unknown_keywords_are_errors(audio, tone):
    with pytest.raises(ValueError, match="audio is empty"):
        audio([])
    with pytest.raises(ValueError, match="at least one clip"):
        audio((tone, 16000), num_clips=0)
    with pytest.raises(ValueError, match="16000 Hz"):
        PandaGPTFeatureExtractor(sampling_rate=44100)
    with pytest.raises(TypeError, match="num_clip"):
        audio((tone, 16000), num_clip=1)
    assert audio((tone, 16000), padding=True, truncation=False)["input_features"].shape == (1, 3, 1, 128, 204)


# Motion


@pytest.fixture
def recording() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 2000)).astype(np.float32)


def write_csv(values: np.ndarray, header: str = "") -> bytes:
    buffer = io.StringIO()
    np.savetxt(buffer, values.T, delimiter=",", header=header, comments="", fmt="%.9g")
    return buffer.getvalue().encode()


def write_npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def test_every_kind_of_recording_gives_the_same(imu, recording, tmp_path):
    path = tmp_path / "imu.csv"
    path.write_bytes(write_csv(recording, "ax,ay,az,gx,gy,gz"))
    kinds = [
        recording,
        torch.from_numpy(recording),
        recording.astype(np.float64),
        (recording, 400),
        {"array": recording, "sampling_rate": 400.0},
        write_npy(recording),
        write_csv(recording),
        path,
    ]
    values = imu(kinds, return_tensors="pt").imu_values
    assert values.shape == (8, 6, 2000) and values.dtype == torch.float32
    for value in values:
        torch.testing.assert_close(value, torch.from_numpy(recording), atol=1e-6, rtol=0)
    assert torch.equal(imu(np.stack([recording] * 2), return_tensors="pt").imu_values, values[:2])


@pytest.mark.parametrize("rate", [50, 200, 400, 1000, 333.3])
def test_the_middle_is_interpolated_linearly(imu, rate):
    length = round(8 * rate)
    middle = (length - 1) / 2 / rate
    time = np.arange(length) / rate - middle
    ramp = np.arange(1, 7)[:, None] * time  # straight lines survive linear interpolation
    values = imu((ramp, rate), return_tensors="pt").imu_values[0]
    expected = torch.arange(1, 7)[:, None] * (torch.arange(2000) - 999.5) / 400
    edge = math.ceil(400 / rate)  # the outermost samples are held
    torch.testing.assert_close(values[:, edge:-edge], expected[:, edge:-edge], atol=2e-2, rtol=0)
    assert (values[:, 0] - expected[:, 0]).abs().max() <= 6 / rate


def test_a_duration_of_ones_own():
    short = PandaGPTImuFeatureExtractor(duration=1.0, sampling_rate=100)
    assert short((np.zeros((6, 75)), 50), return_tensors="np").imu_values.shape == (1, 6, 100)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.zeros((2000, 6)), ValueError, r"shape \(6, T\), got \(2000, 6\); transpose it"),
        (np.zeros((3, 2000)), ValueError, r"shape \(6, T\), got \(3, 2000\)"),
        (np.zeros(2000), ValueError, r"shape \(6, T\), got \(2000,\)"),
        (np.zeros((6, 1999)), ValueError, "1999 samples without a rate"),
        ((np.zeros((6, 999)), 200), ValueError, r"lasts 4\.995 s; at least 5 s"),
        ((np.zeros((6, 2000)), 0), ValueError, "rate must be positive"),
        (np.full((6, 2000), np.nan), ValueError, "not finite"),
        (b"\xff\xfe\x00", ValueError, "neither a .npy file nor CSV"),
        (b"1,2,3\n4,5", ValueError, "."),
        (b"1,2,3,4,5,6\n1,2,3,4,5,six", ValueError, "six"),
        (b"ax,ay\n", ValueError, "shape"),
        ("no/such.npy", ValueError, "no such file"),
        (7, TypeError, "got int"),
    ],
)
def test_what_is_no_recording_is_an_error(imu, recording, given, error, message):
    with pytest.raises(error, match=rf"^imu\[1\].*{message}"):
        imu([recording, given])


def test_no_recording_is_an_error(imu):
    with pytest.raises(ValueError, match="imu is empty"):
        imu([])
    with pytest.raises(TypeError, match="rate_of_sampling"):
        imu(np.zeros((6, 2000)), rate_of_sampling=3)


# The library's conventions


@pytest.mark.parametrize(
    ("extractor", "medium"),
    [
        (PandaGPTFeatureExtractor(num_clips=2, do_normalize=False, mean=1.5, max_length=100), SHORT),
        (PandaGPTImuFeatureExtractor(duration=2.5), (np.ones((6, 500)), 100)),
    ],
)
def test_round_trip_through_a_folder(extractor, medium, tmp_path):
    extractor.save_pretrained(tmp_path)
    assert type(extractor).from_pretrained(tmp_path).to_dict() == extractor.to_dict()
    assert json.loads((tmp_path / "preprocessor_config.json").read_text())["feature_extractor_type"]
    loaded = AutoFeatureExtractor.from_pretrained(tmp_path, trust_remote_code=True)
    assert type(loaded).__name__ == type(extractor).__name__ and loaded.to_dict() == extractor.to_dict()
    name = extractor.model_input_names[0]
    ours, theirs = (each(medium, return_tensors="pt")[name] for each in (extractor, loaded))
    assert torch.equal(ours, theirs)


def test_extractors_travel_to_workers(audio, imu):
    assert torch.equal(features(pickle.loads(pickle.dumps(audio)), SHORT), features(audio, SHORT))
    assert pickle.loads(pickle.dumps(imu)).to_dict() == imu.to_dict()


def test_rates_may_be_numbers_of_numpy():
    samples, motion = np.random.default_rng(0).uniform(-1, 1, (1, 8000)), np.ones((6, 2000), np.float32)
    audio, imu = PandaGPTFeatureExtractor(), PandaGPTImuFeatureExtractor()
    expected = audio((samples, 16000), return_tensors="pt").input_features
    assert torch.equal(audio((samples, np.int64(16000)), return_tensors="pt").input_features, expected)
    assert imu((motion, np.float64(400)), return_tensors="pt").imu_values.shape == (1, 6, 2000)


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_motion_of_too_few_samples_is_an_error(rate):
    with pytest.raises(ValueError, match=rf"^imu\[0\].*rate of {rate} Hz leaves . samples.*at least 2"):
        PandaGPTImuFeatureExtractor()(np.ones((6, 10), np.float32), sampling_rate=rate)
