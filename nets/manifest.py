"""The manifest of a run: what of it is complete, replaced in one rename, with a checksum."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["never_published", "read_manifest", "replace_file", "versions", "write_manifest"]

FORMAT = 2


def never_published(path: Path) -> bool:
    """Whether a directory holds only what a writer leaves that was killed before its first step."""
    leftovers = {"arrays.zarr", ".lock", "state-0.pth", "state-0.pth.new", "run.json.new"}
    return path.is_dir() and {file.name for file in path.iterdir()} <= leftovers


def read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise ValueError(f"{path} is no directory; give a run made by train or import")
    file = path / "run.json"
    if not file.is_file():
        raise ValueError(
            f"{path} is no run (it has no run.json); give a directory made by train or import"
        )
    try:
        manifest: dict[str, Any] = json.loads(file.read_text())
        if manifest["format"] != FORMAT:
            raise ValueError(f"format {manifest['format']} is unknown, this version reads {FORMAT}")
        if manifest.pop("sha256") != _digest(manifest):
            raise ValueError("it was altered: its checksum does not fit")
        if not manifest["steps"]:
            raise ValueError("it has no checkpoint")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} is damaged ({error}); restore it from a copy") from error
    return manifest


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    text = json.dumps(dict(manifest) | {"sha256": _digest(manifest)}, indent=1).encode()
    replace_file(path / "run.json", lambda file: file.write(text))


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def replace_file(path: Path, write: Any) -> None:
    """Write a file beside and rename it over, so that no reader meets half of it."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def versions() -> dict[str, str]:
    names = ("grokode", "torch", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
