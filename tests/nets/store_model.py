"""A run against a model of it: create, checkpoint, log, end, publish, kill, reopen in any order."""

import dataclasses
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from grokode.nets import all_pairs, open_run
from grokode.nets.runs import RunWriter, never_published
from grokode.nets.runs.layout import expected
from grokode.nets.training.config import TrainingConfig

CONFIG = TrainingConfig(p=3, neurons=2, dtype="float64", log_grid=True)
SEEDS = (4, 0, 9)


def data(config, seeds):
    p = config.p
    answers = all_pairs(p).sum(1) % p
    return {
        "inputs": all_pairs(p),
        "answers": np.stack([answers] * len(seeds)),
        "train": np.stack([np.arange(5)] * len(seeds)),
        "test": np.stack([np.arange(5, p * p)] * len(seeds)),
    }


def values(shape, number):
    return np.random.default_rng(number).normal(size=shape)


class StoreMachine(RuleBasedStateMachine):
    """What is published is read, exactly; what is not published is not."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "run"
        self.writer = None
        self.published = None
        self.working = {}

    def _enter(self):
        self.writer = RunWriter(self.path)
        self.writer.__enter__()

    def _alive(self):
        return [seed for seed in SEEDS if seed not in self.working["ended"]]

    @precondition(lambda self: self.writer is None and self.published is None)
    @rule()
    def create(self):
        assert not self.path.exists() or never_published(self.path)
        self._enter()
        self.writer.create(CONFIG, SEEDS, expected(CONFIG)[0], data(CONFIG, SEEDS), {})
        self.working = {"steps": {}, "logged": {}, "grids": {}, "ended": {}, "step": -1}
        self.state, self.fresh = {}, False

    @precondition(lambda self: self.writer is None and self.published is not None)
    @rule()
    def reopen(self):
        self._enter()
        self.writer.reopen(CONFIG)
        self.working = {
            name: dict(of) if isinstance(of, dict) else of for name, of in self.published.items()
        }
        self.fresh = False
        if self.working["logged"]:
            # A seed fitted at the last checkpoint goes on, as there is no loss to stop at now.
            fitted = {"step": self.working["step"], "why": "fitted"}
            self.working["ended"] = {
                seed: end for seed, end in self.working["ended"].items() if end != fitted
            }
        seeds, layers, step = self.writer.last()
        assert (step, seeds) == (self.published["step"], self.published["of"])
        for name, layer in layers.items():
            np.testing.assert_array_equal(layer, self.published["steps"][step][name])
        assert self.writer.state() == {"step": step}

    @precondition(lambda self: self.writer is not None and self._alive())
    @rule(ahead=st.integers(1, 3))
    def checkpoint(self, ahead):
        step, seeds = self.working["step"] + ahead, self._alive()
        layers = {
            name: values((len(seeds), *layout.shape), step + place)
            for place, (name, layout) in enumerate(expected(CONFIG)[0].items())
        }
        self.writer.checkpoint(step, seeds, layers)
        self.working["steps"][step] = layers | {"seeds": seeds}
        self.working["step"], self.fresh = step, True

    @precondition(lambda self: self.writer is not None and self._alive())
    @rule(ahead=st.lists(st.integers(1, 2), max_size=6))
    def log(self, ahead):
        step, seeds = max(self.working["logged"], default=-1), self._alive()
        rows, grids = [], []
        for more in ahead:
            step += more
            rows.append((step, values((len(seeds), 6), step)))
            grids.append(values((len(seeds), 3, 3), step) > 0)
            self.working["logged"][step] = (seeds, rows[-1][1], grids[-1])
        self.writer.log(seeds, rows, grids)

    @precondition(lambda self: self.writer is not None and self.working["steps"] and self._alive())
    @rule(why=st.sampled_from(["fitted", "diverged"]))
    def end(self, why):
        seed = self._alive()[0]
        at = max(self.working["logged"], default=0) + 1
        self.writer.end(seed, at, why)
        self.working["ended"][seed] = {"step": at, "why": why}

    @precondition(lambda self: self.writer is not None and self.fresh)
    @rule()
    def publish(self):
        self.working["of"] = tuple(self.working["steps"][self.working["step"]]["seeds"])
        self.writer.publish(self.working["of"], {"step": self.working["step"]}, 1.0)
        self._keep()

    @precondition(lambda self: self.writer is not None and not self.fresh and self.published)
    @rule()
    def publish_end(self):
        self.writer.publish_end()
        self._keep()

    def _keep(self):
        self.fresh = False
        self.published = {
            name: dict(of) if isinstance(of, dict) else of for name, of in self.working.items()
        }

    @precondition(lambda self: self.writer is not None)
    @rule(killed=st.booleans())
    def leave(self, killed):
        """Killed, nothing is rounded off and nothing unpublished survives."""
        if killed:
            self.writer._let_go()
        else:
            self.writer.__exit__(None, None, None)
        self.writer = None

    @invariant()
    def what_is_read_is_what_was_published(self):
        if self.published is None:
            assert not (self.path / "run.json").exists()
            return
        run, model = open_run(self.path), self.published
        run.check_files()
        assert run.ended == model["ended"]
        assert run.weights.step.values.tolist() == [*model["steps"]]
        assert run.metrics.step.values.tolist() == [*model["logged"]]
        for step, layers in model["steps"].items():
            weights = run.weights.sel(step=step)
            for seed in SEEDS:
                mine = weights.sel(seed=seed)
                for name in ("theta", "xi"):
                    if seed in layers["seeds"]:
                        at = layers["seeds"].index(seed)
                        np.testing.assert_array_equal(mine[name], layers[name][at])
                    else:
                        assert np.isnan(mine[name]).all()
        table = run.metrics.to_dataarray().transpose("step", "seed", "variable").values
        grid = run.correct.transpose("step", "seed", "x", "y").values
        for row, (seeds, rows, grids) in enumerate(model["logged"].values()):
            places = [SEEDS.index(seed) for seed in seeds]
            np.testing.assert_array_equal(table[row][places], rows)
            np.testing.assert_array_equal(grid[row][places], grids)
        states = {int(file.stem[6:]) for file in self.path.glob("state-*.pth")}
        if self.writer is None:
            assert len(states) <= 3
        assert model["step"] in states

    def teardown(self):
        if self.writer is not None:
            self.writer._let_go()
        shutil.rmtree(self.folder)


def small_chunks(patch):
    """Chunks of four logged steps, so that a short history fills some."""
    patch.setattr("grokode.nets.runs.layout._METRICS_BYTES", 4 * 8 * len(SEEDS))
    patch.setattr("grokode.nets.runs.layout._GRID_BYTES", 3 * 9 * len(SEEDS))


def longer(config, steps):
    return dataclasses.replace(config, steps=steps)
