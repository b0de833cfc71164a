"""The run store: formats, layout on disk, foreign folders, moves."""

import contextlib
import dataclasses
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from grokode import nets
from grokode.nets.runs import Layout, RunWriter
from grokode.nets.runs.layout import expected
from grokode.nets.training.config import TrainingConfig
from tests.nets.made import SMALL, files_of
from tests.nets.store_model import CONFIG, SEEDS, StoreMachine, data, small_chunks, values


def test_any_history_against_a_model(monkeypatch):
    small_chunks(monkeypatch)
    # Few and short here; `make attack` has many.
    few = settings(
        max_examples=5,
        stateful_step_count=20,
        deadline=None,
        database=None,
        derandomize=True,
    )
    run_state_machine_as_test(StoreMachine, settings=few)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """Runs of format 2, written by grokode 0.1, and every value that it read from them."""
    folder = tmp_path_factory.mktemp("format2")
    with zipfile.ZipFile(Path(__file__).parent / "stores" / "format2.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("name", ["one_seed", "separate", "diverged"])
def test_every_value_of_format_2_reads_the_same(old, name):
    run, stored = nets.open_run(old / name), np.load(old / "values.npz")
    read = {f"weights/{key}": layer for key, layer in run.weights.items()}
    read |= {f"metrics/{key}": rows for key, rows in run.metrics.items()}
    read |= {"step": run.weights.step, "logged": run.metrics.step}
    read |= {"train_pairs": run.train_pairs, "test_pairs": run.test_pairs}
    if name == "separate":
        read["correct"] = run.correct
    wanted = {key.partition("/")[2] for key in stored.files if key.startswith(f"{name}/")}
    assert wanted == {*read}
    for key, read_back in read.items():
        assert read_back.dtype == stored[f"{name}/{key}"].dtype
        np.testing.assert_array_equal(read_back, stored[f"{name}/{key}"])
    run.check_files()
    for seed in run.seeds[:2]:
        at = run.seeds.index(seed)
        theta = stored[f"{name}/weights/theta"]
        mine = run.select(seed).weights.theta
        np.testing.assert_array_equal(
            mine, (theta if len(run.seeds) == 1 else theta[at])[: len(mine)]
        )


def test_a_run_of_format_2_is_not_resumed(old):
    run = nets.open_run(old / "one_seed")
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    with pytest.raises(ValueError, match=r"grokode 0\.1: it can be read, but not resumed"):
        nets.train(dataclasses.replace(run.stored_config, steps=80), run.path, resume=True)
    assert before == {file: file.read_bytes() for file in before}


def test_other_readers_of_zarr_see_the_same(tmp_path):
    run = nets.train(dataclasses.replace(SMALL, log_grid=True), tmp_path / "run", seeds=[3, 1])
    root = run.path / "arrays.zarr"
    groups = {
        name: xr.open_zarr(root, group=name, consolidated=False) for name in ("weights", "metrics")
    }
    for name, layer in run.weights.items():
        assert groups["weights"][name].dims == ("step", "seed", *layer.dims[2:])
        np.testing.assert_array_equal(groups["weights"][name].transpose("seed", ...), layer)
    for name, rows in run.metrics.items():
        np.testing.assert_array_equal(groups["metrics"][name].T, rows)
        assert groups["metrics"][name].attrs == rows.attrs


def test_grids_take_what_they_hold(tmp_path):
    """At p = 97 with eight seeds a step of the grid has 75 kB; 75 MB were written for three."""
    config = TrainingConfig(p=97, neurons=1, log_grid=True)
    parameters = expected(config)[0]
    with RunWriter(tmp_path / "run") as writer:
        writer.create(config, range(8), parameters, data(config, range(8)), {})
        layers = {name: np.zeros((8, 1, 97), dtype="float32") for name in parameters}
        writer.checkpoint(0, range(8), layers)
        grid = np.ones((8, 97, 97), dtype=np.uint8)
        writer.log(range(8), [(step, np.zeros((8, 6))) for step in range(3)], [grid] * 3)
        writer.publish(range(8), {}, 0.0)
    grids = sum(f.stat().st_size for f in (tmp_path / "run/arrays.zarr/correct").iterdir())
    assert grids < 4 * 8 * 97**2
    assert nets.open_run(tmp_path / "run").correct.all()


def test_a_run_moved_while_it_is_written_takes_its_writer_along(tmp_path):
    path, away = tmp_path / "run", tmp_path / "away"
    new = nets.train(SMALL, tmp_path / "new")
    files = {file.name: file.read_bytes() for file in files_of(new.path)}

    def swap(step, loss, accuracy):
        if step == 15:
            path.rename(away)
            new.path.rename(path)

    with pytest.raises(OSError, match="moved while it was written"):
        nets.train(dataclasses.replace(SMALL, steps=40), path, seeds=[5], on_step=swap)
    assert files == {file.name: file.read_bytes() for file in files_of(path)}
    moved = nets.open_run(away)
    assert moved.seeds == (5,)
    # The checkpoint that was on its way is the last, or the next one is.
    assert moved.weights.step.values.tolist() in ([0, 10], [0, 10, 20])
    whole = nets.train(dataclasses.replace(SMALL, steps=40), tmp_path / "whole", seeds=[5])
    again = nets.train(dataclasses.replace(SMALL, steps=40), away, seeds=[5], resume=True)
    np.testing.assert_array_equal(again.weights.theta, whole.weights.theta)


def test_a_run_moved_while_it_is_read_is_not_called_damaged(tmp_path):
    run = nets.train(SMALL, tmp_path / "run")
    run.path.rename(tmp_path / "away")
    reads = (lambda: run.weights.load(), lambda: run.metrics, lambda: run.train_pairs)
    for _ in range(2):
        for read in reads:
            with pytest.raises(ValueError, match="was moved, removed or replaced"):
                read()
        # Then another run is there in its place.
        other = dataclasses.replace(SMALL, train_fraction=0.6)
        nets.train(other, tmp_path / "run", seeds=[7], resume=True)
    assert nets.open_run(tmp_path / "away").weights.step[-1] == 20


def test_what_a_writer_clears_away_is_not_missed(tmp_path, monkeypatch):
    """A kill left a chunk unpublished; a reader lists it, then the resumed training removes it."""
    run = nets.train(SMALL, tmp_path / "run")
    scan, left = os.scandir, run.path / "arrays.zarr" / "weights" / "theta" / "c.99.0.0.0"
    left.touch()

    @contextlib.contextmanager
    def listed(folder):
        with scan(folder) as files:
            entries = list(files)
        left.unlink(missing_ok=True)
        yield entries

    monkeypatch.setattr(os, "scandir", listed)
    read = nets.open_run(run.path).parameters
    assert not left.exists()
    assert read.equals(run.parameters)


def test_a_run_read_while_it_goes_on_stays_as_it_was_opened(tmp_path):
    """The tail of the steps it was opened at is removed two publications later."""
    run = nets.train(dataclasses.replace(SMALL, log_grid=True), tmp_path / "run")
    before = run.metrics, run.correct.load()
    nets.train(dataclasses.replace(SMALL, log_grid=True, steps=90), run.path, resume=True)
    assert not (run.path / "tail-5.bin").exists()
    assert run.metrics.equals(before[0])
    assert run.correct.equals(before[1])
    assert run.weights.step[-1] == 20


def test_what_kills_leave_is_removed(tmp_path):
    run = nets.train(SMALL, tmp_path / "run")
    for name in ("state-7.pth", "tail-9.bin", f".{'0' * 16}.grokode-partial", "notes.txt"):
        (run.path / name).write_text("left")
    nets.train(dataclasses.replace(SMALL, steps=30), run.path, resume=True)
    assert {file.name for file in run.path.iterdir()} == {
        ".lock", "arrays.zarr", "journal.jsonl", "run.json", "notes.txt",
        "state-20.pth", "state-30.pth", "tail-5.bin", "tail-7.bin",
    }  # fmt: skip


def test_links_are_not_followed(tmp_path):
    """A link where the next state will be written is replaced, not written through."""
    run = nets.train(SMALL, tmp_path / "run")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (run.path / "state-30.pth").symlink_to(victim)
    (run.path / "tail-7.bin").symlink_to(victim)
    (run.path / "arrays.zarr/weights/theta/c.3.0.0.0").symlink_to(victim)
    nets.train(dataclasses.replace(SMALL, steps=30), run.path, resume=True)
    assert victim.read_text() == "precious"
    assert not (run.path / "state-30.pth").is_symlink()


def test_the_configuration_is_on_disk_before_the_first_checkpoint(tmp_path):
    with RunWriter(tmp_path / "run") as writer:
        writer.create(CONFIG, SEEDS, expected(CONFIG)[0], data(CONFIG, SEEDS), {})
    assert nets.runs.asked_of(tmp_path / "run") == (CONFIG, SEEDS)
    assert nets.runs.never_published(tmp_path / "run")
    with pytest.raises(ValueError, match=r"no run \(it has no run\.json\)"):
        nets.open_run(tmp_path / "run")


def test_a_seed_that_ended_before_anything_was_logged_stays_ended(tmp_path):
    with RunWriter(tmp_path / "run") as writer:
        writer.create(CONFIG, SEEDS, expected(CONFIG)[0], data(CONFIG, SEEDS), {})
        writer.checkpoint(0, SEEDS, {name: values((3, 2, 3), 0) for name in ("theta", "xi")})
        writer.end(SEEDS[0], 0, "fitted")
        writer.publish(SEEDS, {}, 0.0)
    with RunWriter(tmp_path / "run") as writer:
        writer.reopen(CONFIG)
        assert writer.ended("fitted") == {SEEDS[0]: 0}


def test_a_split_that_is_not_known_is_said_to_be(tmp_path):
    known = data(CONFIG, SEEDS)
    del known["train"]
    with RunWriter(tmp_path / "run") as writer:
        writer.create(CONFIG, SEEDS, expected(CONFIG)[0], known, {})
        layers = {name: values((3, 2, 3), 0) for name in ("theta", "xi")}
        writer.checkpoint(0, SEEDS, layers)
        writer.publish(SEEDS, {}, 0.0)
    run = nets.open_run(tmp_path / "run")
    assert run.test_pairs.shape == (3, 4, 2)
    with pytest.raises(ValueError, match="does not say its train examples"):
        _ = run.train_pairs
    assert run.parameters.identical(run.weights.drop_attrs().assign_attrs(run.attrs))


def test_what_does_not_fit_is_not_written(tmp_path):
    with RunWriter(tmp_path / "run") as writer:
        wrong = {"theta": Layout(("neuron", "x"), (1, 3))}
        with pytest.raises(ValueError, match="parameters must be"):
            writer.create(CONFIG, SEEDS, wrong, data(CONFIG, SEEDS), {})
        writer.create(CONFIG, SEEDS, expected(CONFIG)[0], data(CONFIG, SEEDS), {})
        with pytest.raises(ValueError, match=r"weights/theta must be float64 of shape \(3, 2, 3\)"):
            writer.checkpoint(0, SEEDS, {"theta": np.zeros((3, 2, 4)), "xi": np.zeros((3, 2, 3))})
        with pytest.raises(ValueError, match="no new checkpoint"):
            writer.publish(SEEDS, {}, 0.0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "arrays.zarr").mkdir()
    with (
        RunWriter(tmp_path / "mine") as writer,
        pytest.raises(FileExistsError, match="not overwritten"),
    ):
        writer.create(CONFIG, SEEDS, expected(CONFIG)[0], data(CONFIG, SEEDS), {})


def test_an_import_touches_nothing_beside_it(tmp_path):
    """A run called mine.partial was wiped by an import to mine."""
    shutil.copytree(nets.train(SMALL, tmp_path / "run").path, tmp_path / "mine.partial")
    with nets.runs.appearing(tmp_path / "mine") as folder:
        assert folder.parent == tmp_path
        (folder / "x").write_text("")
    nets.open_run(tmp_path / "mine.partial").check_files()
    with pytest.raises(FileExistsError), nets.runs.appearing(tmp_path / "mine"):
        pass
    with pytest.raises(KeyError), nets.runs.appearing(tmp_path / "never"):
        raise KeyError
    assert {*os.listdir(tmp_path)} == {"run", "mine.partial", "mine"}
