# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What parquet files tell of a data set: its splits, columns and sizes, and the metadata of its card."""

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from datasets import ClassLabel, DatasetInfo, Features, List, SplitDict, SplitInfo, Value
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData


# The Hub's names for the numbers of rows below which a data set falls.
_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}
_LARGEST = "n>10M"


class Description(NamedTuple):
    """Of a data set: rows and shards of each split, a text for each column, and `dataset_info` and `configs`."""

    splits: dict[str, tuple[int, int]]
    columns: dict[str, str]
    metadata: dict[str, Any]

    @property
    def size_category(self) -> str:
        rows = sum(rows for rows, _ in self.splits.values())
        return next((name for limit, name in _SIZES.items() if rows < limit), _LARGEST)


def describe_shards(folder: Path) -> Description:
    """
    Args:
        folder (`Path`):
            Of a data set, whose files are `data/<split>-<number>-of-<number>.parquet`.
    """
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("data/*.parquet"), key=lambda file: (-file.name.startswith("train"), file.name)):
        files.setdefault(file.name.split("-")[0], []).append(file)
    described = {split: [pq.read_metadata(file) for file in shards] for split, shards in files.items()}
    first = next(iter(files.values()))[0]
    features = Features.from_arrow_schema(pq.read_schema(first))
    splits = SplitDict()
    for split, shards in described.items():
        groups = [shard.row_group(number) for shard in shards for number in range(shard.num_row_groups)]
        num_bytes = sum(group.total_byte_size for group in groups)
        splits.add(SplitInfo(split, num_bytes=num_bytes, num_examples=sum(shard.num_rows for shard in shards)))
    info = DatasetInfo(
        features=features,
        splits=splits,
        download_size=sum(file.stat().st_size for shards in files.values() for file in shards),
        dataset_size=sum(split.num_bytes for split in splits.values()),
    )
    data = DatasetCardData()
    DatasetInfosDict({"default": info}).to_dataset_card_data(data)
    configs = {"data_files": [{"split": split, "path": f"data/{split}-*"} for split in files]}
    MetadataConfigs({"default": configs}).to_dataset_card_data(data)
    return Description(
        {split: (splits[split].num_examples, len(shards)) for split, shards in files.items()},
        {name: _in_words(feature) for name, feature in features.items()},
        data.to_dict(),
    )


def _in_words(feature: Any) -> str:
    if isinstance(feature, List):
        return f"list of {_in_words(feature.feature)}"
    if isinstance(feature, dict):
        return ", ".join(feature)
    if isinstance(feature, ClassLabel):
        return "class"
    return feature.dtype if isinstance(feature, Value) else type(feature).__name__
