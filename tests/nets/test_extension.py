"""A network, a task, an optimiser and a preset from outside the package: one line in a registry."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.cli import main
from grokode.nets.networks import NETWORKS, Layout
from grokode.nets.networks.autograd import Autograd
from grokode.nets.tasks import TASKS
from grokode.nets.tasks.examples import CrossEntropy, evaluate_classes
from grokode.nets.training.optimizers import OPTIMIZERS
from grokode.nets.training.presets import PRESETS


@dataclasses.dataclass(frozen=True)
class Tables:
    """One table of logits to each input: f(x, y) = left[x] + right[y].

    Parameters
    ----------
    initial : str
        Recipe of the start.
    spread : float
        Size of the start.
    """

    initial: str = "normal"
    spread: float = 0.1
    symmetric = False

    def layout(self, task):
        shape = (task.size, task.classes)
        return {"left": Layout(("x", "output"), shape), "right": Layout(("y", "output"), shape)}

    def draw(self, task, seed, initial=None):
        rng = np.random.default_rng(seed)
        return {
            name: self.spread * rng.normal(size=layout.shape)
            for name, layout in self.layout(task).items()
        }

    def outputs(self, parameters, inputs):
        x, y = torch.tensor(inputs).T
        return parameters["left"][:, x] + parameters["right"][:, y]

    def objective(self, task, examples, parameters, gradients, seeds):
        return Autograd(self, task, examples, parameters, gradients)

    def work(self, task):
        return task.size**2


@dataclasses.dataclass(frozen=True)
class Larger:
    """Which of two numbers is larger: 0, or 1 for the second.

    Parameters
    ----------
    size : int
        Numbers are below this.
    """

    size: int = 6
    classes = 2
    mirror = None

    @property
    def inputs(self):
        return np.argwhere(np.ones((self.size, self.size), dtype=bool))

    @property
    def grid(self):
        return {"x": self.size, "y": self.size}

    def answers(self, seed):
        return (self.inputs[:, 1] > self.inputs[:, 0]).astype(np.int64)

    def split(self, seed):
        order = np.random.default_rng(seed).permutation(self.size**2)
        return np.sort(order[4:]), np.sort(order[:4])

    def criterion(self, examples):
        return CrossEntropy(examples, torch.float64)

    def evaluate(self, values, examples):
        return evaluate_classes(values, examples)


def heavy_ball(rule, parameters):
    """Gradient descent with the momentum of the rule, in torch's own words."""
    return torch.optim.SGD(parameters, lr=rule.learning_rate, momentum=rule.momentum)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(NETWORKS, "tables", Tables)
    monkeypatch.setitem(TASKS, "larger", Larger)
    monkeypatch.setitem(OPTIMIZERS, "heavy_ball", heavy_ball)
    monkeypatch.setitem(
        PRESETS, "mine/tables", {"network": "tables", "data": "larger", "learning_rate": 2.0}
    )


def config(**changes):
    given = {
        "network": Tables(),
        "data": Larger(),
        "optimizer": "heavy_ball",
        "momentum": 0.5,
        "learning_rate": 2.0,
        "dtype": "float64",
        "steps": 60,
        "checkpoint_every": 30,
        "log_every": 20,
        "log_grid": True,
    }
    return nets.TrainingConfig(**given | changes)


def test_a_network_a_task_and_an_optimiser_of_ones_own(registered, tmp_path):
    run = nets.train(config(), tmp_path / "run", seeds=[0, 7])
    opened = nets.open_run(tmp_path / "run", 7)
    assert opened.config == config(seed=7)
    assert opened.parameters.left.dims == ("step", "x", "output")
    assert float(opened.metrics.train_accuracy[-1]) > 0.9
    assert opened.correct.dims == ("step", "x", "y")
    # The same by hand, from the stored start.
    task, start = Larger(), opened.parameters.isel(step=0)
    tables = [torch.tensor(start[name].values, requires_grad=True) for name in ("left", "right")]
    loop = torch.optim.SGD(tables, lr=2.0, momentum=0.5)
    rows = task.split(7)[0]
    x, y = torch.tensor(task.inputs[rows]).T
    for _ in range(60):
        loop.zero_grad()
        values = tables[0][x] + tables[1][y]
        answers = torch.tensor(task.answers(7)[rows])
        torch.nn.functional.cross_entropy(values, answers).backward()
        loop.step()
    # Rounding, over sixty steps.
    np.testing.assert_allclose(
        opened.parameters.left.isel(step=-1), tables[0].detach(), rtol=1e-9, atol=1e-12
    )
    # Resumed, and changed between updates, as any other.
    part = tmp_path / "part"
    nets.train(config(steps=30), part, seeds=[0, 7])
    resumed = nets.train(config(), part, seeds=[0, 7], resume=True)
    np.testing.assert_array_equal(resumed.parameters.left, run.parameters.left)

    def hold(step, weights):
        weights.right.zero_()

    held = nets.train(config(), tmp_path / "held", intervention=hold)
    assert not held.parameters.right.isel(step=slice(1, None)).any()
    with pytest.raises(ValueError, match="this one has left, right"):
        nets.train(config(), tmp_path / "no", intervention=nets.align_phases(1))


def test_what_belongs_to_two_layers_says_so(registered, tmp_path):
    run = nets.train(config(), tmp_path / "run")
    for ask in (lambda: run.weights, run.spectra):
        with pytest.raises(ValueError, match="no theta and xi; look at its parameters"):
            ask()


def test_the_command_line_knows_them(registered, tmp_path, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["grokode", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, capsys.readouterr()

    code, said = call("train", "--preset", "mine/tables", "--help")
    assert code == 0
    assert all(word in said.out for word in ("--spread", "--size", "heavy_ball", "[2]"))
    assert "--neurons" not in said.out
    flags = ["--preset", "mine/tables", "--size", 5, "--spread", 0.5, "--optimizer", "heavy_ball"]
    flags += ["--steps", 20, "--out", tmp_path / "run", "--json"]
    code, said = call("train", *flags)
    assert (code, json.loads(said.out)["steps"]) == (0, 20)
    stored = nets.open_run(tmp_path / "run").config
    assert (stored.size, stored.spread, stored.learning_rate) == (5, 0.5, 2.0)
    code, said = call("train", "--network", "tables", "--neurons", 3, "--out", tmp_path / "no")
    assert code == 2
    assert "--neurons" in said.err
