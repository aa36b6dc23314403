# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Sounds: every kind makes its own noise again and again, the faster it is, the more often; the larger, the deeper."""

from collections.abc import Iterable

import numpy as np

from training.tiny_world.world import Instance


RATE = 16_000
SECONDS = 2.0
SAMPLES = int(RATE * SECONDS)
EVENTS = {"slow": 1.7, "steady": 3.5, "fast": 7.0}  # a second
PITCHES = {"small": 1.5, "large": 0.7}
LOUDNESS = {"small": 0.25, "large": 0.5}


def render(instance: Instance, rng: np.random.Generator) -> np.ndarray:
    """Makes an individual's sound; float32 (32000,) from -1 to 1, 16 kHz."""
    period = 1 / (EVENTS[instance.speed] * (1 + 0.12 * instance.tempo))
    pitch = PITCHES[instance.size] * (1 + 0.1 * instance.voice)
    note = _NOTES[instance.kind](pitch, period, rng).astype(np.float32)
    lead = RATE // 2  # a note may have begun before the recording
    wave = np.zeros(lead + SAMPLES + len(note), np.float32)
    start = 0.5 - rng.uniform() * min(period, 0.5)
    while start < 0.5 + SECONDS:
        begin = round(start * RATE)
        wave[begin : begin + len(note)] += rng.uniform(0.8, 1.0) * note
        start += rng.uniform(0.95, 1.05) * period
    wave = wave[lead : lead + SAMPLES]
    wave *= LOUDNESS[instance.size] * rng.uniform(0.8, 1.2) / np.abs(wave).max()
    hiss = 10 ** rng.uniform(-3.3, -2.2)
    return (wave + hiss * rng.standard_normal(SAMPLES, dtype=np.float32)).clip(-1, 1)


def _bell(pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    time = _time(0.9)
    partials = ((1.0, 1.0, 4), (2.0, 0.6, 6), (2.4, 0.7, 8), (3.0, 0.4, 10), (4.5, 0.4, 14))
    return _sum(level * np.exp(-decay * time) * _tone(500 * pitch * ratio, time) for ratio, level, decay in partials)


def _bird(pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    time = _time(min(0.9 * period, 0.13))
    return _sweep(pitch * (2000 + 1700 * np.sin(np.pi * time / time[-1]))) * _swell(time)


def _clock(pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    time = _time(0.05)
    click = _tone(2600 * pitch, time) + 0.7 * _tone(1100 * pitch, time) + 0.5 * _noise(time, rng)
    return np.exp(-120 * time) * click


def _dog(pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    time = _time(min(0.8 * period, 0.17))
    glide = 330 * pitch * (0.6 + 0.6 * np.exp(-6 * time))
    voice = _sum(_sweep(harmonic * glide) / harmonic**0.5 for harmonic in range(1, 7))
    return (voice + 0.3 * _noise(time, rng)) * _swell(time) ** 0.5


def _frog(pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    time = _time(min(0.85 * period, 0.34))
    pulses = np.maximum(_tone(36, time), 0) ** 2
    return pulses * _sum(_tone(140 * pitch * harmonic, time) for harmonic in (3, 4, 7)) * _swell(time)


def _helicopter(pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    time = _time(period)
    since = time % (period / 3)  # three blades
    thumps = _tone(80 * pitch, since) * np.exp(-22 * since)
    wash = _band(time, 150, 900 * pitch, rng) * np.exp(-16 * since)
    return 2 * thumps + 0.5 * wash + 0.2 * _tone(2400 * pitch, time)


def _rocket(pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    time = _time(period)
    return _band(time, 60, 3000 * pitch, rng) * (0.15 + (time / period) ** 2)


def _train(pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    time = _time(0.95 * period)
    whistle = _sum(_tone(520 * pitch * ratio, time) for ratio in (1.0, 1.26, 1.5)) * _swell(time)
    second = np.maximum(time - 0.25 * period, 0)
    clacks = np.exp(-70 * time) + np.exp(-70 * second) * (second > 0)
    return 0.3 * whistle + 1.5 * clacks * _band(time, 900, 2800, rng)


_NOTES = {
    "bell": _bell,
    "bird": _bird,
    "clock": _clock,
    "dog": _dog,
    "frog": _frog,
    "helicopter": _helicopter,
    "rocket": _rocket,
    "train": _train,
}


def _time(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * RATE), dtype=np.float32) / RATE


def _tone(frequency: float, time: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * time)


def _sweep(frequencies: np.ndarray) -> np.ndarray:
    """A tone whose frequency changes from sample to sample."""
    return np.sin(2 * np.pi * np.cumsum(frequencies) / RATE)


def _swell(time: np.ndarray) -> np.ndarray:
    """Rises from silence and falls back to it."""
    return np.sin(np.pi * time / time[-1]).clip(0)


def _noise(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(len(time), dtype=np.float32)


def _band(time: np.ndarray, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """Noise between two frequencies, of about unit variance."""
    frequencies = np.fft.rfftfreq(len(time), 1 / RATE)
    is_inside = (frequencies > low) & (frequencies < high)
    return np.fft.irfft(np.fft.rfft(_noise(time, rng)) * is_inside, len(time)) / np.sqrt((high - low) / (RATE / 2))


def _sum(waves: Iterable[np.ndarray]) -> np.ndarray:
    return np.sum(list(waves), axis=0)
