# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A Hugging Face Hub on loopback, for tests: real clients push to it and load from it, and nothing leaves the machine.

Notable:
- Models, data sets and Spaces; users with tokens that write, or read only; private repositories; branches and tags.
- A commit is one request: it is applied as a whole or not at all.
- Large and binary files go, as on the real Hub, to and from another host name (`localhost` in place of `127.0.0.1`),
  so that a test sees whether a token is sent where it must not be.
- Every request is in `log`. `fault` makes chosen requests fail: by a status, or by cutting the connection.
- What it does not offer: Xet, git over HTTP, discussions and pull requests, Spaces that run.
"""

import base64
import contextlib
import hashlib
import json
import os
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qs, unquote

import uvicorn
import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send


KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}

# The Hub's own limit, from which on a file is kept beside the commits whatever is in it.
LARGEST_REGULAR_FILE = 10 * 1024**2

STARTED = "2026-01-01T00:00:00.000Z"


@dataclass
class Entry:
    """One file of a commit; `sha256` names its bytes among the Hub's blobs."""

    sha256: str
    size: int
    oid: str  # git's: of the file, or of the pointer to it
    lfs: bool


@dataclass
class Commit:
    oid: str
    files: dict[str, Entry]
    title: str
    parents: tuple[str, ...] = ()


@dataclass
class Repo:
    kind: str
    name: str
    private: bool
    sdk: str | None = None
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    """One request, as the log keeps it."""

    method: str
    path: str
    host: str
    authorization: str | None
    range: str | None
    status: int = 0


@dataclass
class Fault:
    method: str
    pattern: str
    how: int | str
    times: int


class HubError(Exception):
    def __init__(self, status: int, message: str, code: str | None = None):
        self.status, self.message, self.code = status, message, code


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def metadata(readme: bytes) -> dict:
    """The block of YAML that a card begins with. Raises `HubError` (400) when it cannot be read."""
    match = re.match(r"---\r?\n(.*?)\r?\n---\r?\n", readme.decode("utf-8"), re.DOTALL)
    try:
        return (yaml.safe_load(match[1]) or {}) if match else {}
    except yaml.YAMLError as error:
        raise HubError(400, f"Invalid metadata in README.md: {error}") from error


class LoopbackHub:
    """
    The server, in a thread of the test process.

    Args:
        users (`dict[str, tuple[str, str]]`, *optional*):
            Name of the user and role (`"write"` or `"read"`) by token.
    """

    def __init__(self, users: dict[str, tuple[str, str]] | None = None):
        self.users = users or {
            "hf_writer": ("tester", "write"),
            "hf_reader": ("tester", "read"),
            "hf_stranger": ("stranger", "write"),
        }
        self.organizations = {"guild": {"tester": "write"}, "library": {"tester": "read"}}  # members and their roles
        self.repos: dict[tuple[str, str], Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.tickets: set[str] = set()
        self.log: list[Seen] = []
        self.faults: list[Fault] = []
        config = uvicorn.Config(self, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.storage_url = f"http://localhost:{self.port}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=10)

    def environment(self, token: str | None = "hf_writer", home: str | os.PathLike | None = None) -> dict[str, str]:
        """
        The whole environment of a process that knows no Hub but this one.

        Args:
            token (`str`, *optional*, defaults to `"hf_writer"`):
                Whose requests they are; `None` for nobody's.
            home (`str` or `os.PathLike`, *optional*):
                The process's `HF_HOME`; a fresh folder when `None`.
        """
        ours = (
            "PYTHONPATH",
            "PYTHONHOME",
            "HF_TOKEN",
            "HF_HUB_OFFLINE",
            "TRANSFORMERS_OFFLINE",
            "HF_DATASETS_OFFLINE",
        )
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        environment |= {
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(home or tempfile.mkdtemp(prefix="hf-home-", dir=os.environ.get("HF_HOME"))),
            "NO_PROXY": "127.0.0.1,localhost",
        }
        return environment | ({"HF_TOKEN": token} if token else {})

    def files(self, name: str, revision: str = "main", kind: str = "model") -> dict[str, bytes]:
        """The content of every file of a revision, by its path."""
        commit = self._commit(self.repos[kind, name], revision)
        return {path: self.blobs[entry.sha256] for path, entry in commit.files.items()}

    def history(self, name: str, revision: str = "main", kind: str = "model") -> list[str]:
        """The commits of a revision, the newest first."""
        repo = self.repos[kind, name]
        commit = self._commit(repo, revision)
        oids = [commit.oid]
        while commit.parents:
            commit = repo.commits[commit.parents[0]]
            oids.append(commit.oid)
        return oids

    @contextlib.contextmanager
    def fault(self, method: str, pattern: str, how: int | str, times: int = 1) -> Iterator[Fault]:
        """
        Lets the next requests fail.

        Args:
            method (`str`):
                `"GET"`, `"PUT"`, ...
            pattern (`str`):
                Regular expression that is looked for in the path.
            how (`int` or `str`):
                The status to answer with, or `"cut"`: the connection ends in the middle of the file.
            times (`int`, *optional*, defaults to 1):
                How many requests fail; what is left of them is in the `times` of the result.
        """
        fault = Fault(method, pattern, how, times)
        self.faults.append(fault)
        try:
            yield fault
        finally:
            self.faults.remove(fault)

    # From a connection to an answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["raw_path"].decode() + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        header = request.headers.get
        seen = Seen(request.method, path, header("host", ""), header("authorization"), header("range"))
        self.log.append(seen)
        fault = next(
            (f for f in self.faults if f.times and f.method == seen.method and re.search(f.pattern, path)), None
        )
        if fault is not None:
            fault.times -= 1
        if fault is not None and fault.how == "cut" and seen.method != "GET":
            seen.status = 499
            await receive()  # the first part of what is sent, not the rest
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            return
        if fault is not None and isinstance(fault.how, int):
            response = self._error(HubError(fault.how, "This was asked for by a test."))
        else:
            body = await request.body()
            try:
                response = self._answer(request, body)
            except HubError as error:
                response = self._error(error)
        seen.status = response.status_code
        await response(scope, receive, _only_half(send) if fault is not None and fault.how == "cut" else send)

    def _error(self, error: HubError) -> Response:
        headers = {"X-Error-Message": error.message.splitlines()[0]}
        if error.code:
            headers["X-Error-Code"] = error.code
        if error.status == 429:
            headers["Retry-After"] = "0"
        content = {"error": error.message, "errors": [{"message": error.message}], "warnings": []}
        return JSONResponse(content, error.status, headers)

    def _answer(self, request: Request, body: bytes) -> Response:
        segments = [unquote(part) for part in request.scope["raw_path"].decode().strip("/").split("/")]
        user, role = self._who(request)
        match request.method, segments:
            case "GET", ["api", "whoami-v2"]:
                return self._whoami(user, role)
            case "POST", ["api", "validate-yaml"]:
                metadata(json.loads(body)["content"].encode())
                return JSONResponse({"errors": [], "warnings": []})
            case "POST", ["api", "repos", "create"]:
                return self._create(user, role, json.loads(body))
            case "DELETE", ["api", "repos", "delete"]:
                return self._delete(user, role, json.loads(body))
            case "PUT" | "GET", ["storage", sha256]:
                return self._storage(request, sha256, body)
            case _, ["api", kinds, owner, name, *rest] if kinds in KINDS:
                return self._api(request, KINDS[kinds], f"{owner}/{name}", rest, body)
            case _, ["datasets" | "spaces" as kinds, owner, name, *rest] if rest:
                return self._repo_page(request, KINDS[kinds], f"{owner}/{name}", rest, body)
            case _, [owner, name, *rest] if rest:
                return self._repo_page(request, "model", f"{owner}/{name}", rest, body)
        raise HubError(404, f"Nothing is at {request.url.path}")

    def _repo_page(self, request: Request, kind: str, name: str, rest: list[str], body: bytes) -> Response:
        match request.method, rest:
            case "GET" | "HEAD", ["resolve", revision, *path]:
                repo = self._readable(request, kind, name)
                return self._resolve(request, repo, revision, "/".join(path))
            case "POST", ["info", "lfs", "objects", "batch"]:
                self._writable(request, kind, name.removesuffix(".git"))
                return self._lfs_batch(json.loads(body)["objects"], f"{self.url}{request.url.path}")
            case "POST", ["info", "lfs", "objects", "batch", "verify"]:
                wanted = json.loads(body)
                if len(self.blobs.get(wanted["oid"], b"")) != wanted["size"]:
                    raise HubError(422, "The file did not arrive whole.")
                return JSONResponse({})
        raise HubError(404, f"Nothing is at {request.url.path}")

    def _api(self, request: Request, kind: str, name: str, rest: list[str], body: bytes) -> Response:
        writes = (rest or [""])[0] in ("preupload", "commit", "branch", "tag", "settings") or rest[-1:] == ["write"]
        repo = (self._writable if writes else self._readable)(request, kind, name)
        match request.method, rest:
            case "GET", [] | ["revision", _]:
                return self._info(repo, self._commit(repo, rest[1] if rest else "main"))
            case "GET", ["auth-check", *_]:
                return JSONResponse({})
            case "GET", ["tree", revision, *path]:
                recursive = request.query_params.get("recursive", "").lower() == "true"
                return JSONResponse(_tree(self._commit(repo, revision).files, "/".join(path), recursive))
            case "POST", ["paths-info", revision]:
                wanted = parse_qs(body.decode()).get("paths", [])
                listed = _tree(self._commit(repo, revision).files, "", recursive=True)
                return JSONResponse([item for item in listed if item["path"] in wanted])
            case "GET", ["commits", revision]:
                commits = [repo.commits[oid] for oid in self.history(name, revision, kind)]
                fields = {"message": "", "authors": [], "date": STARTED}
                return JSONResponse([{"id": commit.oid, "title": commit.title, **fields} for commit in commits])
            case "GET", ["refs"]:
                return JSONResponse(_refs(repo))
            case "POST", ["branch" | "tag" as what, *names]:
                return self._point(repo, what, names, json.loads(body or b"{}"))
            case "PUT", ["settings"]:
                repo.private = json.loads(body).get("visibility") == "private"
                return JSONResponse({})
            case "POST", ["preupload", revision]:
                return self._preupload(repo, revision, json.loads(body)["files"])
            case "POST", ["commit", revision]:
                return self._apply(repo, revision, [json.loads(line) for line in body.splitlines() if line])
        raise HubError(404, f"Nothing is at {request.url.path}")

    # Who may do what

    def _who(self, request: Request) -> tuple[str | None, str | None]:
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if token and token not in self.users:
            raise HubError(401, "Invalid username or password.")
        return self.users[token] if token else (None, None)

    def _owns(self, user: str | None, owner: str) -> bool:
        return user is not None and (user == owner or user in self.organizations.get(owner, ()))

    def _readable(self, request: Request, kind: str, name: str) -> Repo:
        user, _ = self._who(request)
        repo = self.repos.get((kind, name))
        if repo is None or (repo.private and not self._owns(user, name.split("/")[0])):
            raise HubError(401 if user is None else 404, "Repository not found", "RepoNotFound")
        return repo

    def _writable(self, request: Request, kind: str, name: str) -> Repo:
        user, role = self._who(request)
        if user is None:
            raise HubError(401, "Invalid username or password.")
        repo = self._readable(request, kind, name)
        self._check_owner(user, role, name.split("/")[0])
        return repo

    def _check_owner(self, user: str | None, role: str | None, owner: str) -> None:
        if user is None:
            raise HubError(401, "Invalid username or password.")
        is_reader = self.organizations.get(owner, {}).get(user) == "read"
        if role != "write" or is_reader or not self._owns(user, owner):
            raise HubError(403, "You don't have the rights to write to this namespace.")

    def _whoami(self, user: str | None, role: str | None) -> Response:
        if user is None:
            raise HubError(401, "Invalid username or password.")
        organizations = [
            {"type": "org", "name": name, "roleInOrg": members[user]}
            for name, members in self.organizations.items()
            if user in members
        ]
        access = {"type": "access_token", "accessToken": {"displayName": "test", "role": role}}
        return JSONResponse({"type": "user", "id": user, "name": user, "orgs": organizations, "auth": access})

    # Repositories

    def _create(self, user: str | None, role: str | None, wanted: dict) -> Response:
        owner, kind = wanted.get("organization") or user, wanted.get("type") or "model"
        self._check_owner(user, role, str(owner))
        name = f"{owner}/{wanted['name']}"
        page = {"url": self._page(kind, name), "name": name, "id": name}
        if (kind, name) in self.repos:
            return JSONResponse({"error": f"You already created this {kind} repo", **page}, 409)
        repo = Repo(kind, name, private=wanted.get("visibility") == "private", sdk=wanted.get("sdk"))
        self._add_commit(repo, "main", {".gitattributes": self._keep(b"*.safetensors filter=lfs\n")}, "initial commit")
        self.repos[kind, name] = repo
        return JSONResponse(page)

    def _delete(self, user: str | None, role: str | None, wanted: dict) -> Response:
        owner = wanted.get("organization") or user
        self._check_owner(user, role, str(owner))
        if self.repos.pop((wanted.get("type") or "model", f"{owner}/{wanted['name']}"), None) is None:
            raise HubError(404, "Repository not found", "RepoNotFound")
        return JSONResponse({})

    def _page(self, kind: str, name: str) -> str:
        return f"{self.url}/{name}" if kind == "model" else f"{self.url}/{kind}s/{name}"

    def _info(self, repo: Repo, commit: Commit) -> Response:
        readme = commit.files.get("README.md")
        card = metadata(self.blobs[readme.sha256]) if readme else {}
        found = {name: card[name] for name in ("pipeline_tag", "library_name") if name in card}
        info = {
            **{"_id": repo.name, "id": repo.name, "modelId": repo.name, "author": repo.name.split("/")[0]},
            **{"sha": commit.oid, "lastModified": STARTED, "createdAt": STARTED, "private": repo.private},
            **{"gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": card.get("tags", [])},
            **{"cardData": card, "siblings": [{"rfilename": path} for path in commit.files], **found},
        }
        return JSONResponse(info | ({"sdk": repo.sdk} if repo.sdk else {}))

    def _point(self, repo: Repo, what: str, names: list[str], wanted: dict) -> Response:
        if what == "branch":
            branch, start = "/".join(names), wanted.get("startingPoint", "main")
            if branch in repo.branches:
                raise HubError(409, f"Reference {branch} exists already.")
            repo.branches[branch] = self._commit(repo, start).oid
        else:
            repo.tags[wanted["tag"]] = self._commit(repo, "/".join(names)).oid
        return JSONResponse({})

    def _commit(self, repo: Repo, revision: str) -> Commit:
        revision = revision.removeprefix("refs/heads/")
        oid = repo.branches.get(revision) or repo.tags.get(revision) or revision
        whole = [known for known in repo.commits if len(oid) >= 7 and known.startswith(oid)]
        if not whole:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repo.commits[whole[0]]

    # Files

    def _keep(self, content: bytes, lfs: bool = False) -> Entry:
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()
        return Entry(sha256, len(content), git_oid(pointer if lfs else content), lfs)

    def _resolve(self, request: Request, repo: Repo, revision: str, path: str) -> Response:
        commit = self._commit(repo, revision)
        if path not in commit.files:
            error = self._error(HubError(404, "Entry not found", "EntryNotFound"))
            error.headers["X-Repo-Commit"] = commit.oid
            return error
        entry = commit.files[path]
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes", "Last-Modified": formatdate(0, usegmt=True)}
        if entry.lfs:
            linked = {"X-Linked-Size": str(entry.size), "X-Linked-Etag": f'"{entry.sha256}"'}
            return Response(b"", 302, headers | linked | {"Location": self._ticket(entry.sha256)})
        return _content(request, self.blobs[entry.sha256], headers | {"ETag": f'"{entry.oid}"'})

    def _ticket(self, sha256: str) -> str:
        ticket = secrets.token_hex(8)
        self.tickets.add(ticket)
        return f"{self.storage_url}/storage/{sha256}?ticket={ticket}"

    def _storage(self, request: Request, sha256: str, body: bytes) -> Response:
        if request.query_params.get("ticket") not in self.tickets:
            raise HubError(403, "The address is not signed.")
        if request.method == "PUT":
            if hashlib.sha256(body).hexdigest() != sha256:
                raise HubError(400, "The file's bytes are not those of its name.")
            self.blobs[sha256] = body
            return Response(b"", headers={"ETag": f'"{sha256}"'})
        return _content(request, self.blobs[sha256], {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"})

    def _preupload(self, repo: Repo, revision: str, files: list[dict]) -> Response:
        known = self._commit(repo, revision).files
        answers = []
        for file in files:
            large = file["size"] > LARGEST_REGULAR_FILE or b"\0" in base64.b64decode(file["sample"])
            lfs = large or file["path"].endswith((".safetensors", ".parquet"))
            entry = known.get(file["path"])
            oid = None if entry is None else entry.sha256 if entry.lfs else entry.oid
            mode = "lfs" if lfs else "regular"
            answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return JSONResponse({"files": answers})

    def _lfs_batch(self, objects: list[dict], address: str) -> Response:
        def actions(oid: str) -> dict:
            if oid in self.blobs:
                return {}
            return {"actions": {"upload": {"href": self._ticket(oid)}, "verify": {"href": f"{address}/verify"}}}

        return JSONResponse({"transfer": "basic", "objects": [item | actions(item["oid"]) for item in objects]})

    def _apply(self, repo: Repo, branch: str, lines: list[dict]) -> Response:
        header = next(line["value"] for line in lines if line["key"] == "header")
        parent = repo.branches.get(branch)
        if parent is None:
            raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        if not parent.startswith(header.get("parentCommit") or ""):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.commits[parent].files)
        for line in lines:
            self._change(files, line["key"], line["value"])
        if "README.md" in files:
            metadata(self.blobs[files["README.md"].sha256])
        commit = self._add_commit(repo, branch, files, header["summary"])
        url = f"{self._page(repo.kind, repo.name)}/commit/{commit.oid}"
        return JSONResponse({"success": True, "commitUrl": url, "commitOid": commit.oid})

    def _change(self, files: dict[str, Entry], key: str, value: dict) -> None:
        if key == "file":
            files[value["path"]] = self._keep(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if len(self.blobs.get(value["oid"], b"")) != value["size"]:
                raise HubError(400, f"The content of {value['path']} was never uploaded.")
            files[value["path"]] = self._keep(self.blobs[value["oid"]], lfs=True)
        elif key == "deletedFile":
            if files.pop(value["path"], None) is None:
                raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
        elif key == "deletedFolder":
            for path in [path for path in files if path.startswith(value["path"].rstrip("/") + "/")]:
                del files[path]
        elif key != "header":
            raise HubError(400, f"A commit cannot hold {key!r} here.")

    def _add_commit(self, repo: Repo, branch: str, files: dict[str, Entry], title: str) -> Commit:
        parent = repo.branches.get(branch)
        commit = Commit(secrets.token_hex(20), files, title, (parent,) if parent else ())
        repo.commits[commit.oid] = commit
        repo.branches[branch] = commit.oid
        return commit


def _content(request: Request, content: bytes, headers: dict[str, str]) -> Response:
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if wanted is None:
        return Response(content, headers=headers, media_type="application/octet-stream")
    first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
    if first > last:
        return Response(b"", 416, headers | {"Content-Range": f"bytes */{len(content)}"})
    headers = headers | {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
    return Response(content[first : last + 1], 206, headers, media_type="application/octet-stream")


def _tree(files: dict[str, Entry], folder: str, recursive: bool) -> list[dict]:
    """What is below a folder, in the Hub's format. Raises `HubError` (404) when there is no such folder."""
    prefix = f"{folder}/" if folder else ""
    items: dict[str, dict] = {}
    for path, entry in files.items():
        if not path.startswith(prefix):
            continue
        parts = path.removeprefix(prefix).split("/")
        for depth in range(1, len(parts)):
            parent = prefix + "/".join(parts[:depth])
            items[parent] = {"type": "directory", "path": parent, "oid": git_oid(parent.encode()), "size": 0}
        items[path] = {"type": "file", "path": path, "oid": entry.oid, "size": entry.size}
        if entry.lfs:
            items[path]["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": 130}
    if folder and not items:
        raise HubError(404, f"{folder} does not exist", "EntryNotFound")
    return [item for path, item in items.items() if recursive or "/" not in path.removeprefix(prefix)]


def _refs(repo: Repo) -> dict:
    branches = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": oid} for n, oid in repo.branches.items()]
    tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": oid} for n, oid in repo.tags.items()]
    return {"branches": branches, "tags": tags, "converts": [], "pullRequests": []}


def _only_half(send: Send) -> Send:
    """Sends half of the body that was announced; the server then ends the connection."""

    async def cut(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": message["body"][: len(message["body"]) // 2]}
        await send(message)

    return cut
