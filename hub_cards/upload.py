# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""From a folder to a repository of the Hub: rights first, then everything in one commit, or nothing.

Notable:
- The files are sent before the commit names them. A failed upload leaves the repository as it was; repeated, it sends
  only what is not there yet.
- Nothing that unpickles is sent: its reader would execute what it holds.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id


try:
    from httpx2 import TransportError
except ImportError:  # what the Hub's client spoke with before its second version
    from httpx import TransportError  # type: ignore[assignment, no-redef]


PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.joblib")

AGAIN = "repeat the command; what has arrived is not sent again."

# What stands in every repository from its first moment.
BORN_WITH = {".gitattributes", "README.md"}


class PublishError(Exception):
    """Something that its user can mend, said in one sentence."""


@contextlib.contextmanager
def hub_errors(repo: str) -> Iterator[None]:
    """Turns the failures of Hub, network and disk into a `PublishError` that says what to do."""
    try:
        yield
    except PublishError:
        raise
    except Exception as error:
        # The client wraps some failures in one of its own.
        explained = _explain(repo, error) or (error.__cause__ and _explain(repo, error.__cause__))
        if not explained:
            raise
        raise PublishError(explained) from error


def _explain(repo: str, error: BaseException) -> str | None:
    match error:
        case LocalTokenNotFoundError():
            return "There is no token: log in with `hf auth login`, or set HF_TOKEN."
        case RevisionNotFoundError():
            return f"{repo} has no such revision."
        case RepositoryNotFoundError():
            return f"{repo} does not exist, or this token may not see it."
        case HfHubHTTPError():
            return _in_words(repo, error)
        case TransportError() | OfflineModeIsEnabled() | ConnectionError():
            return "The Hub cannot be reached: check the network, then " + AGAIN
    # Of the files' writers only some give the system's number along.
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error):
        return f"The disk is full: {getattr(error, 'filename', None) or 'what is written'} needs more room."
    return None


def _in_words(repo: str, error: HfHubHTTPError) -> str:
    match error.response.status_code:
        case 401:
            return "The Hub does not know this token: log in with `hf auth login`, or mend HF_TOKEN."
        case 403:
            return f"This token may not write to {repo}."
        case 409 | 412:
            return f"Somebody else changed {repo} meanwhile: look at it, then {AGAIN}"
        case 429:
            return f"The Hub asks for a pause (429): wait a while, then {AGAIN}"
        case status if status >= 500:
            return f"The Hub has a failure of its own ({status}): {AGAIN}"
        case status:
            return f"The Hub refused {repo} ({status}): {error.server_message or 'it does not say why'}."


def check_rights(api: HfApi, repo: str, repo_type: str = "model", private: bool | None = None) -> bool:
    """
    Whether the repository exists already, once it is known that this token may write to it.

    Args:
        api (`HfApi`):
            With the token.
        repo (`str`):
            `"user/name"`.
        repo_type (`str`, *optional*, defaults to `"model"`):
            `"model"`, `"dataset"` or `"space"`.
        private (`bool`, *optional*):
            What the repository has to be, if it exists; either when `None`.

    Raises:
        PublishError: for a wrong name, no or a wrong token, no rights, an unreachable Hub, or a repository that is
            public and should be private, or the other way round.
    """
    try:
        validate_repo_id(repo)
        owner, _ = repo.split("/")
    except (HFValidationError, ValueError) as error:
        raise PublishError(f"{repo} is no name of a repository: expected user/name.") from error
    with hub_errors(repo):
        _check_token(api.whoami(), owner, repo)
        try:
            info = api.repo_info(repo, repo_type=repo_type)
        except RepositoryNotFoundError:
            return False
        api.auth_check(repo, repo_type=repo_type, write=True)
    if private is not None and bool(info.private) != private:
        is_now, wanted = ("private", "public") if info.private else ("public", "private")
        raise PublishError(f"{repo} exists and is {is_now}: make it {wanted} in its settings, or take another name.")
    return True


def _check_token(who: dict[str, Any], owner: str, repo: str) -> None:
    access = who.get("auth", {}).get("accessToken", {})
    if access.get("role") == "read":
        raise PublishError(f"The token of {who['name']} may only read: make one that may write.")
    if access.get("role") == "fineGrained":
        granted = access.get("fineGrained", {}).get("scoped", [])
        writable = {item["entity"]["name"] for item in granted if "repo.write" in item["permissions"]}
        if not writable & {owner, repo}:
            raise PublishError(f"The token of {who['name']} may not write to {repo}: grant it that, or use another.")
        return
    organizations = {each["name"] for each in who.get("orgs", []) if each.get("roleInOrg") != "read"}
    if owner not in {who["name"], *organizations}:
        raise PublishError(f"{who['name']} may not write to {owner}: choose another owner, or log in as another user.")


def check_content(api: HfApi, repo: str, files: Sequence[str], repo_type: str = "model") -> None:
    """
    Raises `PublishError` when a repository that exists holds something else than what would be published.

    Args:
        api (`HfApi`):
            With the token.
        repo (`str`):
            A repository that exists.
        files (`Sequence[str]`):
            Patterns, of which something in the repository must match one, unless it is empty.
        repo_type (`str`, *optional*, defaults to `"model"`):
            `"model"`, `"dataset"` or `"space"`.
    """
    with hub_errors(repo):
        there = set(api.list_repo_files(repo, repo_type=repo_type)) - BORN_WITH
    if there and not any(fnmatch(path, pattern) for path in there for pattern in files):
        raise PublishError(f"{repo} exists and holds something else ({sorted(there)[0]}): choose another name.")


def upload_folder_at_once(
    api: HfApi,
    folder: str | Path,
    repo: str,
    *,
    message: str,
    repo_type: str = "model",
    private: bool | None = None,
    revision: str | None = None,
    stale: Sequence[str] = (),
) -> CommitInfo:
    """
    Puts a folder on the Hub in one commit, creating repository and branch where they are missing.

    Args:
        api (`HfApi`):
            With the token.
        folder (`str` or `Path`):
            What the repository will hold. Links are followed.
        repo (`str`):
            `"user/name"`.
        message (`str`):
            The commit's.
        repo_type (`str`, *optional*, defaults to `"model"`):
            `"model"`, `"dataset"` or `"space"`.
        private (`bool`, *optional*):
            Of a new repository; public when `None`.
        revision (`str`, *optional*, defaults to `"main"`):
            The branch.
        stale (`Sequence[str]`, *optional*):
            Patterns of files that leave the repository if they are not in the folder.

    Raises:
        PublishError: when the folder holds a pickle; and as [`hub_errors`].
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(Path(folder).rglob("*")) if path.is_file()}
    refuse_pickles(files)
    with hub_errors(repo):
        sdk = "gradio" if repo_type == "space" else None
        api.create_repo(repo, repo_type=repo_type, private=private, space_sdk=sdk, exist_ok=True)
        if revision is not None:
            api.create_branch(repo, repo_type=repo_type, branch=revision, exist_ok=True)
        head = api.repo_info(repo, repo_type=repo_type, revision=revision).sha
        there = api.list_repo_files(repo, repo_type=repo_type, revision=head)
        left = [path for path in there if path not in files and any(fnmatch(path, pattern) for pattern in stale)]
        return api.create_commit(
            repo,
            [*(CommitOperationDelete(path) for path in left)]
            + [CommitOperationAdd(path, str(file)) for path, file in files.items()],
            commit_message=message,
            repo_type=repo_type,
            revision=revision,
            parent_commit=head,
        )


def refuse_pickles(paths: Iterable[str]) -> None:
    """Raises `PublishError` for a file whose reader would execute what it holds."""
    for path in paths:
        if any(fnmatch(path.lower(), pattern) for pattern in PICKLES):
            raise PublishError(f"{path} may be a pickle, which nobody should load: save its weights as safetensors.")


def is_local_path(text: str) -> bool:
    """Whether a string looks like an absolute path, be it of this machine or of another, or is one."""
    if re.match(r"(/[\w.-]+){2}|~/|[A-Za-z]:\\", text):
        return True
    return len(text) > 3 and text[0] in "/~" and os.path.exists(os.path.expanduser(text))
