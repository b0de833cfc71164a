"""Checkpoints from strangers: each bad one is one line that names it, and nothing is written."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import pytest
import torch

from grokode import nets
from grokode.nets.readers import files
from grokode.nets.runs import RunWriter
from tests.checkpoints import write_checkpoints

GOOD = torch.ones(6, 5)


def refused(tmp_path, file, match):
    """One line that names the file, before any directory is made."""
    with pytest.raises(ValueError, match=match) as caught:
        nets.import_checkpoint(file, tmp_path / "run", activation="relu")
    assert file.name in str(caught.value)
    assert "\n" not in str(caught.value)
    # What we say is short; how long the user's folder names are is not ours to choose.
    assert len(str(caught.value).replace(str(file), "")) < 600
    assert not (tmp_path / "run").exists()


def sparse():
    return torch.eye(6, 5).to_sparse()


class Code:
    def __reduce__(self):
        return (os.mkdir, ("executed",))


TENSORS = {
    "meta": (torch.empty(6, 5, device="meta"), "has no values, it is a meta tensor"),
    "sparse": (sparse(), "torch.sparse_coo tensor"),
    "integer": (GOOD.long(), "must be of .* got torch.int64"),
    "complex": (GOOD.to(torch.complex64), "got torch.complex64"),
    "boolean": (GOOD.bool(), "got torch.bool"),
    "nan": (GOOD * torch.nan, "holds NaN or infinity"),
    "infinite": (GOOD * torch.inf, "holds NaN or infinity"),
    "expanded": (torch.ones(1).expand(10**6, 10**6), r"declares shape \(1000000, 1000000\) over"),
    "empty": (torch.ones(0, 5), r"must be a matrix, got shape \(0, 5\)"),
    "three sides": (torch.ones(2, 3, 5), r"holds 'a' \(2, 3, 5\), for which"),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_that_are_no_weights(tmp_path, kind):
    tensor, match = TENSORS[kind]
    torch.save({"a": tensor, "b": GOOD}, tmp_path / "bad.pt")
    refused(tmp_path, tmp_path / "bad.pt", match)


def packed(content):
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def bomb(method):
    """A packed zero that unpacks to 64 MB, as torch or numpy would name it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 2**26)
    return out.getvalue()


def npy(shape, dtype="<f4", data=b""):
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def npz(**parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(f"{name}.npy", content)
    return out.getvalue()


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def part(shape, end, dtype="F32", start=0):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


WHOLE = packed({"a": GOOD, "b": GOOD})
CONTENTS = {
    "empty.pt": (b"", "is empty"),
    "text.pt": (b"hello, world\n", "is no readable checkpoint"),
    "half.pt": (WHOLE[: len(WHOLE) // 2], "is no readable checkpoint: cut short"),
    "few.pt": (WHOLE[:3], "is no readable checkpoint"),
    "code.pt": (packed({"a": Code()}), "needs arbitrary code to load and is refused"),
    "pickle.pt": (pickle.dumps({"a": Code()}, protocol=2), "needs arbitrary code"),
    "new pickle.pt": (pickle.dumps({"a": Code()}), "is no readable checkpoint"),
    "list.pt": (packed([GOOD, GOOD]), "holds a list, not tensors by name"),
    "numbers.pt": (packed({1: GOOD, 2: GOOD}), "holds a dict, not tensors by name"),
    "two.pt": (packed({"model": {"a": GOOD}, "ema": {"a": GOOD}}), "holds 2 state dicts"),
    "none.pt": (packed({"epoch": 3}), "holds 0 state dicts"),
    "bomb.pt": (bomb(zipfile.ZIP_DEFLATED), "unpacks to 67108864 bytes"),
    "half.npz": (npz(a=npy((6, 5), data=bytes(120)))[:99], "is no readable checkpoint"),
    "huge.npz": (npz(a=npy((10**9, 10**9))), r"declares shape \(1000000000, 1000000000\)"),
    "short.npz": (npz(a=npy((6, 5), data=bytes(8))), r"declares shape \(6, 5\)"),
    "object.npz": (npz(a=npy((1,), "|O", pickle.dumps([1]))), "is of object"),
    "text.npz": (b"hello", "is no readable checkpoint"),
    "length.safetensors": (safetensors(b"{}", length=2**62), "is no readable checkpoint"),
    "text.safetensors": (b"hi", "is no readable checkpoint"),
    "json.safetensors": (safetensors(b"[1, 2"), "is no readable checkpoint"),
    "form.safetensors": (safetensors({"a": 3}), "is no readable checkpoint"),
    "huge.safetensors": (safetensors({"a": part([10**9, 10**9], 8)}, bytes(8)), "declares shape"),
    "beyond.safetensors": (safetensors({"a": part([6, 5], 120)}, bytes(8)), "is no readable"),
    "gap.safetensors": (safetensors({"a": part([2], 16, start=8)}, bytes(16)), "declares shape"),
    "rest.safetensors": (safetensors({"a": part([2], 8)}, bytes(16)), "is no readable"),
    "negative.safetensors": (safetensors({"a": part([-2, -1], 8)}, bytes(8)), "is no readable"),
    "float8.safetensors": (safetensors({"a": part([2], 2, "F8_E4M3")}, bytes(2)), "F8_E4M3"),
    # 400 kB that would be a table of 10^10 pairs.
    "wide.pt": (packed({"a": torch.ones(1, 99_999), "b": torch.ones(99_999, 1)}), "3 to 1021"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_files_that_are_no_checkpoints(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, match = CONTENTS[name]
    (tmp_path / name).write_bytes(content)
    refused(tmp_path, tmp_path / name, match)
    assert not (tmp_path / "executed").exists()


def test_an_archive_of_zeros_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_LARGEST", 2**20)
    with zipfile.ZipFile(tmp_path / "zeros.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy((2**18, 2), data=bytes(2**21)))
    assert (tmp_path / "zeros.npz").stat().st_size < 2**16
    refused(tmp_path, tmp_path / "zeros.npz", "unpacks to 2097")


def test_a_published_directory_of_a_huge_modulus_is_refused(tmp_path):
    source = write_checkpoints(tmp_path / "p_5_Quad")
    model = {"mlp.W_in": torch.ones(1, 99_999), "mlp.W_out": torch.ones(99_999, 1)}
    torch.save(torch.load(source / "final.pth") | {"model": model}, source / "final.pth")
    refused(tmp_path, source, "p = 99999 is beyond 1021")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda path: path.mkdir(), "is a directory where a file should be"),
        (lambda path: path.symlink_to("loop.pt"), "cannot be read"),
        (lambda path: path.symlink_to("nowhere.pt"), "is missing"),
        (os.mkfifo, "is no regular file"),
    ],
)
def test_what_is_no_file_is_named(tmp_path, make, match):
    make(tmp_path / "loop.pt")
    with pytest.raises(ValueError, match=match):
        files.read_checkpoint(tmp_path / "loop.pt")


def test_unknown_kinds_are_named_with_those_that_exist(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    refused(
        tmp_path, tmp_path / "notes.txt", r"file ending in '\.txt', which no reader knows; state"
    )
    refused(tmp_path, tmp_path, r"a directory of 1 files \('notes.txt'\), which no .*; he2026: ")
    refused(tmp_path, tmp_path / "nowhere", "does not exist, which no reader knows")
    with pytest.raises(ValueError, match=r"reader must be one of state_dict, he2026, .*, got 'x'"):
        nets.import_checkpoint(tmp_path, tmp_path / "run", reader="x")


@pytest.fixture
def source(tmp_path):
    return write_checkpoints(tmp_path / "p_5_dmlp_6_Quad_random")


def test_neighbours_of_a_run_are_left_alone(source, tmp_path):
    neighbour = tmp_path / "mine.partial"
    neighbour.mkdir()
    (neighbour / "precious").write_text("x")
    nets.import_checkpoint(source, tmp_path / "mine")
    assert (neighbour / "precious").read_text() == "x"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "link").symlink_to(elsewhere)
    with pytest.raises(FileExistsError, match="link exists"):
        nets.import_checkpoint(source, tmp_path / "link")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="dangling exists"):
        nets.import_checkpoint(source, tmp_path / "dangling")
    assert not list(elsewhere.iterdir())
    with pytest.raises(FileExistsError, match=r"mine\.partial exists"):
        nets.import_checkpoint(source, neighbour)
    assert sorted(file.name for file in neighbour.iterdir()) == ["precious"]


def test_export_follows_no_link(source, tmp_path):
    run = nets.import_checkpoint(source, tmp_path / "run")
    (tmp_path / "precious").write_text("x")
    for name in ("w.npz", "w.pth"):
        (tmp_path / f"{name}.new").symlink_to(tmp_path / "precious")
        run.export(tmp_path / name)
        (tmp_path / f"to-{name}").symlink_to(tmp_path / f"nowhere-{name}")
        with pytest.raises(FileExistsError):
            run.export(tmp_path / f"to-{name}")
    assert (tmp_path / "precious").read_text() == "x"
    assert not list(tmp_path.glob("nowhere*"))


def test_a_killed_import_is_taken_up(source, tmp_path, monkeypatch):
    """Killed after its checkpoints and before its manifest, and then given the same command."""
    whole = nets.import_checkpoint(source, tmp_path / "whole")
    code = f"""
import os, sys
from pathlib import Path
from grokode import nets
from grokode.nets.runs import RunWriter
RunWriter.log = lambda *_: os._exit(9)
nets.import_checkpoint({str(source)!r}, {str(tmp_path / "run")!r})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert not (tmp_path / "run").exists()
    run = nets.import_checkpoint(source, tmp_path / "run")
    assert run.weights.equals(whole.weights)
    assert run.metrics.equals(whole.metrics)


def test_a_failed_write_leaves_nothing(source, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(RunWriter, "log", full)
    with pytest.raises(OSError, match="No space"):
        nets.import_checkpoint(source, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_two_imports_at_once_do_not_meet(source, tmp_path):
    """The second finds what the first, or a training, has made there, and leaves it as it is."""
    with RunWriter(tmp_path / "begun"), pytest.raises(FileExistsError):
        nets.import_checkpoint(source, tmp_path / "begun")
    run = nets.import_checkpoint(source, tmp_path / "run")
    with pytest.raises(FileExistsError):
        nets.import_checkpoint(source, tmp_path / "run")
    assert nets.open_run(run.path).weights.equals(run.weights)
