# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Put conversations with their media, or embeddings of media, on the Hub as a data set that streams at once.

```bash
pandagpt publish dataset data/stage_1/data.json --repo user/conversations
pandagpt train --data user/conversations --streaming --max_steps 1000 ...
```

Everything is written to this machine first, in a folder of the Hub's cache: a run that was killed goes on where it
stopped. Then it is sent in one commit, and the folder goes.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from huggingface_hub import DatasetCardData, HfApi, constants

from .upload import PublishError, check_content, check_rights, hub_errors, upload_folder_at_once


SHARDS = "data/*.parquet"
EMBEDDINGS_SETTINGS = "embeddings.json"
MOST_NAMED = 10


def publish_dataset(
    source: str | os.PathLike,
    repo: str,
    *,
    images: str | None = None,
    num_shards: int | None = None,
    licence: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
    max_broken_share: float = 0.01,
    dry_run: bool = False,
) -> str:
    """
    Publish a local data set.

    Args:
        source (`str` or `os.PathLike`):
            The original's json beside its `images/`, a file or folder of conversations in any form of `chat_data`,
            or the folder that `pandagpt embed` wrote.
        repo (`str`):
            Its Hub id.
        images (`str`, *optional*):
            The folder that relative paths of media begin at, where it is not beside the file.
        num_shards (`int`, *optional*):
            Files of each split; a multiple of 8, of about 500 MB each, when `None`.
        licence (`str`, *optional*):
            The data's licence, by the Hub's name for it. The card says nothing of it when `None`.
        private (`bool`, *optional*):
            Of a new repository; public when `None`.
        revision (`str`, *optional*, defaults to `"main"`):
            The branch.
        max_broken_share (`float`, *optional*, defaults to 0.01):
            Share of rows that may be left out because a medium of theirs is missing or broken.
        dry_run (`bool`, *optional*, defaults to `False`):
            Send nothing, and keep the folder.

    Returns:
        `str`: the commit's address; in a dry run the folder.

    Raises:
        PublishError: when it may not be published, cannot be sent, or too many rows are broken.
        ValueError: when `source` is no data set.
    """
    api = HfApi()
    with hub_errors(repo):
        if not dry_run and check_rights(api, repo, "dataset", private):
            check_content(api, repo, [SHARDS], "dataset")
        work = Path(constants.HF_HOME) / "pandagpt" / "publish" / repo.replace("/", "--")
        if (Path(source) / EMBEDDINGS_SETTINGS).is_file():
            folder = _gather_embeddings(Path(source), repo, licence, work)
        else:
            folder = _write_conversations(source, repo, images, num_shards, licence, max_broken_share, work)
        if dry_run:
            return str(folder)
        commit = upload_folder_at_once(
            api,
            folder,
            repo,
            repo_type="dataset",
            private=private,
            revision=revision,
            message="Publish",
            stale=[SHARDS],
        )
        shutil.rmtree(work)
        return commit.commit_url


def _write_conversations(
    source: str | os.PathLike,
    repo: str,
    images: str | None,
    num_shards: int | None,
    licence: str | None,
    max_broken_share: float,
    work: Path,
) -> Path:
    from . import shards  # needs `datasets`, which the other commands do without
    from .dataset_metadata import describe_shards

    splits = shards.find_splits(source, images)
    scans = {split: shards.scan(conversations) for split, conversations in splits.items()}
    if empty := [split for split, found in scans.items() if not found.good]:
        reasons = scans[empty[0]].broken
        raise PublishError(f"{source} has no row to publish for {empty[0]}; {_first(reasons) or 'it is empty'}.")
    features = shards.features_of(list(scans.values()))
    numbers = {
        split: num_shards or shards.choose_num_shards(len(found.good), found.num_bytes)
        for split, found in scans.items()
    }
    if too_few := [split for split, found in scans.items() if len(found.good) < numbers[split]]:
        split = too_few[0]
        raise PublishError(f"{len(scans[split].good)} rows of {split} make no {numbers[split]} shards.")
    folder = work / "hub"
    _settle(
        work,
        {
            "sources": {split: _version(conversations.path) for split, conversations in splits.items()},
            "images": images,
            "rows": {split: found.num_rows for split, found in scans.items()},
            "num_shards": numbers,
            "columns": list(features),
        },
    )
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for split, conversations in splits.items():
        shards.write_split(conversations, scans[split], features, split, numbers[split], folder / "data", work)
    broken = {name: reason for found in scans.values() for name, reason in found.broken.items()}
    broken |= shards.broken_rows(work)
    total = sum(found.num_rows for found in scans.values())
    _report(broken, total, max_broken_share)
    kinds = [kind for kind in shards.MEDIA_FEATURES if any(kind in found.kinds for found in scans.values())]
    from .cards import write_dataset_card

    description = describe_shards(folder)
    write_dataset_card(
        folder,
        repo,
        _card_data(description, licence, kinds, ["conversations"]),
        "dataset.md",
        kinds=kinds,
        columns=description.columns,
        splits=description.splits,
        first_column=next((shards.MEDIA_FEATURES[kind][0] for kind in kinds), None),
        left_out=len(broken),
        licence=licence,
    )
    return folder


def _gather_embeddings(source: Path, repo: str, licence: str | None, work: Path) -> Path:
    """What `pandagpt embed` wrote, without the reports of broken rows: they name paths."""
    from .cards import write_dataset_card
    from .dataset_metadata import describe_shards

    folder = work / "hub"
    shutil.rmtree(work, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    settings = json.loads((source / EMBEDDINGS_SETTINGS).read_text(encoding="utf-8"))
    files = sorted(source.glob("data/train-*.parquet"))
    if len(files) != settings["num_shards"]:
        raise PublishError(
            f"{source} has {len(files)} of {settings['num_shards']} shards: let `pandagpt embed` finish."
        )
    for file in [source / EMBEDDINGS_SETTINGS, *files]:
        (folder / file.relative_to(source)).symlink_to(file.resolve())
    description = describe_shards(folder)
    write_dataset_card(
        folder,
        repo,
        _card_data(description, licence, [], ["embeddings"]),
        "embeddings.md",
        settings=settings,
        columns=description.columns,
        splits=description.splits,
        licence=licence,
    )
    return folder


def _card_data(description: Any, licence: str | None, kinds: list[str], tags: list[str]) -> DatasetCardData:
    tasks = [f"{kind}-text-to-text" for kind in kinds if kind in ("image", "video", "audio")]
    return DatasetCardData(
        license=licence,
        task_categories=tasks or None,
        size_categories=[description.size_category],
        tags=["pandagpt", *tags, *kinds],
        **description.metadata,
    )


def _settle(work: Path, settings: dict[str, Any]) -> None:
    """Goes on with what lies in `work` if it was begun with the same settings, and begins anew otherwise."""
    file = work / "settings.json"
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) == settings:
        return
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _version(path: Path) -> list[Any]:
    """What changes when a file or folder does."""
    status = path.stat()
    return [str(path.resolve()), status.st_mtime_ns, status.st_size]


def _report(broken: dict[str, str], total: int, max_broken_share: float) -> None:
    """Names the rows that are left out. Raises `PublishError` when they are too many."""
    for name, reason in list(broken.items())[:MOST_NAMED]:
        typer.echo(f"left out: {name}: {reason}", err=True)
    if len(broken) > MOST_NAMED:
        typer.echo(f"left out: {len(broken) - MOST_NAMED} more", err=True)
    if len(broken) > max_broken_share * total:
        raise PublishError(
            f"{len(broken)} of {total} rows have missing or broken media, the first is {_first(broken)}: mend them, "
            "or allow a larger --max-broken-share."
        )


def _first(broken: dict[str, str]) -> str:
    return next((f"{name} ({reason})" for name, reason in broken.items()), "")


def publish_dataset_command(
    source: Annotated[Path, typer.Argument(exists=True, help="A json, a folder of conversations, or of embeddings.")],
    repo: Annotated[str, typer.Option(help="Where it goes: user/name.")],
    images: Annotated[Path | None, typer.Option(help="Folder of the media, if it is not beside the file.")] = None,
    shards: Annotated[
        int | None, typer.Option(min=1, help="Files of each split: a multiple of the processes that will train.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="The data's licence as the Hub calls it: cc-by-nc-4.0.")] = None,
    private: Annotated[
        bool | None,
        typer.Option("--private/--public", help="Who may see a new repository; everybody if neither is given."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch to commit to, made if it is missing; main if left out.")
    ] = None,
    max_broken_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of rows that may be left out for broken media.")
    ] = 0.01,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the shards, show the folder, send nothing.")
    ] = False,
) -> None:
    """Conversations with their media in parquet files that stream at once, or what `pandagpt embed` wrote."""
    try:
        result = publish_dataset(
            source,
            repo,
            images=str(images) if images else None,
            num_shards=shards,
            licence=licence,
            private=private,
            revision=revision,
            max_broken_share=max_broken_share,
            dry_run=dry_run,
        )
    except ValueError as error:
        raise PublishError(str(error)) from error
    typer.echo(result)
    if not dry_run:
        typer.echo(f"\npandagpt train --data {repo} --streaming --max_steps STEPS ...")
