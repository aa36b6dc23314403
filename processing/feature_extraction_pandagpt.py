# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Sound to log-mel clips, and motion (IMU) to 2000 samples of six channels.

Notable:
- All of it is plain torch: the windowed-sinc resampling and the Kaldi filter bank follow torchaudio's defaults, which
  the published checkpoints were trained with, without needing torchaudio.
- Files are read by soundfile and, where it cannot (m4a, the sound track of an mp4), by PyAV, always with all channels.
- The original subtracts each clip's mean from the waveform itself, so overlapping clips see one another's subtraction;
  and its filter bank sees only the first channel. Both are kept.
"""

import csv
import functools
import io
import math
import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
import torch
from transformers.feature_extraction_sequence_utils import SequenceFeatureExtractor
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import AudioKwargs
from transformers.utils import TensorType

from .fetch_media import fetch, flatten, is_rated, naming, open_media


try:
    import soundfile
except (ImportError, OSError):  # OSError: the package without its C library
    soundfile = None  # type: ignore[assignment]

try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]


SAMPLING_RATE = 16000
FRAME_LENGTH = 400  # 25 ms
FRAME_SHIFT = 160  # 10 ms
FFT_LENGTH = 512
LOWEST_FREQUENCY, HIGHEST_FREQUENCY = 20.0, 8000.0
PREEMPHASIS = 0.97

# torchaudio's defaults
SINC_ZERO_CROSSINGS = 6
SINC_ROLLOFF = 0.99

LOWEST_RATE, HIGHEST_RATE = 1000, 768_000  # in Hz; anything beyond comes from a broken header


class PandaGPTAudioKwargs(AudioKwargs, total=False):
    """
    num_clips (`int`, *optional*, defaults to 3):
        Clips of a sound.
    do_normalize (`bool`, *optional*, defaults to `True`):
        Whether to subtract the mean and divide by the standard deviation.
    """

    num_clips: int | None
    do_normalize: bool | None


class PandaGPTFeatureExtractor(SequenceFeatureExtractor):
    """Sounds as log-mel clips for ImageBind's audio encoder, as the original's `load_and_transform_audio_data`.

    A sound is resampled to 16 kHz channel by channel; clips are spread evenly from its start to its end (a sound
    shorter than a clip is taken whole, as often as there are clips); from each clip, in order and in place, the mean
    over all channels is subtracted; a Kaldi filter bank (25 ms Hann window, 10 ms shift) of the first channel gives
    log-mel frames, which are padded with zeros or cut to `max_length` and then normalised by `mean` and `std`.

    Args:
        feature_size (`int`, *optional*, defaults to 1):
            Values per sample of a waveform.
        sampling_rate (`int`, *optional*, defaults to 16000):
            Rate in Hz at which features are computed; no other is possible.
        padding_value (`float`, *optional*, defaults to 0.0):
            Log-mel value of the frames after the end of a clip, before normalisation.
        num_mel_bins (`int`, *optional*, defaults to 128):
            Filters between 20 Hz and 8 kHz.
        max_length (`int`, *optional*, defaults to 204):
            Frames of a clip.
        num_clips (`int`, *optional*, defaults to 3):
            Clips of a sound.
        clip_duration (`float`, *optional*, defaults to 2.0):
            Seconds of a clip.
        do_normalize (`bool`, *optional*, defaults to `True`):
            Whether to subtract `mean` and divide by `std`.
        mean (`float`, *optional*, defaults to -4.268) and std (`float`, *optional*, defaults to 9.138):
            AudioSet's, over log-mel values.
        padding_side (`str`, *optional*, defaults to `"left"`):
            Clips need no padding; the library's pipelines pad text on the side that is given here.

    Raises:
        `ValueError`: if `sampling_rate` is not 16000.
    """

    valid_kwargs = PandaGPTAudioKwargs
    model_input_names = ["input_features"]

    def __init__(
        self,
        feature_size: int = 1,
        sampling_rate: int = SAMPLING_RATE,
        padding_value: float = 0.0,
        num_mel_bins: int = 128,
        max_length: int = 204,
        num_clips: int = 3,
        clip_duration: float = 2.0,
        do_normalize: bool = True,
        mean: float = -4.268,
        std: float = 9.138,
        padding_side: str = "left",
        return_attention_mask: bool = False,
        **kwargs: Any,
    ):
        super().__init__(
            feature_size,
            sampling_rate,
            padding_value,
            padding_side=padding_side,
            return_attention_mask=return_attention_mask,
            **kwargs,
        )
        if sampling_rate != SAMPLING_RATE:
            raise ValueError(f"ImageBind hears at {SAMPLING_RATE} Hz, got sampling_rate={sampling_rate}")
        self.num_mel_bins = num_mel_bins
        self.max_length = max_length
        self.num_clips = num_clips
        self.clip_duration = clip_duration
        self.do_normalize = do_normalize
        self.mean = mean
        self.std = std

    def __call__(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        return_tensors: str | TensorType | None = None,
        num_clips: int | None = None,
        do_normalize: bool | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """
        Args:
            audio:
                One sound or a list of them, each a path, URL, base64 string, data URL, bytes, an array or tensor
                (samples,) or (channels, samples) of floats in [-1, 1] or 16- or 32-bit integers, a tuple
                (array, rate), or what a `datasets` column holds (`{"array": ..., "sampling_rate": ...}` or the
                undecoded `{"bytes": ..., "path": ...}`).
            sampling_rate (`int`, *optional*):
                Rate in Hz of arrays that come without their own. A file knows its rate.
            return_tensors (`str`, *optional*):
                `"pt"` or `"np"`.
            num_clips (`int`, *optional*), do_normalize (`bool`, *optional*):
                In place of the constructor's.

        Returns:
            [`BatchFeature`] with `input_features` (sounds, clips, 1, 128, 204), float32.

        Raises:
            `ValueError`: if a sound cannot be read, is shorter than 25 ms, or holds values that are not finite; if an
                array comes without a rate. The message names the sound's position.
        """
        _check_keywords(kwargs, AudioKwargs, "padding is not needed: every clip has the same length")
        num_clips = self.num_clips if num_clips is None else num_clips
        clips: list[torch.Tensor] = []
        for position, sound in enumerate(flatten(audio, "audio")):
            with naming("audio", position, sound):
                waveform = resample(*_read_sound(sound, sampling_rate), SAMPLING_RATE)
                clips += self._cut(waveform, num_clips)
        features = self._log_mel(clips)
        if self.do_normalize if do_normalize is None else do_normalize:
            features = (features - self.mean) / self.std
        features = features.transpose(1, 2).unflatten(0, (-1, num_clips)).unsqueeze(2)
        return _batch("input_features", features, return_tensors)  # (sounds, clips, 1, mel bins, frames)

    def _cut(self, waveform: torch.Tensor, num_clips: int) -> list[torch.Tensor]:
        """Cuts a waveform (channels, samples) into clips (samples,) of its first channel. Changes the waveform."""
        length = waveform.shape[1]
        if length < FRAME_LENGTH:
            milliseconds = 1000 * length / SAMPLING_RATE
            raise ValueError(f"the sound is {milliseconds:g} ms long; at least 25 ms are needed")
        clips = []
        for start, end in clip_timepoints(length / SAMPLING_RATE, self.clip_duration, num_clips):
            clip = waveform[:, int(start * SAMPLING_RATE) : int(end * SAMPLING_RATE)]
            clip -= clip.mean()
            clips.append(clip[0].clone())
        return clips

    def _log_mel(self, clips: list[torch.Tensor]) -> torch.Tensor:
        """Kaldi's filter bank of waveforms of any lengths: (clips, max_length, mel bins), padded, not normalised."""
        if not clips:
            raise ValueError("audio is empty: give at least one sound")
        samples = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
        num_frames = torch.tensor([1 + (len(clip) - FRAME_LENGTH) // FRAME_SHIFT for clip in clips])
        frames = samples.unfold(1, FRAME_LENGTH, FRAME_SHIFT)[:, : self.max_length]
        frames = frames - frames.mean(dim=-1, keepdim=True)
        # Straight into frames of the transform's length: these few passes over memory are most of the cost.
        padded = frames.new_zeros(*frames.shape[:2], FFT_LENGTH)
        emphasised = padded[..., :FRAME_LENGTH]
        torch.sub(frames[..., 1:], frames[..., :-1], alpha=PREEMPHASIS, out=emphasised[..., 1:])
        emphasised[..., 0] = frames[..., 0] * (1 - PREEMPHASIS)
        emphasised *= torch.hann_window(FRAME_LENGTH, periodic=False)
        spectrum = torch.fft.rfft(padded)
        power = spectrum.real.square() + spectrum.imag.square()
        filters = kaldi_mel_filters(self.num_mel_bins)
        log_mel = (power @ filters).clamp_(min=torch.finfo(torch.float32).eps).log_()
        log_mel = torch.nn.functional.pad(log_mel, (0, 0, 0, self.max_length - log_mel.shape[1]))
        beyond_end = torch.arange(self.max_length) >= num_frames[:, None]
        return log_mel.masked_fill(beyond_end[..., None], self.padding_value)


class PandaGPTImuFeatureExtractor(SequenceFeatureExtractor):
    """Motion for ImageBind's IMU encoder: the middle 5 s of six channels as 2000 samples. **Untested by its authors.**

    ImageBind reads accelerometer x, y, z and gyroscope x, y, z over 5 s as 2000 steps (Ego4D). Of a longer recording
    the middle `duration` seconds are taken and interpolated linearly, sample centre to sample centre, ends held; a
    recording with more than 400 samples a second is best low-passed beforehand. Nothing is normalised (the paper
    states none).

    Args:
        feature_size (`int`, *optional*, defaults to 6):
            Channels.
        sampling_rate (`int`, *optional*, defaults to 400):
            Rate in Hz of what is returned.
        padding_value (`float`, *optional*, defaults to 0.0):
            Unused: nothing is padded.
        duration (`float`, *optional*, defaults to 5.0):
            Seconds that are returned.
    """

    model_input_names = ["imu_values"]

    def __init__(
        self,
        feature_size: int = 6,
        sampling_rate: int = 400,
        padding_value: float = 0.0,
        duration: float = 5.0,
        return_attention_mask: bool = False,
        **kwargs: Any,
    ):
        super().__init__(
            feature_size, sampling_rate, padding_value, return_attention_mask=return_attention_mask, **kwargs
        )
        self.duration = duration

    def __call__(
        self,
        imu: Any,
        sampling_rate: float | None = None,
        return_tensors: str | TensorType | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """
        Args:
            imu:
                One recording or a list of them, each a `.npy` file (6, T) or a `.csv` file of T rows and 6 columns
                (a header is optional) by path, URL, base64 string, data URL or bytes, an array or tensor (6, T), a
                tuple (array, rate), or `{"array": ..., "sampling_rate": ...}`.
            sampling_rate (`float`, *optional*):
                Rate in Hz of recordings that come without their own. Without any rate a recording of exactly 2000
                samples is taken as it is.
            return_tensors (`str`, *optional*):
                `"pt"` or `"np"`.

        Returns:
            [`BatchFeature`] with `imu_values` (n, 6, 2000), float32.

        Raises:
            `ValueError`: if a recording cannot be read, is not (6, T), holds values that are not finite, has no rate,
                or is shorter than 5 s. The message names its position.
        """
        _check_keywords(kwargs, AudioKwargs, "every recording gets the same length")
        recordings = []
        for position, recording in enumerate(flatten(imu, "imu")):
            with naming("imu", position, recording):
                recordings.append(self._middle(*_read_imu(recording, sampling_rate, self.feature_size)))
        if not recordings:
            raise ValueError("imu is empty: give at least one recording")
        return _batch("imu_values", torch.stack(recordings), return_tensors)

    def _middle(self, values: torch.Tensor, rate: float | None) -> torch.Tensor:
        num_samples = round(self.duration * self.sampling_rate)
        length = values.shape[1]
        if rate is None:
            if length != num_samples:
                raise ValueError(
                    f"{length} samples without a rate; give sampling_rate, or exactly {num_samples} samples"
                )
            return values
        needed = round(self.duration * rate)
        if needed < 2:
            raise ValueError(
                f"a rate of {rate:g} Hz leaves {needed} samples of {self.duration:g} s; at least 2 are needed"
            )
        if length < needed:
            raise ValueError(f"the recording lasts {length / rate:g} s; at least {self.duration:g} s are needed")
        start = (length - needed) // 2
        middle = values[None, :, start : start + needed]
        return torch.nn.functional.interpolate(middle, size=num_samples, mode="linear", align_corners=False)[0]


def clip_timepoints(duration: float, clip_duration: float, num_clips: int) -> list[tuple[Fraction, Fraction]]:
    """Returns start and end in seconds of clips that are spread evenly over a medium, the last one ending with it.

    Exact fractions of the float duration: the original cuts them to samples and frames without rounding, so that a
    duration of 3.3 s (a little less as a float) starts its second clip at sample 10399, not 10400.
    """
    if num_clips < 1 or clip_duration <= 0:
        raise ValueError(f"expected at least one clip of a positive duration, got {num_clips} of {clip_duration} s")
    clip = Fraction(clip_duration)
    step = max(Fraction(duration) - clip, Fraction(0)) / max(num_clips - 1, 1)
    return [(step * index, step * index + clip) for index in range(num_clips)]


def resample(waveform: torch.Tensor, rate: int, new_rate: int) -> torch.Tensor:
    """Resamples (channels, samples) by a Hann-windowed sinc; torchaudio's `sinc_interp_hann` with its defaults.

    An output sample is a weighted sum of the input samples within `SINC_ZERO_CROSSINGS` zero crossings around it. Its
    weights depend only on where it falls between two input samples, of which there are `new_rate / gcd` cases.
    """
    if rate == new_rate:
        return waveform
    divisor = math.gcd(rate, new_rate)
    step, phases = rate // divisor, new_rate // divisor
    cutoff = min(step, phases) * SINC_ROLLOFF  # in units of the input rate over `step`
    reach = math.ceil(SINC_ZERO_CROSSINGS * step / cutoff)
    taps = torch.arange(-reach, reach + 1)

    # In single precision, as torchaudio has them: quiet bins near the cut-off feel the difference.
    inputs = (torch.arange(phases) * step // phases)[:, None] + taps
    t = (inputs / step - (torch.arange(phases) / phases)[:, None]) * cutoff
    t = t.clamp(-SINC_ZERO_CROSSINGS, SINC_ZERO_CROSSINGS)
    window = torch.cos(t * math.pi / SINC_ZERO_CROSSINGS / 2).square()
    weights = torch.sinc(t) * window * (cutoff / step)  # (phases, taps)

    padded = torch.nn.functional.pad(waveform, (reach, reach + 1))
    blocks = []
    for outputs in torch.arange(math.ceil(waveform.shape[1] * phases / step)).split(2**14):
        inputs = (outputs * step // phases)[:, None] + taps + reach
        blocks.append((padded[:, inputs] * weights[outputs % phases]).sum(dim=-1))
    return torch.cat(blocks, dim=1)


@functools.cache
def kaldi_mel_filters(num_mel_bins: int) -> torch.Tensor:
    """Returns Kaldi's filters (FFT bins, mel bins): triangles over a mel scale of natural logarithms.

    In single precision, as torchaudio has them: quiet bins near the foot of a triangle feel the difference.
    """
    lowest, highest = (
        1127.0 * math.log(1.0 + frequency / 700.0) for frequency in (LOWEST_FREQUENCY, HIGHEST_FREQUENCY)
    )
    spacing = (highest - lowest) / (num_mel_bins + 1)
    band = torch.arange(num_mel_bins)
    left, centre, right = (lowest + (band + edge) * spacing for edge in (0.0, 1.0, 2.0))
    frequencies = torch.arange(FFT_LENGTH // 2 + 1) * (SAMPLING_RATE / FFT_LENGTH)
    mel = 1127.0 * torch.log(1.0 + frequencies / 700.0)[:, None]
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0)


def _array_and_rate(medium: Any, sampling_rate: float | None) -> tuple[np.ndarray, float | None] | None:
    """The array and rate of a medium that holds its samples itself, `None` for one that has to be fetched."""
    if isinstance(medium, Mapping) and "array" in medium:
        medium, sampling_rate = medium["array"], medium.get("sampling_rate", sampling_rate)
    elif is_rated(medium):
        medium, sampling_rate = medium
    elif not isinstance(medium, np.ndarray | torch.Tensor | list | tuple):
        return None
    if isinstance(medium, torch.Tensor):
        medium = medium.detach().cpu()
        medium = medium.float() if medium.is_floating_point() else medium
    return np.asarray(medium), sampling_rate


def _read_sound(sound: Any, sampling_rate: int | None) -> tuple[torch.Tensor, int]:
    """Returns a fresh waveform (channels, samples), float32, and its rate."""
    rate: float | None
    given = _array_and_rate(sound, sampling_rate)
    if given is None:
        with open_media(sound) as file:
            waveform, rate = _decode_sound(file)
    else:
        array, rate = given
        if rate is None or rate != int(rate):
            raise ValueError(f"an array needs its rate in whole Hz: give sampling_rate or (array, rate), got {rate}")
        waveform = _as_waveform(array)
    if waveform.shape[-1] == 0:
        raise ValueError("the sound holds no samples")
    if not torch.isfinite(waveform).all():
        raise ValueError("the sound holds values that are not finite")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ValueError(f"the sampling rate must lie between {LOWEST_RATE} and {HIGHEST_RATE} Hz, got {rate}")
    return waveform, int(rate)


def _as_waveform(array: np.ndarray) -> torch.Tensor:
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[0] > array.shape[1]):
        raise ValueError(f"expected an array (samples,) or (channels, samples), got {array.shape}")
    if array.dtype in (np.int16, np.int32):
        array = array / -float(np.iinfo(array.dtype).min)
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"expected floats in [-1, 1] or 16- or 32-bit integers, got {array.dtype}")
    return torch.atleast_2d(torch.tensor(array, dtype=torch.float32))


def _decode_sound(file: BinaryIO) -> tuple[torch.Tensor, int]:
    if soundfile is None and av is None:
        raise ImportError("reading sound files needs soundfile or PyAV: pip install soundfile av")
    if soundfile is not None:
        _check_riff_length(file)
        try:
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
            return torch.from_numpy(samples.T.copy()), rate
        except soundfile.LibsndfileError as error:
            if av is None:
                raise ValueError(f"soundfile cannot read it ({error}); PyAV might: pip install av") from error
        file.seek(0)
    return _decode_sound_track(file)


def _check_riff_length(file: BinaryIO) -> None:
    """libsndfile silently reads what is left of a truncated WAV file."""
    header = file.read(12)
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    declared = int.from_bytes(header[4:8], "little") + 8
    # Programs that write to a pipe leave 0 or the largest number.
    if header[:4] == b"RIFF" and header[8:] == b"WAVE" and 8 < declared < 2**32 and length + 1 < declared:
        raise ValueError(f"the WAV file is truncated: {length} of {declared} bytes")


def _decode_sound_track(file: BinaryIO) -> tuple[torch.Tensor, int]:
    with av.open(file, "r") as container:
        if not container.streams.audio:
            raise ValueError("it has no sound track")
        stream = container.streams.audio[0]
        to_planar_floats = av.AudioResampler(format="fltp")  # neither channels nor rate change
        chunks = [
            converted.to_ndarray()
            for frame in [*container.decode(stream), None]
            for converted in to_planar_floats.resample(frame)
        ]
        if not chunks:
            raise ValueError("its sound track is empty")
        return torch.from_numpy(np.concatenate(chunks, axis=1)), stream.rate


def _read_imu(recording: Any, sampling_rate: float | None, channels: int) -> tuple[torch.Tensor, float | None]:
    """Returns (channels, samples), float32, and the rate if there is one."""
    array, rate = _array_and_rate(recording, sampling_rate) or (_decode_imu(fetch(recording)), sampling_rate)
    if array.ndim != 2 or array.shape[0] != channels:
        hint = "; transpose it" if array.ndim == 2 and array.shape[1] == channels else ""
        raise ValueError(f"expected the shape ({channels}, T), got {array.shape}{hint}")
    values = torch.tensor(array, dtype=torch.float32)
    if not torch.isfinite(values).all():
        raise ValueError("the recording holds values that are not finite")
    if rate is not None and not 0 < rate < math.inf:
        raise ValueError(f"the sampling rate must be positive, got {rate}")
    return values, rate


def _decode_imu(data: bytes) -> np.ndarray:
    if data.startswith(b"\x93NUMPY"):
        return np.load(io.BytesIO(data), allow_pickle=False)
    try:
        rows = [row for row in csv.reader(io.StringIO(data.decode("utf-8-sig"))) if row]
    except UnicodeDecodeError as error:
        raise ValueError("it is neither a .npy file nor CSV text") from error
    if rows and not _is_number(rows[0][0]):
        rows = rows[1:]
    return np.array(rows, dtype=np.float64).T


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_keywords(keywords: Mapping[str, Any], known: type, why_ignored: str) -> None:
    """Keywords of the library's call convention are accepted where they change nothing, misspelt ones are not."""
    unknown = set(keywords) - set(known.__annotations__)
    if unknown:
        raise TypeError(f"unexpected keyword arguments {sorted(unknown)} ({why_ignored})")


def _batch(name: str, values: torch.Tensor, return_tensors: str | TensorType | None) -> BatchFeature:
    return BatchFeature({name: values.numpy()}, tensor_type=return_tensors)


PandaGPTFeatureExtractor.register_for_auto_class("AutoFeatureExtractor")
PandaGPTImuFeatureExtractor.register_for_auto_class("AutoFeatureExtractor")
