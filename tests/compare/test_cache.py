"""Measured results beside a run, under attack: measured anew, never believed, never executed."""

import dataclasses
import hashlib
import io
import json
import os
import stat
import zipfile

import numpy as np
import pytest
import xarray as xr

from grokode import nets
from grokode.compare import cache
from grokode.compare.question import Question

CONFIG = nets.TrainingConfig(p=5, neurons=3, steps=4, checkpoint_every=2, log_every=2)


class Counted:
    """A question as of this package, which knows how often it was measured."""

    def __init__(self, name="size"):
        self.calls = 0

        def measure(run, /, **options):
            self.calls += 1
            norms = (run.weights.theta**2).sum(("neuron", "x"))
            return {"size": xr.Dataset({"norm": norms, "word": ("step", ["a"] * norms.size)})}

        measure.__module__ = "grokode.compare.made"
        nothing = lambda *_: []  # noqa: E731
        self.question = Question(
            name, "How large?", nothing, measure, nothing, nothing, nothing, nothing
        )

    def ask(self, run, **options):
        return cache.ask(self.question, run, **options)["size"]


@pytest.fixture(autouse=True)
def secret(tmp_path, monkeypatch):
    """A home of our own, so that tests leave none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    cache._secret.cache_clear()
    yield tmp_path / "home" / "grokode" / "measured.key"
    cache._secret.cache_clear()


@pytest.fixture
def run(tmp_path):
    return nets.train(CONFIG, tmp_path / "run")


def kept(run):
    (file,) = (run.path / cache.CACHE).iterdir()
    return file


def members(file):
    with np.load(io.BytesIO(file.read_bytes()[32:])) as arrays:
        return dict(arrays)


def packed(arrays, **options):
    buffer = io.BytesIO()
    np.savez(buffer, **options, **arrays)
    return buffer.getvalue()


def sealed(body):
    return cache._sealed(body) + body


def summed(body):
    """What anybody can make."""
    return hashlib.sha256(body).digest() + body


def altered(arrays, change):
    index = json.loads(arrays["index"].item())
    change(index)
    return arrays | {"index": np.array(json.dumps(index))}


def harms(content):
    for at in range(0, len(content), max(1, len(content) // 20)):
        yield content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        yield content[:at]
    yield content + b"\0"
    yield content[32:]
    yield bytes(32) + content[32:]


def test_every_alteration_is_measured_anew(run):
    question = Counted()
    first = question.ask(run)
    assert question.ask(run).identical(first)
    assert question.calls == 1
    content = kept(run).read_bytes()
    for number, harmed in enumerate(harms(content)):
        kept(run).write_bytes(harmed)
        assert question.ask(run).identical(first)
        assert question.calls == number + 2
    # Whatever was there, the true result is there again.
    assert kept(run).read_bytes()[32:] == content[32:]


def test_what_was_measured_of_anything_else_is_not_taken(run, tmp_path):
    """Files of another run, seed, question, option or package in the place of the true one."""
    other = nets.train(dataclasses.replace(CONFIG, seed=1), tmp_path / "other")
    two = nets.train(CONFIG, tmp_path / "two", seeds=[0, 1])
    question = Counted()
    first, file = question.ask(run), kept(run)
    for asked, of, options in (
        (question, other, {}),
        (question, two.select(1), {}),
        (Counted("other"), run, {}),
        (question, run, {"step": 2}),
    ):
        before = {*(of.path / cache.CACHE).glob("*")}
        asked.ask(of, **options)
        (made,) = {*(of.path / cache.CACHE).iterdir()} - before
        file.write_bytes(made.read_bytes())
        calls = question.calls
        assert question.ask(run).identical(first)
        assert question.calls == calls + 1


FORGED = {
    "values": lambda arrays: arrays | {"array0": arrays["array0"] + 1},
    "another type": lambda arrays: arrays | {"array0": arrays["array0"].astype(">f4")},
    "another shape": lambda arrays: arrays | {"array0": arrays["array0"][:1]},
    "nothing": lambda arrays: altered(arrays, lambda index: index.update(datasets={})),
    "no index": lambda arrays: {name: of for name, of in arrays.items() if name != "index"},
    "hostile names": lambda arrays: (
        altered(arrays, lambda index: index["datasets"].update({"\x1b]0;x\x07": {}}))
        | {"../../../evil": np.zeros(1)}
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_a_stranger_made_up_is_not_believed(run, name, secret):
    """All of it fits, down to the checksum; but it is not this user who sealed it."""
    question = Counted()
    first, file = question.ask(run), kept(run)
    body = packed(FORGED[name](members(file)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "_secret", lambda: b"\x01" * 32)
        foreign = sealed(body)
    for content in (summed(body), foreign):
        calls = question.calls
        file.write_bytes(content)
        assert question.ask(run).identical(first)
        assert question.calls == calls + 1
    assert not (run.path.parent.parent / "evil.npy").exists()


class Payload:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (os.mkdir, (self.place,))


def test_nothing_is_executed_even_if_it_is_sealed(run, tmp_path):
    question = Counted()
    first, file = question.ask(run), kept(run)
    arrays = members(file)
    place = str(tmp_path / "executed")
    for evil in (
        arrays | {"array0": np.array([Payload(place)], dtype=object)},
        arrays | {"index": np.array(Payload(place), dtype=object)},
        altered(arrays, lambda index: index["datasets"]["size"].update(data=[["a", [], "b", 3]])),
        altered(arrays, lambda index: index["datasets"].update(size=3)),
        altered(arrays, lambda index: index.pop("about")),
    ):
        calls = question.calls
        file.write_bytes(sealed(packed(evil, allow_pickle=True)))
        assert question.ask(run).identical(first)
        assert question.calls == calls + 1
    for body in (b"", b"PK\x03\x04", b"\x80\x04.", zipped(b"x")):
        file.write_bytes(sealed(body))
        assert question.ask(run).identical(first)
    assert not (tmp_path / "executed").exists()


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.npy", content)
    return buffer.getvalue()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("kind", ["pipe", "folder", "endless", "huge"])
def test_what_is_no_file_of_ours_is_neither_waited_for_nor_read(run, kind):
    question = Counted()
    first, file = question.ask(run), kept(run)
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "endless":
        file.symlink_to("/dev/zero")
    else:
        with file.open("wb") as out:
            out.truncate(2**41)
    assert question.ask(run).identical(first)
    assert question.calls == 2


def test_a_run_that_went_on_after_it_was_opened_has_its_own_results(run):
    """What was measured of the run as it was must not be what is read of the longer one."""
    question = Counted()
    longer = nets.train(dataclasses.replace(CONFIG, steps=8), run.path, resume=True)
    assert question.ask(run).sizes["step"] == 3
    assert question.ask(nets.open_run(run.path)).sizes["step"] == 5
    assert question.ask(longer).sizes["step"] == 5
    assert question.ask(run).sizes["step"] == 3
    assert question.calls == 2


def test_the_secret_is_this_users_alone(run, secret, monkeypatch, tmp_path):
    question = Counted()
    question.ask(run)
    assert len(secret.read_bytes()) == 32
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    # Kept from one process to the next,
    cache._secret.cache_clear()
    question.ask(run)
    assert question.calls == 1
    # but another user has another, and so has one without a home to write to, or with half a key.
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "elsewhere", tmp_path / "file"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
        cache._secret.cache_clear()
        calls = question.calls
        question.ask(run)
        assert question.calls == calls + 1
    secret.write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(secret.parent.parent))
    cache._secret.cache_clear()
    assert len(cache._secret()) == 32
