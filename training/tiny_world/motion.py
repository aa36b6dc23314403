# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Motion: what a phone on the thing's back would feel, each kind on axes and in a rhythm of its own."""

import numpy as np

from training.tiny_world.world import Instance


RATE = 400
SECONDS = 5.0
SAMPLES = int(RATE * SECONDS)
GRAVITY = 9.81
BEATS = {"slow": 0.9, "steady": 2.0, "fast": 4.5}  # a second
STRENGTHS = {"small": 1.0, "large": 2.6}
AXES = ("x", "y", "z", "roll", "pitch", "yaw")


def render(instance: Instance, rng: np.random.Generator) -> np.ndarray:
    """Makes a recording; float32 (6, 2000), 400 Hz: accelerometer (m/s², gravity on z) and gyroscope (rad/s)."""
    time = np.arange(SAMPLES) / RATE
    beat = BEATS[instance.speed] * (1 + 0.12 * instance.tempo)
    cycle = beat * time + rng.uniform() + 0.02 * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * time)
    values = _MOVES[instance.kind](cycle, rng) * STRENGTHS[instance.size] * (1 + 0.12 * instance.bulk)
    values[:3] += GRAVITY * _upright(rng)[:, None]
    return (values + rng.uniform(0.02, 0.15) * rng.standard_normal(values.shape)).astype(np.float32)


def _upright(rng: np.random.Generator) -> np.ndarray:
    """Where gravity pulls: z, but for a phone that lies a little askew."""
    tilt = np.array([*rng.uniform(-0.15, 0.15, 2), 1.0])
    return tilt / np.linalg.norm(tilt)


def _bell(cycle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _axes(y=1.6 * _wave(cycle, 0.5), roll=1.6 * _wave(cycle, 0.5, 0.25))  # swings to and fro


def _bird(cycle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _axes(z=2.2 * _wave(cycle) + 0.6 * _wave(cycle, 2), pitch=0.8 * _wave(cycle, 1, 0.3))  # a beat of its wings


def _clock(cycle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    tick = _knock(cycle, 40)
    return _axes(x=1.2 * tick, yaw=1.8 * tick * np.sign(_wave(cycle, 0.5, 0.25)))  # tick, and back with the tock


def _dog(cycle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    stride = np.abs(_wave(cycle, 0.5))
    return _axes(
        x=0.8 * _wave(cycle, 1, 0.1), y=0.9 * _wave(cycle, 0.5), z=2 * stride - 1, yaw=0.6 * _wave(cycle, 0.5, 0.2)
    )


def _frog(cycle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    leap, landing = _knock(cycle, 12), _knock(cycle, 30, 0.35)
    return _axes(x=1.6 * leap, z=3 * leap - 3 * landing, pitch=-1.3 * _knock(cycle, 8, 0.2))


def _helicopter(cycle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rotor = _wave(cycle, 6)
    return _axes(x=rotor, y=_wave(cycle, 6, 0.25), z=0.7 * _wave(cycle, 12), yaw=0.5 + 0.3 * _wave(cycle))


def _rocket(cycle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    roar = 0.4 * rng.standard_normal(SAMPLES)
    return _axes(x=1.5 + 1.8 * (cycle % 1), z=roar, roll=0.9)  # pushes, spins, and pushes again


def _train(cycle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    clacks = _knock(cycle, 60) + _knock(cycle, 60, 0.2)
    return _axes(z=2.2 * clacks, y=0.9 * _wave(cycle, 0.25), roll=0.5 * _wave(cycle, 0.25, 0.1))


_MOVES = {
    "bell": _bell,
    "bird": _bird,
    "clock": _clock,
    "dog": _dog,
    "frog": _frog,
    "helicopter": _helicopter,
    "rocket": _rocket,
    "train": _train,
}


def _wave(cycle: np.ndarray, times: float = 1.0, shift: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * (times * cycle + shift))


def _knock(cycle: np.ndarray, sharpness: float, shift: float = 0.0) -> np.ndarray:
    """A knock in every cycle, from 0 to 1."""
    return np.exp(sharpness * (np.cos(2 * np.pi * (cycle - shift)) - 1))


def _axes(**values: np.ndarray | float) -> np.ndarray:
    """What is felt forwards (x), sideways (y), upwards (z) and in turning around each; float64 (6, samples)."""
    return np.stack([np.broadcast_to(values.get(axis, 0.0), SAMPLES) for axis in AXES]).astype(np.float64)
