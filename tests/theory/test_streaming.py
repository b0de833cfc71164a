"""Streams of winners: the right law, the same numbers after a kill, and nothing overwritten."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

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


def test_a_killed_process_is_resumed(tmp_path):
    path = tmp_path / "killed.zarr"
    code = (
        "from grokode.theory.streaming import stream_winners; "
        f"stream_winners(23, 1_000_000, 0.1, 1, {str(path)!r}, chunk=256)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while process.poll() is None and len(list(path.glob("winners.zarr/winner/c/*"))) < 20:
        time.sleep(0.01)
    assert process.poll() is None, "the stream ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # What was written is whole: it is that of a stream of its first neurons alone.
    left = xr.open_zarr(path / "winners.zarr", consolidated=False, chunks=None).load()
    done = int((left.winner > 0).sum())
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
    ],
)
def test_bad_input_is_named(options, match, tmp_path):
    arguments = {"p": 7, "neurons": 10, "scale": 0.1, "seed": 0} | options
    with pytest.raises((TypeError, ValueError), match=match):
        stream_winners(out=tmp_path / "w.zarr", **arguments)
    assert not (tmp_path / "w.zarr").exists()
