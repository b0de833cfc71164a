"""A file system under a writer that loses what was not synced: what a power cut may leave."""

import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class _File:
    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""


@dataclass
class _Directory:
    names: dict = field(default_factory=dict)
    durable: dict = field(default_factory=dict)


class Recorder:
    """Stands in for `os` where a run is written, does what is asked, and notes it.

    Parameters
    ----------
    root : Path
        Where the recorded directories lie.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.calls = root, []
        self._open = {}

    def __getattr__(self, name):
        return getattr(os, name)

    def _where(self, name, handle):
        base = self._open[handle] if handle is not None else None
        path = Path(name) if base is None else base / name
        return path

    def open(self, name, flags, mode=0o777, *, dir_fd=None):
        handle = os.open(name, flags, mode, dir_fd=dir_fd)
        path = self._open[handle] = self._where(name, dir_fd)
        if flags & os.O_CREAT:
            self.calls.append(("create", path))
        return handle

    def close(self, handle):
        os.close(handle)

    def write(self, handle, content):
        offset = os.lseek(handle, 0, os.SEEK_CUR)
        done = os.write(handle, content)
        self.calls.append(("write", self._open[handle], offset, bytes(content[:done])))
        return done

    def ftruncate(self, handle, length):
        os.ftruncate(handle, length)
        self.calls.append(("truncate", self._open[handle], length))

    def fsync(self, handle):
        self.calls.append(("sync", self._open[handle]))

    def mkdir(self, name, mode=0o777, *, dir_fd=None):
        os.mkdir(name, mode, dir_fd=dir_fd)
        self.calls.append(("mkdir", self._where(name, dir_fd)))

    def replace(self, old, new, *, src_dir_fd=None, dst_dir_fd=None):
        os.replace(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        old, new = self._where(old, src_dir_fd), self._where(new, dst_dir_fd)
        self.calls.append(("rename", old, new))

    def unlink(self, name, *, dir_fd=None):
        os.unlink(name, dir_fd=dir_fd)
        self.calls.append(("unlink", self._where(name, dir_fd)))


class Disk:
    """What a disk holds after some calls: for certain, and perhaps.

    Parameters
    ----------
    root : Path
        A directory that is there, and durable.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._top = root, _Directory()

    def _find(self, path):
        node = self._top
        for part in path.relative_to(self._root).parts:
            node = node.names[part]
        return node

    def do(self, call):
        kind, path, *rest = call
        if kind == "sync":
            node = self._find(path)
            if isinstance(node, _File):
                node.durable = bytes(node.content)
            else:
                node.durable = dict(node.names)
            return
        parent = self._find(path.parent) if path != self._root else None
        if kind == "create":
            parent.names.setdefault(path.name, _File())
        elif kind == "mkdir":
            parent.names[path.name] = _Directory()
        elif kind == "write":
            content, (offset, new) = self._find(path).content, rest
            content[offset : offset + len(new)] = new
        elif kind == "truncate":
            del self._find(path).content[rest[0] :]
        elif kind == "rename":
            self._find(rest[0].parent).names[rest[0].name] = parent.names.pop(path.name)
        elif kind == "unlink":
            del parent.names[path.name]

    def image(self, out: Path, chance) -> None:
        """Write what is left after a power cut.

        Parameters
        ----------
        out : Path
        chance : function () -> bool
            Whether a thing that was not synced reached the disk all the same: a name, a content.
        """
        self._write(self._top, out, chance, chance)

    def image_of_names(self, out: Path) -> None:
        """Every name is as it was, and no content that was not synced: empty files."""
        self._write(self._top, out, lambda: True, lambda: False)

    def _write(self, node, out, name_is_kept, content_is_kept):
        if isinstance(node, _File):
            out.write_bytes(bytes(node.content) if content_is_kept() else node.durable)
            return
        out.mkdir()
        for name in {*node.names, *node.durable}:
            now, then = node.names.get(name), node.durable.get(name)
            kept = now if now is then or name_is_kept() else then
            if kept is not None:
                self._write(kept, out / name, name_is_kept, content_is_kept)

    def unsynced(self, path: Path) -> bool:
        """Whether a file, or its name or that of a directory it is in, may be lost."""
        node = self._top
        for part in path.relative_to(self._root).parts:
            if node.durable.get(part) is not node.names[part]:
                return True
            node = node.names[part]
        return bytes(node.content) != node.durable

    def is_durable(self, path: Path) -> bool:
        """Whether a file's content is what the disk has of it."""
        file = self._find(path)
        return bytes(file.content) == file.durable
