# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Data sets of four rows with the columns of the published ones, as parquet folders that `datasets` loads."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from datasets import Audio, ClassLabel, Dataset, Features, Image, List, Value, Video
from PIL import Image as Pictures


ROWS = 4
TEXT, NUMBER = Value("string"), Value("int64")
LETTERS = "ABCD"


def picture(row: int) -> dict[str, Any]:
    pixels = np.random.default_rng(row).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Pictures.fromarray(pixels).save(file, "png")
    return {"bytes": file.getvalue(), "path": f"{row}.png"}


def thermal(row: int) -> dict[str, Any]:
    file = io.BytesIO()
    Pictures.open(io.BytesIO(picture(row)["bytes"])).convert("L").save(file, "png")
    return {"bytes": file.getvalue(), "path": None}


def sound(row: int) -> dict[str, Any]:
    file = io.BytesIO()
    wave = np.random.default_rng(row).uniform(-0.5, 0.5, 8000).astype(np.float32)
    soundfile.write(file, wave, 16000, format="wav")
    return {"bytes": file.getvalue(), "path": f"{row}.wav"}


def columns(**of_row: Callable[[int], Any]) -> dict[str, list]:
    return {name: [make(row) for row in range(ROWS)] for name, make in of_row.items()}


def write(folder: Path, split: str, features: dict[str, Any], **of_row: Callable[[int], Any]) -> Path:
    # Without torchcodec, `datasets` writes no sound, not even a file's bytes; what it stores is the same.
    stored = {"bytes": Value("binary"), "path": TEXT}
    plain = {name: stored if isinstance(feature, Audio) else feature for name, feature in features.items()}
    dataset = Dataset.from_dict(columns(**of_row), Features(plain)).cast(Features(features))
    (folder / "data").mkdir(parents=True)
    dataset.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
    return folder


def make(name: str, folder: Path, examples: Path) -> Path:
    """Writes the look-alike of a recipe's data set; `examples` is the folder of example files."""
    return _MAKERS[name](folder, examples)


def _array(folder: Path, kind: str, shape: tuple[int, ...]) -> Callable[[int], str]:
    def path(row: int) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{kind}{row}.npy", np.random.default_rng(row).uniform(1, 5, shape).astype(np.float32))
        return f"{kind}{row}.npy"

    return path


def _imagenet1k(folder: Path, _: Path) -> Path:
    label = ClassLabel(names=["tench, Tinca tinca", "goldfish, Carassius auratus", "great_white_shark"])
    return write(folder, "validation", {"image": Image(), "label": label}, image=picture, label=lambda row: row % 3)


def _kinetics400(folder: Path, examples: Path) -> Path:
    clip = {"bytes": (examples / "video.mp4").read_bytes(), "path": None}
    label = ClassLabel(names=["abseiling", "zumba"])
    return write(
        folder, "validation", {"video": Video(), "label": label}, video=lambda _: clip, label=lambda row: row % 2
    )


def _depth(classes: list[str]) -> Callable[[Path, Path], Path]:
    def make(folder: Path, _: Path) -> Path:
        depth = _array(folder, "depth", (8, 8))
        features = {"depth": TEXT, "label": TEXT}
        return write(folder, "test", features, depth=depth, label=lambda row: classes[row % len(classes)])

    return make


def _esc50(folder: Path, _: Path) -> Path:
    features = {"filename": TEXT, "fold": NUMBER, "target": NUMBER, "category": TEXT, "esc10": Value("bool")}
    features |= {"src_file": NUMBER, "take": TEXT, "audio": Audio()}
    return write(
        folder, "train", features, filename=lambda row: f"{row}.wav", fold=lambda row: row % 5 + 1,
        target=lambda row: row % 2, category=lambda row: ("dog", "crying_baby")[row % 2], esc10=lambda _: True,
        src_file=lambda row: row, take=lambda _: "A", audio=sound,
    )  # fmt: skip


def _llvip(folder: Path, _: Path) -> Path:
    features = {"thermal": Image(), "label": TEXT}
    return write(folder, "test", features, thermal=thermal, label=lambda row: ("person", "street")[row % 2])


def _ego4d(folder: Path, _: Path) -> Path:
    imu = _array(folder, "imu", (6, 2000))
    return write(
        folder, "test", {"imu": TEXT, "scenario": TEXT}, imu=imu, scenario=lambda row: ("cooking", "biking")[row % 2]
    )


def _clotho(folder: Path, _: Path) -> Path:
    captions = {f"caption_{k}": (lambda row, k=k: f"sound {row} in words {k}") for k in range(1, 6)}
    return write(folder, "test", {"audio": Audio(), **dict.fromkeys(captions, TEXT)}, audio=sound, **captions)


def _audiocaps(folder: Path, _: Path) -> Path:
    features = {"audiocap_id": NUMBER, "youtube_id": TEXT, "start_time": NUMBER, "caption": TEXT, "audio": Audio()}
    return write(
        folder, "test", features, audiocap_id=lambda row: row, youtube_id=str, start_time=lambda _: 0,
        caption=lambda row: f"sound {row}", audio=lambda row: sound(row // 2),
    )  # fmt: skip


def _msrvtt(folder: Path, examples: Path) -> Path:
    clip = {"bytes": (examples / "video.mp4").read_bytes(), "path": None}
    features = {"video": Video(), "audio": Audio(), "caption": TEXT}
    silent_in_part = lambda row: None if row == 3 else sound(row)  # noqa: E731
    return write(
        folder, "test", features, video=lambda _: clip, audio=silent_in_part, caption=lambda row: f"video {row}"
    )


def _mme(folder: Path, _: Path) -> Path:
    features = {"question_id": TEXT, "image": Image(), "question": TEXT, "answer": TEXT, "category": TEXT}
    return write(
        folder, "test", features, question_id=lambda row: f"{row // 2}.jpg", image=lambda row: picture(row // 2),
        question=lambda row: f"Is it red ({row})? Please answer yes or no.",
        answer=lambda row: ("Yes", "No")[row % 2], category=lambda row: ("existence", "code_reasoning")[row // 2],
    )  # fmt: skip


def _seedbench_img(folder: Path, _: Path) -> Path:
    choices = {f"choice_{letter}": (lambda _, letter=letter: f"thing {letter}") for letter in "abcd"}
    features = {"answer": TEXT, **dict.fromkeys(choices, TEXT), "data_id": TEXT, "data_type": TEXT}
    features |= {"image": List(Image()), "question": TEXT, "question_id": TEXT}
    return write(
        folder, "test", features, answer=lambda row: LETTERS[row], **choices, data_id=str,
        data_type=lambda row: "video" if row == 3 else "image", image=lambda row: [picture(row)],
        question=lambda _: "What is it?", question_id=str,
    )  # fmt: skip


def _mmmu_val(folder: Path, _: Path) -> Path:
    features = {"id": TEXT, "question": TEXT, "options": TEXT, "answer": TEXT, "question_type": TEXT}
    features |= {f"image_{k}": Image() for k in range(1, 8)}
    pictures = {f"image_{k}": (lambda row, k=k: picture(row) if k == 1 else None) for k in range(1, 8)}
    return write(
        folder, "validation", features, id=lambda row: f"validation_Art_{row}",
        question=lambda _: "What does <image 1> show?",
        options=lambda row: "['$6', 'a <b>', \"it's\"]" if row else "[]",
        answer=lambda row: LETTERS[row % 3] if row else "7",
        question_type=lambda row: "multiple-choice" if row else "open", **pictures,
    )  # fmt: skip


def _scienceqa(split: str) -> Callable[[Path, Path], Path]:
    def make(folder: Path, _: Path) -> Path:
        features = {"image": Image(), "question": TEXT, "choices": List(TEXT), "answer": Value("int8"), "hint": TEXT}
        features |= {"task": TEXT, "grade": TEXT, "subject": TEXT, "lecture": TEXT, "solution": TEXT}
        more = {name: (lambda _, name=name: name) for name in ("task", "grade", "subject", "lecture", "solution")}
        return write(
            folder, split, features, image=picture, question=lambda _: "Which is it?", answer=lambda row: row % 2,
            choices=lambda _: ["a river", "a road"], hint=lambda row: "Look at it." if row % 2 else "", **more,
        )  # fmt: skip

    return make


def _ai2d(folder: Path, _: Path) -> Path:
    features = {"question": TEXT, "options": List(TEXT), "answer": TEXT, "image": Image()}
    return write(
        folder, "test", features, question=lambda _: "What is B?", options=lambda _: ["2", "1", "3", "4"],
        answer=lambda row: str(row % 4), image=picture,
    )  # fmt: skip


def _mmvet(folder: Path, _: Path) -> Path:
    names = ("question_id", "question", "answer", "image_source", "capability")
    return write(
        folder, "test", {**dict.fromkeys(names, TEXT), "image": Image()}, question_id=lambda row: f"v1_{row}",
        question=lambda _: "What is x?", answer=lambda _: "-1<AND>-5", image_source=str, image=picture,
        capability=lambda row: ("ocr,math", "rec")[row % 2],
    )  # fmt: skip


def _hallusionbench(folder: Path, _: Path) -> Path:
    names = ("category", "subcategory", "visual_input", "set_id", "figure_id", "sample_note", "question_id")
    texts = {name: (lambda row, name=name: f"{name}{row // 2}") for name in names}
    return write(
        folder, "image", {**dict.fromkeys([*names, "question", "gt_answer_details", "gt_answer", "filename"], TEXT),
        "image": Image()}, **texts, question=lambda _: "Is it?", gt_answer_details=lambda _: "It is.",
        gt_answer=lambda row: str(row % 2), filename=str, image=picture,
    )  # fmt: skip


def _coco_captions(folder: Path, _: Path) -> Path:
    features = {"question_id": TEXT, "image": Image(), "question": TEXT, "answer": List(TEXT), "id": NUMBER}
    return write(
        folder, "val", features, question_id=str, image=picture, question=lambda _: "Describe it.",
        answer=lambda row: [f"a red bird on tree {row}"] * 5, id=lambda row: row,
    )  # fmt: skip


_MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    "imagenet1k": _imagenet1k,
    "kinetics400": _kinetics400,
    "nyu_depth": _depth(["bathroom", "home office"]),
    "sun_depth": _depth(["study space", "lab"]),
    "esc50": _esc50,
    "llvip": _llvip,
    "ego4d": _ego4d,
    "clotho": _clotho,
    "audiocaps": _audiocaps,
    "msrvtt": _msrvtt,
    "mme": _mme,
    "seedbench_img": _seedbench_img,
    "mmmu_val": _mmmu_val,
    "scienceqa_val": _scienceqa("validation"),
    "scienceqa_test": _scienceqa("test"),
    "ai2d": _ai2d,
    "mmvet": _mmvet,
    "hallusionbench": _hallusionbench,
    "coco_captions": _coco_captions,
}
