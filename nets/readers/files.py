"""Files of tensors from strangers: read whole and without running code, or refused in one line.

Sizes are checked before memory is taken: of the archive, of what its parts declare, and of each
tensor against the bytes that back it.
"""

import json
import math
import pickle
import stat
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "ENDINGS",
    "check_backed",
    "matrix",
    "read_array",
    "read_checkpoint",
    "read_tensors",
    "stripped",
]

_LARGEST = 2**31
"""Bytes that a file may hold, unpacked; two layers of p = 1021 and 65536 neurons are 2**30."""

_LARGEST_HEADER = 10**8
"""Bytes of a safetensors header, the limit of that format."""

_SAFETENSORS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

_PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before the names of a state dict."""


def read_checkpoint(path: Path) -> Any:
    """What one ``.pth`` or ``.pt`` file holds, loaded with ``weights_only=True``.

    Raises
    ------
    ValueError
        If the file is missing, damaged, packed, or needs code to load.
    """
    _check_file(path)
    try:
        with path.open("rb") as file:
            packed = file.read(4) == b"PK\x03\x04"
        if packed:
            _check_archive(path, compressed=False)
        with warnings.catch_warnings():
            # A pickle that torch did not write; it is loaded or refused all the same.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        # A byte that begins nothing, rather than the name of something to call.
        if "Unsupported operand" in str(error):
            raise _unreadable(path) from None
        raise ValueError(
            f"{path} needs arbitrary code to load and is refused; "
            "ask its authors for plain tensors (torch.save of a state dict)"
        ) from None
    except _RefusedError:
        raise
    # Whatever else the loader stumbles over, and it is of a dozen kinds, is the file's fault.
    except Exception as error:
        raise _unreadable(path) from error


def read_tensors(path: Path) -> dict[str, Any]:
    """What a ``.pth``, ``.pt``, ``.npz`` or ``.safetensors`` file holds, by name.

    Returns
    -------
    dict
        Tensors, as they are stored, and for torch's own files whatever lies beside them.

    Raises
    ------
    ValueError
        If the file is no whole file of its kind, naming it.
    """
    stored = ENDINGS[path.suffix](path)
    if not isinstance(stored, Mapping) or not all(isinstance(name, str) for name in stored):
        raise ValueError(f"{path} holds a {type(stored).__name__}, not tensors by name")
    return dict(stored)


def read_array(path: Path) -> NDArray[Any]:
    """The one array of a ``.npy``, ``.pth`` or ``.pt`` file, or a list of numbers in the latter.

    Raises
    ------
    ValueError
        If the file is no whole file of its kind, naming it.
    """
    if path.suffix in (".pth", ".pt"):
        stored = read_checkpoint(path)
        if isinstance(stored, Tensor):
            check_backed(path, "its tensor", stored)
            return stored.numpy(force=True)
    elif path.suffix == ".npy":
        _check_file(path)
    else:
        raise ValueError(f"{path} must end in .npy, .pth or .pt")
    try:
        return np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.asarray(stored)
    except Exception as error:  # as in `read_checkpoint`
        raise _unreadable(path) from error


def matrix(file: Path, name: str, value: Any, dtypes: tuple[torch.dtype, ...]) -> NDArray[Any]:
    """A matrix of a file as an array, half precision as float32; checked before it is unfolded.

    Parameters
    ----------
    file : Path
    name : str
        For errors.
    value : Any
        What the file holds under that name.
    dtypes : tuple of torch.dtype
        Those that are accepted.

    Raises
    ------
    ValueError
        If it is no matrix, is sparse, meta or quantised, declares more numbers than it has, is of
        another dtype, or holds NaN or infinity.
    """
    if not isinstance(value, Tensor) or value.layout is not torch.strided:
        what = f"{value.layout} tensor" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{file}: {name} must be a matrix, got a {what}")
    if value.ndim != 2 or not value.numel():
        raise ValueError(f"{file}: {name} must be a matrix, got shape {tuple(value.shape)}")
    if value.dtype not in dtypes:
        names = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        raise ValueError(f"{file}: {name} must be of {names}, got {value.dtype}")
    check_backed(file, name, value)
    if value.dtype in (torch.float16, torch.bfloat16):
        value = value.detach().float()
    array: NDArray[Any] = value.numpy(force=True)
    if not np.isfinite(array).all():
        raise ValueError(f"{file}: {name} holds NaN or infinity; remove that checkpoint")
    return array


def check_backed(file: Path, name: str, value: Tensor) -> None:
    """Refuse a tensor without values of its own, or with fewer than its shape declares."""
    if value.device.type != "cpu":
        raise ValueError(f"{file}: {name} has no values, it is a {value.device.type} tensor")
    if value.layout is not torch.strided:
        raise ValueError(f"{file}: {name} is a {value.layout} tensor; make it dense")
    # A view with stride 0 declares any shape over a single number.
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ValueError(
            f"{file}: {name} declares shape {tuple(value.shape)} over "
            f"{value.untyped_storage().nbytes()} bytes; save it contiguous"
        )


def stripped(file: Path, named: Mapping[str, Any]) -> dict[str, Any]:
    """The same without the prefixes of DataParallel and torch.compile."""
    short: dict[str, Any] = {}
    for name, value in named.items():
        plain = name
        while plain.startswith(_PREFIXES):
            plain = plain.partition(".")[2]
        if plain in short:
            raise ValueError(f"{file} holds {plain!r} twice, with and without a prefix")
        short[plain] = value
    return short


class _RefusedError(ValueError):
    """An error that already says what is wrong, so that no other takes its place."""


def _unreadable(path: Path) -> ValueError:
    return _RefusedError(f"{path} is no readable checkpoint: cut short, or of another format")


def _check_file(path: Path) -> None:
    """Refuse what is no regular file of a size that could be right; links are followed."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise _RefusedError(f"{path} is missing; give a complete checkpoint directory") from None
    except OSError as error:
        raise _RefusedError(f"{path} cannot be read ({error.strerror})") from None
    if stat.S_ISDIR(status.st_mode):
        raise _RefusedError(f"{path} is a directory where a file should be")
    if not stat.S_ISREG(status.st_mode):
        raise _RefusedError(f"{path} is no regular file")
    if not status.st_size:
        raise _RefusedError(f"{path} is empty; fetch it again")
    if status.st_size > _LARGEST:
        raise _RefusedError(f"{path} has {status.st_size} bytes, more than {_LARGEST} are not read")


def _check_archive(path: Path, *, compressed: bool) -> None:
    """Refuse a zip archive that unpacks to more than fits, or than its file can hold."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    size = sum(part.file_size for part in parts)
    limit = _LARGEST if compressed else path.stat().st_size
    if size > limit or (not compressed and any(part.compress_type for part in parts)):
        raise _RefusedError(
            f"{path} unpacks to {size} bytes where {limit} are the most that is right; "
            "save it again, unpacked"
        )


def _read_npz(path: Path) -> dict[str, Tensor]:
    _check_file(path)
    try:
        _check_archive(path, compressed=True)
        with zipfile.ZipFile(path) as archive:
            for part in archive.infolist():
                with archive.open(part) as file:
                    _check_array(path, part, file)
        with np.load(path, allow_pickle=False) as stored:
            return {name: torch.as_tensor(stored[name]) for name in stored.files}
    except _RefusedError:
        raise
    except Exception as error:  # as in `read_checkpoint`
        raise _unreadable(path) from error


def _check_array(path: Path, part: zipfile.ZipInfo, file: Any) -> None:
    """Refuse an array that declares another size than it has."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read(file)
    if dtype.hasobject or dtype.kind not in "fiub":
        raise _RefusedError(f"{path}: {part.filename!r} is of {dtype}; save plain real numbers")
    if math.prod(shape) * dtype.itemsize != part.file_size - file.tell():
        raise _RefusedError(
            f"{path}: {part.filename!r} declares shape {shape}, which its size is not"
        )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """Eight bytes of length, a JSON header of that length, then the numbers without gaps."""
    _check_file(path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= min(len(content) - 8, _LARGEST_HEADER):
        raise _unreadable(path)
    try:
        header = json.loads(content[8 : 8 + length])
        header.pop("__metadata__", None)
        parts = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
        named, at = {}, 0
        for name, part in parts:
            start, end = part["data_offsets"]
            shape = tuple(part["shape"])
            dtype = _SAFETENSORS.get(part["dtype"])
            if dtype is None:
                raise _RefusedError(f"{path}: {name!r} is of {part['dtype']}, which is not read")
            if not all(type(size) is int and size >= 0 for size in (*shape, start, end)):
                raise _unreadable(path)
            if start != at or math.prod(shape) * dtype.itemsize != end - start:
                raise _RefusedError(
                    f"{path}: {name!r} declares shape {shape}, which its size is not"
                )
            at = end
            data = bytearray(content[8 + length + start : 8 + length + end])
            if len(data) != end - start:
                raise _unreadable(path)
            flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            named[name] = flat.reshape(shape)
    except _RefusedError:
        raise
    except Exception as error:  # a header is JSON of any form
        raise _unreadable(path) from error
    # Bytes that no name covers would be dropped without a word.
    if 8 + length + at != len(content):
        raise _unreadable(path)
    return named


ENDINGS = {
    ".pth": read_checkpoint,
    ".pt": read_checkpoint,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
}
