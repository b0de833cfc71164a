"""What a run survives: kills at any moment, full disks, altered and missing files."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
import xarray as xr

from grokode import nets
from grokode.nets.training.config import TrainingConfig

SMALL = TrainingConfig(
    p=7, neurons=6, dtype="float64", steps=60, checkpoint_every=20, log_every=10, scale=0.5
)


# A server that has loaded everything a training needs, short of writing one, and forks a training
# for every line it reads: fifty interpreters would take minutes to start.
SERVER = """
import os, sys
import numpy as np
from grokode import nets
from grokode.nets.training.ensemble import Ensemble
from grokode.nets.tasks.examples import Examples
config = nets.TrainingConfig(p=3, neurons=1, dtype="float64")
examples = Examples.of(config.data, [0], [np.arange(9)], symmetric=True)
start = {{"theta": np.zeros((1, 1, 3)), "xi": np.zeros((1, 1, 3))}}
warm = Ensemble(config, [0], start, examples, "cpu")
warm.loss(0)
warm.update(0)
config = nets.TrainingConfig(**{fields!r})
for path in sys.stdin:
    pid = os.fork()
    if pid == 0:
        nets.train(config, path.strip(), seeds={seeds!r}, resume=True)
        os._exit(0)
    print(pid, flush=True)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("kills", [12, pytest.param(50, marks=pytest.mark.attack)])
def test_kills_lose_nothing_finished(tmp_path, kills):
    """kill -9 at random moments, each time resumed, against a training that was left alone.

    Every other kill waits for one new checkpoint first, so that a slow machine gets somewhere too.
    """
    config = dataclasses.replace(SMALL, steps=40_000, checkpoint_every=2, log_every=2)
    seeds, path = [0, 3], tmp_path / "killed"
    code = SERVER.format(fields=config.to_dict(), seeds=seeds)
    server = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A fork inherits no OpenMP threads and would wait for them for ever.
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    moments, seen = random.Random(0), 0
    with server:
        for kill in range(kills):
            states = set(path.glob("state-*.pth"))
            server.stdin.write(f"{path}\n")
            server.stdin.flush()
            pid = int(server.stdout.readline())
            give_up = time.monotonic() + 600
            while kill % 2 and set(path.glob("state-*.pth")) == states:
                assert time.monotonic() < give_up, "no checkpoint in a minute"
                time.sleep(0.001)
            time.sleep(moments.uniform(0.0, 0.2))
            os.kill(pid, signal.SIGKILL)
            if not (path / "run.json").exists():
                continue
            run = nets.open_run(path)
            steps = run.weights.step.values
            assert len(steps) >= seen
            seen = len(steps)
            np.testing.assert_array_equal(steps, np.arange(0, 2 * seen, 2))
            assert np.isfinite(run.weights.theta).all()
    done = dataclasses.replace(config, steps=2 * seen + 8)
    finished = nets.train(done, path, seeds=seeds, resume=True)
    whole = nets.train(done, tmp_path / "whole", seeds=seeds)
    for name in ("theta", "xi"):
        np.testing.assert_array_equal(finished.weights[name], whole.weights[name])
    np.testing.assert_array_equal(finished.metrics.train_loss, whole.metrics.train_loss)


FULL = """
import resource, signal, sys
from grokode import nets
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
config = nets.TrainingConfig(**{fields!r})
try:
    nets.train(config, sys.argv[1], resume=True)
except OSError as error:
    print(error)
    sys.exit(3)
"""


def test_a_full_disk_is_named_and_spoils_nothing(tmp_path):
    """No file may grow beyond 4000 bytes, which the logged metrics do in the end."""
    config = dataclasses.replace(SMALL, steps=400, checkpoint_every=10, log_every=1)
    code = FULL.format(fields=config.to_dict())
    path = tmp_path / "run"
    # As much as fits first, then the limit.
    nets.train(dataclasses.replace(config, steps=20), path)
    before = nets.open_run(path).weights.theta.values
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "could not be written (File too large)" in done.stdout
    assert "resume" in done.stdout
    kept = nets.open_run(path)
    np.testing.assert_array_equal(kept.weights.theta.isel(step=slice(len(before))), before)
    resumed = nets.train(config, path, resume=True)
    whole = nets.train(config, tmp_path / "whole")
    np.testing.assert_array_equal(resumed.weights.theta, whole.weights.theta)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc to count handles in")
def test_a_failing_disk_leaves_no_file_open(tmp_path, monkeypatch):
    """Whichever write, sync or opening of a file it is that fails."""
    before = len(os.listdir("/proc/self/fd"))
    for name in ("write", "fsync", "open"):
        call, left, number = getattr(os, name), [0], 0

        def fail(*given, call=call, left=left, **more):
            left[0] -= 1
            if left[0] == 0:
                raise OSError(28, "No space left on device")
            return call(*given, **more)

        while left[0] <= 0:  # until there is no such call
            number += 2
            left[0] = number
            # One that is hidden behind an error of who writes would not be an OSError.
            with monkeypatch.context() as patch, suppress(OSError):
                patch.setattr(os, name, fail)
                nets.train(SMALL.replace(steps=20), tmp_path / f"{name}-{number}")
            assert len(os.listdir("/proc/self/fd")) == before, (name, number)
        assert number > 10


def chunk(run, step=0, name="theta"):
    return run.path / "arrays.zarr" / "weights" / name / f"c.{step}.0.0.0"


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_altered_weights_are_not_used(tmp_path):
    run = nets.train(SMALL, tmp_path / "run")
    flip_a_bit(chunk(run, 1))
    with pytest.raises(ValueError, match=r"theta/c\.1\.0\.0\.0 was altered: its checksum"):
        run.weights.load()
    assert np.isfinite(run.weights.theta.isel(step=0)).all()


def test_truncated_weights_are_not_used(tmp_path):
    run = nets.train(SMALL, tmp_path / "run")
    file = chunk(run, 1)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"theta/c\.1\.0\.0\.0 is not of its \d+ bytes"):
        _ = run.weights


def test_missing_weights_are_named(tmp_path):
    run = nets.train(SMALL, tmp_path / "run")
    chunk(run, 2).unlink()
    with pytest.raises(ValueError, match=r"theta/c\.2\.0\.0\.0 is missing"):
        _ = nets.open_run(run.path).weights


def test_an_altered_manifest_is_named(tmp_path):
    run = nets.train(SMALL, tmp_path / "run")
    manifest = run.path / "run.json"
    manifest.write_text(
        manifest.read_text().replace('"learning_rate": 0.1', '"learning_rate": 0.2')
    )
    with pytest.raises(ValueError, match="altered"):
        nets.open_run(run.path)


ADAMW = dataclasses.replace(SMALL, optimizer="adamw", learning_rate=0.01)


@pytest.mark.parametrize("harm", ["bit", "cut", "remove"])
def test_a_damaged_state_costs_one_checkpoint(tmp_path, harm):
    """The training goes on from the one before, to the same bits, and says so."""
    longer = dataclasses.replace(ADAMW, steps=80)
    whole = nets.train(longer, tmp_path / "whole")
    run = nets.train(ADAMW, tmp_path / "run")
    harmed(run.path / "state-60.pth", harm)
    # What was learned by step 60 can be read all the same.
    np.testing.assert_array_equal(nets.open_run(run.path).weights.step, [0, 20, 40, 60])
    with pytest.warns(UserWarning, match=r"state-60\.pth is missing.* goes on from step 40"):
        resumed = nets.train(longer, run.path, resume=True)
    for name in ("weights", "metrics"):
        xr.testing.assert_equal(getattr(resumed, name).load(), getattr(whole, name).load())


def test_without_a_whole_state_a_resume_is_refused_and_nothing_is_lost(tmp_path):
    run = nets.train(ADAMW, tmp_path / "run")
    for step in (40, 60):
        flip_a_bit(run.path / f"state-{step}.pth")
    longer = dataclasses.replace(ADAMW, steps=80)
    with pytest.raises(ValueError, match=r"state-60\.pth is missing or was altered"):
        nets.train(longer, run.path, resume=True)
    np.testing.assert_array_equal(nets.open_run(run.path).weights.step, [0, 20, 40, 60])


def harmed(file, harm):
    if harm == "remove":
        file.unlink()
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    else:
        flip_a_bit(file)


@pytest.mark.parametrize("name", ["metrics", "correct", "train_pairs", "test_pairs"])
@pytest.mark.parametrize("harm", ["remove", "cut", "flip"])
def test_no_damaged_array_is_read_or_resumed(tmp_path, monkeypatch, name, harm):
    monkeypatch.setattr("grokode.nets.runs.layout._METRICS_BYTES", 8)
    monkeypatch.setattr("grokode.nets.runs.layout._GRID_BYTES", 1)
    config = dataclasses.replace(SMALL, log_grid=True, train_fraction=0.7)
    run = nets.train(config, tmp_path / "run")
    first = {
        "metrics": "metrics/train_loss/c.2.0",
        "correct": "correct/c.2.0.0.0",
        "train_pairs": "data/train/c.0.0",
        "test_pairs": "data/test/c.0.0",
    }
    harmed(run.path / "arrays.zarr" / first[name], harm)
    with pytest.raises(ValueError, match="is damaged at"):
        np.asarray(getattr(nets.open_run(run.path), name).copy())
    with pytest.raises(ValueError, match=first[name].replace(".", r"\.")):
        nets.train(dataclasses.replace(config, steps=80), run.path, resume=True)


@pytest.mark.parametrize("harm", ["remove", "cut", "flip"])
@pytest.mark.parametrize("name", ["weights/xi/c.3.0.0.0", "tail-7.bin", "journal.jsonl"])
def test_a_damaged_last_checkpoint_is_named_and_the_one_before_used(tmp_path, name, harm):
    config = dataclasses.replace(SMALL, optimizer="adamw", learning_rate=0.01)
    whole = nets.train(dataclasses.replace(config, steps=80), tmp_path / "whole")
    run = nets.train(config, tmp_path / "run")
    file = run.path / (f"arrays.zarr/{name}" if name.startswith("weights") else name)
    if name == "journal.jsonl" and harm == "flip":
        file.write_bytes(file.read_bytes()[:-9] + b"?" + file.read_bytes()[-8:])
    elif name == "journal.jsonl":
        # Cut short of what run.json vouches for, it cannot be told how much is missing.
        harmed(file, harm)
        with pytest.raises(ValueError, match="missing or cut short"):
            nets.open_run(run.path)
        return
    else:
        harmed(file, harm)
    with pytest.warns(UserWarning, match=f"{file.name}.*up to step 40, its last whole checkpoint"):
        kept = nets.open_run(run.path)
    np.testing.assert_array_equal(kept.weights.step, [0, 20, 40])
    np.testing.assert_array_equal(kept.metrics.step, range(0, 50, 10))
    assert kept.metrics.equals(whole.metrics.isel(step=slice(5)))
    assert file.name in kept.describe()["damaged"] or name == "journal.jsonl"
    with pytest.warns(UserWarning, match="last whole checkpoint"):
        resumed = nets.train(dataclasses.replace(config, steps=80), run.path, resume=True)
    assert resumed.metrics.equals(whole.metrics)
    np.testing.assert_array_equal(resumed.weights.theta, whole.weights.theta)


def test_metadata_that_is_missing_is_named(tmp_path):
    run = nets.train(SMALL, tmp_path / "run")
    (run.path / "arrays.zarr" / "metrics" / "train_loss" / "zarr.json").unlink()
    with pytest.raises(ValueError, match="damaged at 'metrics/train_loss'"):
        _ = nets.open_run(run.path).metrics


def test_a_run_shown_in_a_notebook_or_a_shell_obeys_no_name(tmp_path):
    """A folder's name may hold what a terminal or a browser takes for a command."""
    name = "<img src=x onerror=1>\x1b]0;title\x07\u202egpj"
    run = nets.train(SMALL, tmp_path / name)
    shown = nets.open_run(run.path)._repr_html_() + repr(run)
    assert not set("\x1b\x07\u202e") & set(shown)
    assert r"\x1b]0;title\x07\u202egpj" in shown
    assert "<img" not in run._repr_html_()
