# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Put a model, an adapter, a data set or the web page on the Hub, complete, in one commit.

```bash
pandagpt publish model checkpoints/pandagpt --repo user/pandagpt-7b
pandagpt publish adapter runs/stage_2 --repo user/pandagpt-7b-lora --base user/pandagpt-base
pandagpt publish dataset data/ --repo user/conversations
pandagpt publish space --repo user/talk --model user/pandagpt-7b
```

Rights are checked first, then the folder is assembled and loaded in a process without our source, and only then does
anything leave this machine. `--dry-run` stops before that and shows the folder.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hub_cards.datasets import publish_dataset_command
from hub_cards.upload import PublishError, check_content, check_rights, hub_errors, upload_folder_at_once


# What tells a repository of the same kind, which may be published to again; and what of its earlier version leaves.
MODEL_FILES = ("modeling_imagebind.py",)
ADAPTER_FILES = ("adapter_config.json",)
SPACE_FILES = ("app.py",)
STALE = ("model*.safetensors", "model.safetensors.index.json")

LOAD = """\
from transformers import {auto_class}, AutoProcessor

model = {auto_class}.from_pretrained("{repo}", revision="{commit}", trust_remote_code=True)
processor = AutoProcessor.from_pretrained("{repo}", revision="{commit}", trust_remote_code=True)"""
LOAD_ADAPTER = """\
from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained(
    "{repo}",
    revision="{base_revision}",  # of the base, {base}
    adapter_kwargs={{"revision": "{commit}"}},
    trust_remote_code=True,
)
processor = AutoProcessor.from_pretrained("{repo}", revision="{commit}", trust_remote_code=True)"""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__)
app.command("dataset")(publish_dataset_command)

Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="What training or conversion wrote.")]
Repo = Annotated[str, typer.Option(help="Where it goes: user/name.")]
Private = Annotated[
    bool | None,
    typer.Option("--private/--public", help="Who may see a new repository; everybody if neither is given."),
]
Revision = Annotated[str | None, typer.Option(help="Branch to commit to, made if it is missing; main if left out.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Assemble and check, show the folder, send nothing.")]


@app.command()
def model(
    folder: Folder, repo: Repo, private: Private = None, revision: Revision = None, dry_run: DryRun = False
) -> None:
    """A whole model with processor, code and card; an adapter is merged with its base first."""
    api = HfApi()
    if not dry_run:
        _check_repo(api, repo, private, MODEL_FILES)
    # These bring torch along, which neither the help nor a refusal needs.
    from hub_cards.assemble import assemble_model, config_of
    from hub_cards.licences import LLAMA_1_REASON, descends_from_llama_1

    config = config_of(folder)
    if private is None and descends_from_llama_1(config):
        typer.echo(f"{repo} is to be private: {LLAMA_1_REASON}; say --public if you may publish them.")
        private = True
        if not dry_run:
            _check_repo(api, repo, private, MODEL_FILES)
    auto_class = "AutoModel" if config.model_type == "imagebind" else "AutoModelForImageTextToText"

    with _workshop(keep=dry_run) as output, hub_errors(repo):
        assemble_model(folder, output, repo)
        commit = _check_and_send(api, output, repo, private, revision, dry_run)
    if commit is not None:
        typer.echo(LOAD.format(repo=repo, commit=commit, auto_class=auto_class))


@app.command()
def adapter(
    folder: Folder,
    repo: Repo,
    base: Annotated[str | None, typer.Option(help="The base's repository, if it was trained from a folder.")] = None,
    base_revision: Annotated[str | None, typer.Option(help="The base's commit, branch or tag.")] = None,
    trust_base: Annotated[
        bool, typer.Option("--trust-base", help="Run a base's code though others wrote it.")
    ] = False,
    private: Private = None,
    revision: Revision = None,
    dry_run: DryRun = False,
) -> None:
    """LoRA and projector with processor and card, pinned to a commit of their base."""
    api = HfApi()
    if not dry_run:
        _check_repo(api, repo, private, ADAPTER_FILES)
    from hub_cards.assemble import assemble_adapter

    with _workshop(keep=dry_run) as output, hub_errors(repo):
        base_id, base_commit = assemble_adapter(api, folder, output, repo, base, base_revision)
        if not trust_base:
            _check_base(api, base_id, repo)
        commit = _check_and_send(api, output, repo, private, revision, dry_run)
    if commit is not None:
        typer.echo(LOAD_ADAPTER.format(repo=repo, commit=commit, base=base_id, base_revision=base_commit))


@app.command()
def space(
    repo: Repo,
    model: Annotated[str, typer.Option(help="Hub id of the model or adapter that answers there.")],
    private: Private = None,
    revision: Revision = None,
    dry_run: DryRun = False,
) -> None:
    """The web page as a Gradio Space, with the versions that are installed here."""
    api = HfApi()
    try:
        validate_repo_id(model)
    except HFValidationError as error:
        raise PublishError(
            f"--model {model} is no name of a repository: a Space loads its model from the Hub."
        ) from error
    if not dry_run and check_rights(api, repo, "space", private):
        check_content(api, repo, SPACE_FILES, "space")
    try:
        from hub_cards.spaces import assemble_space
    except ImportError as error:
        raise PublishError(
            f'A Space needs what the page needs ({error.name}): pip install "pandagpt[demo]".'
        ) from error

    with _workshop(keep=dry_run) as output, hub_errors(repo):
        assemble_space(output, repo, model)
        if dry_run:
            typer.echo(f"{output} holds what {repo} would.")
            return
        commit = upload_folder_at_once(
            api,
            output,
            repo,
            repo_type="space",
            message="Publish",
            private=private,
            revision=revision,
            stale=("*.py",),
        )
    typer.echo(commit.commit_url)


def _check_repo(api: HfApi, repo: str, private: bool | None, files: Sequence[str]) -> None:
    if check_rights(api, repo, private=private):
        check_content(api, repo, files)


def _check_base(api: HfApi, base: str, repo: str) -> None:
    """Asks, or raises `PublishError`, before the code of somebody else's base is run."""
    user = api.whoami()["name"] if get_token() else None
    owner = base.split("/")[0]
    if owner in (user, repo.split("/")[0]):
        return
    if not sys.stdin.isatty():
        raise PublishError(f"Checking the adapter runs the code of {base}: read it, then say --trust-base.")
    typer.confirm(f"Checking the adapter runs the code of {base}, which is {owner}'s. Do you trust it?", abort=True)


def _check_and_send(
    api: HfApi, folder: Path, repo: str, private: bool | None, revision: str | None, dry_run: bool
) -> str | None:
    """Loads an assembled folder elsewhere, then sends it and returns its commit, or in a dry run shows it."""
    from hub_cards.assemble import check_loads

    files = sorted(folder.iterdir())
    typer.echo(f"Loading {len(files)} files in a fresh process ...")
    check_loads(folder)
    if dry_run:
        typer.echo(f"{folder} holds what {repo} would:")
        typer.echo("\n".join(f"{path.stat().st_size:>16,}  {path.name}" for path in files))
        return None
    commit = upload_folder_at_once(
        api, folder, repo, message="Publish", private=private, revision=revision, stale=STALE
    )
    typer.echo(f"{commit.commit_url}\n")
    return commit.oid


@contextmanager
def _workshop(keep: bool) -> Iterator[Path]:
    """An empty folder with room beside it, gone at the end unless it is to be looked at."""
    workshop = Path(tempfile.mkdtemp(prefix="pandagpt-publish-"))
    folder = workshop / "hub"
    folder.mkdir()
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(workshop)


def main(argv: list[str] | None = None) -> None:
    """
    The command `pandagpt publish`.

    Args:
        argv (`list[str]`, *optional*):
            The arguments after `publish`; those of the process when `None`.
    """
    try:
        app(args=argv, prog_name="pandagpt publish")
    except PublishError as error:
        sys.exit(f"Error: {error}")
    except SystemExit as end:
        if end.code:
            raise


if __name__ == "__main__":
    main()
