"""Streams of winners: the right law, the same numbers after a kill, and nothing overwritten."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import xarray as xr

from grokode.executors import Ended, WorkerDiedError
from grokode.theory import exact, fourier, streaming
from grokode.theory.streaming import stream_winners


def test_winners_are_the_first_to_blow_up(tmp_path):
    won = stream_winners(23, 600, 0.1, 5, tmp_path / "w.zarr")
    theta_hat, xi_hat = streaming._draw(23, 0.1, 5, 2, 88)
    T = exact.blowup_time(theta_hat, xi_hat, 23)
    np.testing.assert_array_equal(won.winner[512:], T.argmin(axis=1) + 1)
    np.testing.assert_array_equal(won.blowup_time[512:], T.min(axis=1))


def test_the_law_is_that_of_gaussian_weights(tmp_path):
    p, neurons, scale = 11, 20_000, 0.3
    won = stream_winners(p, neurons, scale, 0, tmp_path / "w.zarr")
    theta, xi = scale / np.sqrt(p) * np.random.default_rng(1).normal(size=(2, neurons, p))
    s = fourier.spectrum(theta, xi)
    T = exact.blowup_time(s.theta_hat, s.xi_hat, p).min("frequency")
    both = np.sort(np.concatenate([won.blowup_time, T]))
    distance = np.abs(
        np.searchsorted(np.sort(won.blowup_time), both, side="right") / neurons
        - np.searchsorted(np.sort(T), both, side="right") / neurons
    ).max()
    # Kolmogorov-Smirnov: beyond 2.3 sqrt(2/n) with probability 5e-5 under one law.
    assert distance < 2.3 * np.sqrt(2 / neurons)
    # By symmetry all frequencies win equally often, within five standard deviations.
    counts = np.bincount(won.winner, minlength=6)[1:]
    assert np.abs(counts - neurons / 5).max() < 5 * np.sqrt(neurons * 0.2 * 0.8)


def test_chunks_do_not_matter(tmp_path):
    one = stream_winners(7, 2000, 0.1, 3, tmp_path / "one.zarr", chunk=256)
    two = stream_winners(7, 2000, 0.1, 3, tmp_path / "two.zarr", chunk=1024)
    xr.testing.assert_identical(one.load(), two.load())


def test_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    whole = stream_winners(7, 2000, 0.1, 3, tmp_path / "whole.zarr", chunk=512)
    calls = iter(range(5))  # the sixth block of 256, inside the third chunk, never comes

    def interrupted(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return exact.blowup_time(*arguments)

    path = tmp_path / "killed.zarr"
    monkeypatch.setattr(streaming, "blowup_time", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stream_winners(7, 2000, 0.1, 3, path, chunk=512)
    monkeypatch.setattr(streaming, "blowup_time", exact.blowup_time)
    left = xr.open_zarr(path / "winners.zarr", consolidated=False, chunks=None).winner
    assert int((left == 0).sum()) == 2000 - 2 * 512
    # With another chunk: the store keeps its own.
    xr.testing.assert_identical(
        stream_winners(7, 2000, 0.1, 3, path, chunk=256, resume=True).load(), whole.load()
    )


def test_workers_decide_the_same_and_one_may_be_killed(tmp_path):
    whole = stream_winners(out=tmp_path / "whole", **(SMALL | {"neurons": 20_000})).load()
    path, killed = tmp_path / "shared", []

    def kill():
        """As soon as a chunk is there, a worker is not."""
        journal = path / "stream.jsonl"
        until = time.monotonic() + 600
        while time.monotonic() < until and not (journal.exists() and _lines(journal) > 1):
            time.sleep(0.002)
        for child in multiprocessing.active_children()[:1]:
            os.kill(child.pid, signal.SIGKILL)
            killed.append(child.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    shared = stream_winners(out=path, workers=2, **(SMALL | {"neurons": 20_000})).load()
    killer.join()
    assert killed
    xr.testing.assert_identical(shared, whole)


def test_chunks_are_written_in_their_order_whoever_is_first(monkeypatch):
    def backwards(function, chunks, **options):
        return (Ended(i, (i, i), None, 0) for i in (2, 0, 1, 4, 3))

    monkeypatch.setattr(streaming, "run_tasks", backwards)
    assert list(streaming._in_order(streaming._decide, [()] * 5, 2, None)) == [
        (i, i) for i in range(5)
    ]


def test_a_chunk_that_nobody_decides_ends_the_stream(tmp_path, monkeypatch):
    def failing(function, chunks, **options):
        yield Ended(0, function(*chunks[0]), None, 0)
        yield Ended(1, None, WorkerDiedError("its worker died 3 times"), 0)

    whole = stream_winners(out=tmp_path / "whole", **SMALL).load()
    with monkeypatch.context() as patched:
        patched.setattr(streaming, "run_tasks", failing)
        with pytest.raises(RuntimeError, match=r"neurons 256 to 512 .* resume=True goes on"):
            stream_winners(out=tmp_path / "s", workers=2, **SMALL)
    assert _lines(tmp_path / "s" / "stream.jsonl") == 2
    xr.testing.assert_identical(reread(tmp_path / "s"), whole)


def _lines(file):
    return file.read_text().count("\n")


def test_a_killed_process_is_resumed(tmp_path):
    path = tmp_path / "killed.zarr"
    code = (
        "from grokode.theory.streaming import stream_winners; "
        f"stream_winners(23, 1_000_000, 0.1, 1, {str(path)!r}, chunk=256)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    journal = path / "stream.jsonl"
    while process.poll() is None and not (journal.exists() and _lines(journal) > 20):
        time.sleep(0.01)
    assert process.poll() is None, "the stream ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # What the journal names is whole: it is that of a stream of its first neurons alone.
    left = xr.open_zarr(path / "winners.zarr", consolidated=False, chunks=None).load()
    done = 256 * (_lines(journal) - 1)
    assert done >= 20 * 256
    short = stream_winners(23, done, 0.1, 1, tmp_path / "short.zarr").load()
    for name in ("winner", "blowup_time"):
        np.testing.assert_array_equal(left[name][:done], short[name])


def test_a_finished_stream_is_left_alone(tmp_path):
    path = tmp_path / "w.zarr"
    stream_winners(7, 300, 0.1, 3, path)
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    with pytest.raises(FileExistsError, match="resume=True"):
        stream_winners(7, 300, 0.1, 3, path)
    stream_winners(7, 300, 0.1, 3, path, resume=True)
    assert before == {file: file.stat().st_mtime_ns for file in path.rglob("*")}


def test_foreign_stores_are_refused(tmp_path):
    path = tmp_path / "w.zarr"
    stream_winners(7, 300, 0.1, 3, path)
    with pytest.raises(ValueError, match="'seed': 3"):
        stream_winners(7, 300, 0.1, 4, path, resume=True)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear all")
    with pytest.raises(ValueError, match="no stream of winners"):
        stream_winners(7, 300, 0.1, 3, tmp_path / "letters", resume=True)
    assert (tmp_path / "letters" / "a.txt").read_text() == "dear all"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"p": 8}, "odd"),
        ({"neurons": 0}, "neurons"),
        ({"neurons": 2.5}, "neurons"),
        ({"scale": -0.1}, "scale"),
        ({"scale": np.nan}, "scale"),
        ({"seed": -1}, "seed"),
        ({"chunk": 100}, "multiple of 256"),
        ({"workers": 0}, "workers"),
    ],
)
def test_bad_input_is_named(options, match, tmp_path):
    arguments = {"p": 7, "neurons": 10, "scale": 0.1, "seed": 0} | options
    with pytest.raises((TypeError, ValueError), match=match):
        stream_winners(out=tmp_path / "w.zarr", **arguments)
    assert not (tmp_path / "w.zarr").exists()


SMALL = {"p": 7, "neurons": 700, "scale": 0.1, "seed": 3, "chunk": 256}


@pytest.fixture
def stream(tmp_path):
    """A finished stream of three chunks, and its numbers."""
    path = tmp_path / "s"
    return path, stream_winners(out=path, **SMALL).load()


def files(path):
    return sorted(f for f in path.rglob("*") if f.is_file() and f.name != ".lock")


def reread(path):
    return stream_winners(out=path, resume=True, **SMALL).load()


def test_a_flipped_bit_is_refused_or_without_effect(stream):
    """Three bits in every file: metadata, journal and chunks."""
    path, whole = stream
    rng = np.random.default_rng(0)
    assert len(files(path)) == 1 + 3 + 2 * 3
    for file in files(path):
        content = file.read_bytes()
        for place in rng.integers(len(content), size=3):
            flipped = bytearray(content)
            flipped[place] ^= 1 << int(rng.integers(8))
            file.write_bytes(flipped)
            with pytest.raises(ValueError, match="altered"):
                reread(path)
            file.write_bytes(content)
    xr.testing.assert_identical(reread(path), whole)


def test_a_missing_or_truncated_file_is_refused(stream):
    path, whole = stream
    for file in files(path):
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(ValueError, match=r"is missing|holds no stream"):
            reread(path)
        os.mkfifo(file)  # as an archive from a stranger may hold: not waited for
        with pytest.raises(ValueError, match=r"is missing|holds no stream"):
            reread(path)
        file.unlink()
        file.write_bytes(content[: len(content) // 2])
        if file.name == "stream.jsonl":  # as a power cut leaves it: streamed again from there
            xr.testing.assert_identical(reread(path), whole)
        else:
            with pytest.raises(ValueError, match="altered"):
                reread(path)
        file.write_bytes(content)


def test_swapped_chunks_and_lines_are_refused(stream):
    path, _ = stream
    one, two = (path / "winners.zarr" / "winner" / "c" / index for index in "01")
    journal = path / "stream.jsonl"
    before = one.read_bytes(), two.read_bytes(), journal.read_text()
    one.write_bytes(before[1])
    two.write_bytes(before[0])
    with pytest.raises(ValueError, match="altered"):
        reread(path)
    one.write_bytes(before[0])
    two.write_bytes(before[1])
    head, *lines = before[2].splitlines(keepends=True)
    journal.write_text("".join([head, lines[1], lines[0], lines[2]]))
    with pytest.raises(ValueError, match="chunk 0 is not where it is"):
        reread(path)


def test_damage_after_opening_is_noticed_when_it_is_read(tmp_path):
    path = tmp_path / "s"
    won = stream_winners(out=path, **SMALL)
    (path / "winners.zarr" / "blowup_time" / "c" / "1").unlink()
    with pytest.raises(ValueError, match="is missing"):
        won.blowup_time.load()


def test_neighbours_and_links_are_left_alone(tmp_path):
    path = tmp_path / "s"
    (tmp_path / "s.new").mkdir()
    (tmp_path / "s.new" / "mine").write_text("mine")
    stream_winners(out=path, **SMALL)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["s", "s.new"]
    assert (tmp_path / "s.new" / "mine").read_text() == "mine"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        stream_winners(out=tmp_path / "link", **SMALL)
    assert not (tmp_path / "nowhere").exists()


def test_two_writers_do_not_mix(tmp_path, monkeypatch):
    path = tmp_path / "s"
    decided = streaming._decide

    def decide_while_another_tries(*arguments):
        with pytest.raises(BlockingIOError, match="written by another process"):
            stream_winners(out=path, resume=True, **SMALL)
        return decided(*arguments)

    monkeypatch.setattr(streaming, "_decide", decide_while_another_tries)
    stream_winners(out=path, **SMALL)


def test_a_store_without_a_journal_is_not_taken_over(tmp_path):
    """As an earlier version left them, or any Zarr group of the user's own."""
    path = tmp_path / "s"
    xr.Dataset({"winner": ("neuron", np.ones(700, np.int32))}).to_zarr(path, consolidated=False)
    before = files(path)
    with pytest.raises(ValueError, match="holds no stream"):
        reread(path)
    assert files(path) == before
