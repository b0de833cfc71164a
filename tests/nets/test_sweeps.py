"""Sweeps: what points there are, that each is trained once and as if alone, and what is refused."""

import errno
import json
import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest
import xarray as xr

from grokode import executors, nets
from grokode.nets import sweeps
from grokode.nets.runs import RunWriter
from grokode.nets.sweeps import engine
from grokode.nets.sweeps.engine import run_of, train_point

BASE = {"p": 5, "neurons": 6, "steps": 40, "checkpoint_every": 20, "log_every": 20}

FILE = """
seeds = [3, 5]
[base]
p = 5
neurons = 6
[axes]
scale = [0.1, 0.2]
learning_rate = {from = 0.01, to = 1.0, count = 3, scale = "log"}
steps = {from = 10, to = 30, count = 3}
"""


def test_a_file_says_the_points(tmp_path):
    (tmp_path / "s.toml").write_text(FILE)
    sweep = sweeps.read_sweep(tmp_path / "s.toml")
    points = list(sweep.points())
    assert (sweep.size, len(points), list(sweep.seeds)) == (18, 18, [3, 5])
    assert points[4].values == {"scale": 0.1, "learning_rate": pytest.approx(0.1), "steps": 20}
    assert points[4].config == nets.TrainingConfig(
        p=5, neurons=6, scale=0.1, learning_rate=points[4].values["learning_rate"], steps=20, seed=3
    )


def test_draws_are_seeded_and_spread(tmp_path):
    text = "draws = 400\n[base]\np = 5\nneurons = 6\n[axes]\n"
    text += 'weight_decay = {from = 0.01, to = 100.0, scale = "log"}\nscale = {from = 1, to = 3}\n'
    (tmp_path / "s.toml").write_text(text)
    one, two = ([p.values for p in sweeps.read_sweep(tmp_path / "s.toml").points()] for _ in "ab")
    assert one == two
    logs = np.log10([values["weight_decay"] for values in one])
    # The mean of 400 uniform draws on [-2, 2] has a standard error of 0.06.
    assert abs(logs.mean()) < 0.3
    assert -2 <= logs.min() < -1.9 < 1.9 < logs.max() <= 2
    assert 1 <= min(values["scale"] for values in one) < max(v["scale"] for v in one) <= 3


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[axes]\ncolour = [1]\n[base]\np = 5\nneurons = 6", "unknown setting 'colour'"),
        ("[axes]\nscale = []\n[base]\np = 5\nneurons = 6", "axis scale needs a list of values"),
        ("[axes]\nscale = {from = 1}", "axis scale needs count, from, to"),
        ("[axes]\nseed = [1]", r"axis seed sets seed; give seeds = \[...\] instead"),
        ("[axes]\np = [{p = 5, seed = 1}]", "axis p sets seed"),
        ("[base]\nseed = 1", "base sets seed"),
        ("seeds = [0, -1]", "seeds must be at least 0, got -1"),
        ("seeds = [0, 2.5]", "seeds must be a whole number, got 2.5"),
        ("seeds = [[0]]", r"seeds must be a whole number, got \[0\]"),
        ("draws = 2\ndraw_seed = 1.5\n[axes]\nscale = {from = 1, to = 2}", "draw_seed must be"),
        ("[axes]\nscale = [0.1, 0.2, 0.1]", "axis scale has 0.1 twice"),
        ("[axes]\np = [{p = 5, scale = 1}, {p = 5, scale = 2}]", "axis p has 5 twice"),
        ("draws = 0\n[axes]\nscale = {from = 1, to = 2}", "draws must be at least 1, got 0"),
        ("draws = 2\n[axes]\nscale = [1, 2]", r"axis scale needs \(least, largest"),
        ("draws = 2\n[axes]\np = [{p = 5}]", r"axis p needs \(least, largest"),
        ("draws = 2\n[axes]\nscale = {from = 2, to = 1}", "axis scale needs a range from the"),
        ("draws = 2\n[axes]\nscale = {from = 'a', to = 1}", "axis scale needs two numbers"),
        (
            "draws = 2\n[axes]\nscale = {from = 0, to = 1, scale = 'log'}",
            "above 0 if it is log",
        ),
        ("axs = 3", "unknown entry 'axs'; did you mean axes?"),
        ("[base\n", "is no TOML file"),
        ("keep = 'some'", "keep must be one of all, ends"),
        ("[axes]\np = [5, 6]\n[base]\nneurons = 4", "p must be odd"),
    ],
)
def test_what_is_no_sweep_is_refused_before_anything_is_made(tmp_path, text, match):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(ValueError, match=match):
        sweeps.run_sweep(sweeps.read_sweep(tmp_path / "s.toml"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_sweep_is_trained_resumed_and_read_as_one_dataset(tmp_path):
    """Points are as if alone; one that diverges is recorded; a second call trains nothing."""
    sweep = sweeps.Sweep(BASE, {"learning_rate": [0.1, 1e9], "scale": [0.5, 2.0]}, seeds=[0, 4])
    seen = []
    ended = sweeps.run_sweep(sweep, tmp_path / "s", workers=1, on_progress=seen.append)
    assert (ended.points, ended.done) == (4, 2)
    assert [failure.point for failure in ended.failed] == [2, 3]
    assert all("stopped being finite" in failure.reason for failure in ended.failed)
    assert [progress.done + len(progress.failed) for progress in seen] == [0, 1, 2, 3, 4, 4]
    alone = nets.train(
        nets.TrainingConfig(**BASE, learning_rate=0.1, scale=2.0), tmp_path / "alone", seeds=[0, 4]
    )
    result = sweeps.open_sweep(tmp_path / "s")
    table = result.dataset()
    assert table.train_loss.dims == ("learning_rate", "scale", "seed")
    np.testing.assert_array_equal(
        table.train_loss.sel(learning_rate=0.1, scale=2.0), alone.metrics.train_loss.isel(step=-1)
    )

    # Any measure can be mapped; one that refuses leaves its place empty.
    def picky(run):
        if run.config.scale < 1:
            raise ValueError("too small")
        return {"leading": float(abs(run.weights.theta.isel(step=-1)).max())}

    mapped = result.dataset(picky).leading
    assert mapped.sel(scale=2.0, learning_rate=0.1).notnull().all()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*.json")}
    again = sweeps.run_sweep(sweep, tmp_path / "s")
    assert (again.done, again.failed) == (ended.done, ended.failed)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*.json")} == before
    changed = sweeps.Sweep(BASE, sweep.axes, seeds=[0])
    with pytest.raises(ValueError, match=r"seeds is \[0, 4\] in .*, got \[0\]"):
        sweeps.run_sweep(changed, tmp_path / "s")


def test_a_killed_worker_costs_nothing(tmp_path):
    """kill -9 of the process that trains: the point goes on from its checkpoint, same bits."""
    base = BASE | {"steps": 3_000, "checkpoint_every": 50, "log_every": 1_000}
    sweep = sweeps.Sweep(base, {"scale": [0.5]})
    killed = []

    def kill():
        state = run_of(tmp_path / "s", 0) / "run.json"
        until = time.monotonic() + 600
        while not state.exists() and time.monotonic() < until:
            time.sleep(0.01)
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)
            killed.append(child.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    ended = sweeps.run_sweep(sweep, tmp_path / "s", workers=1)
    thread.join()
    assert killed
    assert (ended.done, ended.failed) == (1, ())
    whole = nets.train(nets.TrainingConfig(**base, scale=0.5), tmp_path / "whole")
    run = nets.open_run(run_of(tmp_path / "s", 0))
    np.testing.assert_array_equal(
        run.weights.theta.isel(step=-1), whole.weights.theta.isel(step=-1)
    )


def _trained_here(sweep, path):
    """What `run_sweep` does, without a process."""
    engine._take(path, sweep)
    for point in sweep.points():
        assert train_point(str(path), point.number, sweep) is None


def test_a_point_trained_twice_is_the_same_run(tmp_path):
    """As a cluster may: the second finds it finished and touches nothing."""
    sweep = sweeps.Sweep(BASE, {"scale": [0.5]})
    _trained_here(sweep, tmp_path / "s")
    folder = run_of(tmp_path / "s", 0)
    before = nets.open_run(folder).weights.theta.values
    assert train_point(str(tmp_path / "s"), 0, sweep) is None
    np.testing.assert_array_equal(nets.open_run(folder).weights.theta.values, before)


def test_directories_of_others_and_absurd_sizes_are_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    sweep = sweeps.Sweep(BASE, {"scale": [0.5]})
    with pytest.raises(FileExistsError, match="holds no sweep"):
        sweeps.run_sweep(sweep, tmp_path / "mine")
    many = sweeps.Sweep(BASE, {"scale": np.linspace(1, 2, 1000).tolist(), "steps": [*range(1000)]})
    with pytest.raises(ValueError, match="the sweep has 1000000 points"):
        sweeps.run_sweep(many, tmp_path / "many")
    with pytest.raises(ValueError, match=r"has no sweep\.json"):
        sweeps.open_sweep(tmp_path / "mine")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "sweep.json").write_text(json.dumps([1]))
    with pytest.raises(ValueError, match="damaged"):
        sweeps.open_sweep(tmp_path / "bad")


def test_settings_that_go_together_are_one_axis(tmp_path):
    text = "[base]\nneurons = 6\n[axes]\nscale = [0.1, 0.2]\n"
    (tmp_path / "s.toml").write_text(
        text + "p = [{p = 5, learning_rate = 0.1}, {p = 7, learning_rate = 0.3}]\n"
    )
    sweep = sweeps.read_sweep(tmp_path / "s.toml")
    assert [(q.config.p, q.config.learning_rate) for q in sweep.points()][:2] == [
        (5, 0.1),
        (7, 0.3),
    ]
    assert list(sweep.points())[1].values == {"scale": 0.1, "p": 7}
    assert sweep.coordinates() == {"scale": [0.1, 0.2], "p": [5, 7]}
    (tmp_path / "s.toml").write_text(text + "p = [{learning_rate = 0.1}]\n")
    with pytest.raises(ValueError, match=r"axis p has settings that go together, .*, without p"):
        sweeps.read_sweep(tmp_path / "s.toml")


def test_a_setting_belongs_to_one_axis():
    """Else one of the two would be trained with, and the other be what the table says."""
    tied = [{"p": 5, "learning_rate": 0.1}]
    with pytest.raises(ValueError, match="axes p and learning_rate both set learning_rate"):
        sweeps.Sweep(BASE, {"p": tied, "learning_rate": [1.0]})
    with pytest.raises(ValueError, match="axes learning_rate and p both set learning_rate"):
        sweeps.Sweep(BASE, {"learning_rate": [1.0], "p": tied})


def test_measures_of_different_shapes_make_a_tree(tmp_path):
    axis = [{"p": p, "learning_rate": 0.1} for p in (5, 7)]
    _trained_here(sweeps.Sweep(BASE, {"p": axis}, seeds=[2, 3]), tmp_path / "s")
    result = sweeps.open_sweep(tmp_path / "s")
    with pytest.raises(ValueError, match=r"different sizes.*take tree"):
        result.dataset(lambda run: run.spectra())
    tree = result.tree(lambda run: run.spectra())
    assert {name: tree["1/3"].attrs[name] for name in ("p", "learning_rate")} == axis[1]
    assert [tree[f"{point}/2"].sizes["frequency"] for point in (0, 1)] == [2, 3]

    def labelled(run):
        return xr.Dataset({"a": ("k", [1.0, 2.0])}, {"k": [run.config.p, 9]})

    with pytest.raises(ValueError, match=r"different labels along k; take tree"):
        result.dataset(labelled)
    losses = result.dataset()
    assert losses.train_loss.dims == ("p", "seed")
    assert losses.p.values.tolist() == [5, 7]


def _final(path, number=0):
    return nets.open_run(run_of(path, number)).weights.theta.isel(step=-1).values


def test_a_point_that_another_sweep_trains_is_waited_for(tmp_path):
    """Two sweeps in one directory end as one, and so do two workers with one point."""
    sweep = sweeps.Sweep(BASE, {"scale": [0.5]})
    (tmp_path / "s" / "points").mkdir(parents=True)
    said = []
    waiting = threading.Thread(
        target=lambda: said.append(train_point(str(tmp_path / "s"), 0, sweep))
    )
    with RunWriter(run_of(tmp_path / "s", 0)):
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive()
    waiting.join()
    assert said == [None]
    _trained_here(sweep, tmp_path / "alone")
    np.testing.assert_array_equal(_final(tmp_path / "s"), _final(tmp_path / "alone"))


def test_a_full_disk_costs_its_own_point_and_is_gone_on_from(tmp_path, monkeypatch):
    sweep = sweeps.Sweep(BASE, {"scale": [0.5]})
    (tmp_path / "s" / "points").mkdir(parents=True)
    publish, calls = RunWriter.publish, []

    def full(self, *arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return publish(self, *arguments, **options)

    monkeypatch.setattr(RunWriter, "publish", full)
    assert "No space left on device" in train_point(str(tmp_path / "s"), 0, sweep)
    assert nets.open_run(run_of(tmp_path / "s", 0)).metrics.step[-1] < 40
    assert train_point(str(tmp_path / "s"), 0, sweep) is None
    assert train_point(str(tmp_path / "other"), 0, sweep) is None
    np.testing.assert_array_equal(_final(tmp_path / "s"), _final(tmp_path / "other"))


def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="grokode[cluster] is not installed")
    monkeypatch.setattr(executors, "_ANSWER_WITHIN", 0.2)
    sweep = sweeps.Sweep(BASE, {"scale": [0.5]})
    with pytest.raises(OSError, match=r"no scheduler answers at tcp://127.0.0.1:9 within 0.2 s"):
        sweeps.run_sweep(sweep, tmp_path / "s", scheduler="tcp://127.0.0.1:9")


def test_a_cluster_trains_the_same_bits(tmp_path):
    """Its worker is a thread here, which costs no imports."""
    distributed = pytest.importorskip("distributed", reason="grokode[cluster] is not installed")
    sweep = sweeps.Sweep(BASE, {"scale": [0.5, 2.0], "learning_rate": [0.1, 1e9]})
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        ended = sweeps.run_sweep(sweep, tmp_path / "s", scheduler=cluster.scheduler_address)
    assert (ended.done, [failure.point for failure in ended.failed]) == (2, [1, 3])
    for number in (0, 2):
        train_point(str(tmp_path / "alone"), number, sweep)
        np.testing.assert_array_equal(
            _final(tmp_path / "s", number), _final(tmp_path / "alone", number)
        )


@pytest.mark.attack
def test_a_cluster_trains_the_same_bits_though_a_worker_is_killed(tmp_path):
    distributed = pytest.importorskip("distributed", reason="grokode[cluster] is not installed")
    base = BASE | {"steps": 3000, "checkpoint_every": 50, "log_every": 1000}
    sweep = sweeps.Sweep(base, {"scale": [0.5, 2.0], "learning_rate": [0.1, 1e9]})
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        (nanny,) = cluster.workers.values()
        killed = threading.Thread(target=_kill_when, args=(run_of(tmp_path / "s", 0), nanny))
        killed.start()
        ended = sweeps.run_sweep(sweep, tmp_path / "s", scheduler=cluster.scheduler_address)
        killed.join()
    assert (ended.done, [failure.point for failure in ended.failed]) == (2, [1, 3])
    for number in (0, 2):
        train_point(str(tmp_path / "alone"), number, sweep)
        np.testing.assert_array_equal(
            _final(tmp_path / "s", number), _final(tmp_path / "alone", number)
        )


def _kill_when(run, nanny):
    """Kill the worker's process as soon as the run has its first checkpoint."""
    until = time.monotonic() + 600
    while not (run / "run.json").exists() and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(nanny.pid, signal.SIGKILL)
