"""Wrong arguments to every public function of nets and compare: one line of ours that names them.

The table is complete: a function that one of the wings exports and that is not in it fails the
first test. Arrays of weights and spectra are in `tests/test_public_input.py`.
"""

import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from grokode import compare, nets
from grokode.theory import fourier

ROOT = Path(__file__).parent.parent
P, M = 7, 4
RNG = np.random.default_rng(0)
THETA, XI = RNG.normal(size=(2, M, P))
OTHER_WIDTH = fourier.spectrum(*RNG.normal(size=(2, M + 1, P)))
INFINITE = fourier.spectrum(THETA, XI).map(lambda values: values / 0, keep_attrs=True)
CONFIG = nets.TrainingConfig(p=P, neurons=M, steps=2, checkpoint_every=1, log_every=1)
NO_RUN = (3, None, "my-run", xr.Dataset(), THETA)
NO_NUMBER = ("a", 1j, np.nan, -1, torch.ones(2, requires_grad=True))
NO_SEED = ("s", -1, 0.5, None)
NO_SEEDS = ([], ["a"], 3.5, "01", [0, 0], range(10**30), [2**32])
NO_STEP = ("a", -1, 0.5)
NO_DATASET = (3, None, xr.Dataset(), "a")

# Given a run, one of two seeds, and a path that is free: the arguments that are wrong.
START = [
    *((p, M, 0.1, 0) for p in (8, "7", 0, np.nan)),
    *((P, neurons, 0.1, 0) for neurons in (0, 2.5, "4", None)),
    *((P, M, size, 0) for size in NO_NUMBER),
    *((P, M, 0.1, seed) for seed in NO_SEED),
]
ARGUMENTS = {
    **{f"nets.{name}": START for name in ("gaussian", "equal_magnitude", "single_frequency")},
    "nets.logits": [
        (THETA, XI, 3),
        (THETA, XI, "relu", [(0, 0.5)]),
        (THETA, XI, "relu", [0, 1]),
        (THETA, XI, "relu", "ab"),
    ],
    "nets.all_pairs": [(8,), ("7",), (0,), (np.nan,)],
    "nets.split_pairs": [
        (8, 0.5, 0),
        *((P, fraction, 0) for fraction in (0, np.nan, "a", 1j)),
        *((P, 0.5, seed) for seed in NO_SEED),
    ],
    "nets.memory_needed": [
        (3,),
        *((CONFIG, seeds) for seeds in ("a", 0.5, 0)),
        (CONFIG, 1, "tpu"),
    ],
    "nets.seeds_that_fit": [
        (3, 10),
        *((CONFIG, free) for free in ("a", 1.5, -1)),
        (CONFIG, 10, "tpu"),
    ],
    "nets.parse_setting": [("p", "a"), ("nothing", "1"), (3, "1"), ("p", 3)],
    "nets.align_phases": [(step,) for step in NO_STEP],
    "nets.redraw_phases": [(step,) for step in NO_STEP],
    "nets.freeze_phases": [(3,), (None,)],
    "nets.preset": [("x",), (3,), ("he2026/grokking", 8), ("he2026/grokking", "a")],
    "nets.open_run": [("nowhere",), (3,), (None,), ("{run}", 9), ("{run}", "a")],
    "nets.import_checkpoint": [("nowhere.npz", "{free}"), (3, "{free}"), (None, None)],
    "nets.import_published": [("nowhere", "{free}"), (3, "{free}")],
    "nets.read_sweep": [("nowhere",), (3,)],
    "nets.open_sweep": [("nowhere",), (3,)],
    "nets.run_sweep": [(3, "{free}"), ("a", "{free}")],
    "nets.train": [
        (3, "{free}"),
        ({"p": 7}, "{free}"),
        (CONFIG, 3),
        (CONFIG, None),
        *((CONFIG, "{free}", {"seeds": seeds}) for seeds in NO_SEEDS),
        *((CONFIG, "{free}", {"initial": of}) for of in (THETA, OTHER_WIDTH, INFINITE)),
        *((CONFIG, "{free}", {"train_pairs": of}) for of in ("a", [(0, 9)], [(0.5, 1)], [])),
        *((CONFIG, "{free}", {"time_limit": of}) for of in ("a", -1)),
        (CONFIG, "{free}", {"intervention": 3}),
    ],
    **{
        f"compare.{name}": [(run,) for run in (*NO_RUN, "{two}")]
        for name in ("scores", "observed_winners", "training_rule", "budget_over_steps")
    },
    **{
        f"compare.{name}": [(run,) for run in (*NO_RUN, "{two}")]
        for name in ("predictor_errors", "rung_errors", "score_statistics", "compare_run")
    },
    "compare.ladder": [
        *((run,) for run in (*NO_RUN, "{two}")),
        ("{one}", ["x"]),
        ("{one}", 3),
        ("{one}", {"affordable": "a"}),
    ],
    "compare.trajectories": [*((run,) for run in NO_RUN), ("{one}", "x"), ("{one}", 3)],
    "compare.winners": [
        *((run,) for run in NO_RUN),
        ("{one}", ["x"]),
        ("{one}", 3),
        *(("{one}", ["chance"], {"near_tie": of}) for of in ("a", np.nan, 0)),
    ],
    "compare.checkpoint": [*((run,) for run in NO_RUN), ("{one}", 77), ("{one}", "a")],
    "compare.logits": [(THETA, XI, "x"), (THETA, XI, 3), (None, XI), (THETA, "a")],
    "compare.logit_budget": [(THETA, XI, "x"), (THETA, XI, 3), (None, XI), (THETA, "a")],
    "compare.trajectory_errors": [(3,), (THETA,), (xr.Dataset(),), ("{one}",)],
    **{
        f"compare.{name}": [(value,) for value in NO_DATASET]
        for name in ("logits_table", "errors_table", "winners_table", "partings")
    },
    "compare.parting_step": [(value, 0.1) for value in NO_DATASET],
    "compare.ask": [
        ("logits", "{one}"),
        (None, "{one}"),
        (compare.QUESTIONS["logits"], 3),
        (compare.QUESTIONS["logits"], "{one}", {"nothing": 1}),
    ],
    "compare.report": [([], "{free}"), ("{one}", "{free}"), ([3], "{free}"), (["{one}"], 3)],
    "compare.write_report": [(3, "{free}"), (None, "{free}")],
}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    one = nets.train(CONFIG, folder / "one")
    two = nets.train(CONFIG, folder / "two", seeds=[0, 1])
    return {"{one}": one, "{two}": two, "{run}": one.path, "{free}": folder / "free"}


def exported():
    """Every function that the two wings export, by its name there."""
    for wing, module in (("nets", nets), ("compare", compare)):
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and not isinstance(value, type):
                yield f"{wing}.{name}"


def test_the_table_is_complete():
    assert set(exported()) - set(ARGUMENTS) == set()


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) & set(exported())))
def test_wrong_arguments_are_refused_in_one_line_of_ours(name, given):
    wing, function = name.split(".")
    call = getattr({"nets": nets, "compare": compare}[wing], function)

    def meant(value):
        if isinstance(value, list) and value and isinstance(value[0], str):
            return [meant(one) for one in value]
        return given.get(value, value) if isinstance(value, str) else value

    for case in ARGUMENTS[name]:
        options = case[-1] if len(case) > 1 and isinstance(case[-1], dict) else {}
        arguments = [meant(value) for value in (case[:-1] if options else case)]
        with pytest.raises((TypeError, ValueError)) as refused:
            call(*arguments, **options)
        message = str(refused.value)
        assert len(message.splitlines()) == 1, message
        # Raised by us, who know the argument's name; numpy's and Python's own do not.
        if "nothing" not in options:
            raised_in = traceback.extract_tb(refused.value.__traceback__)[-1].filename
            assert ROOT in Path(raised_in).parents, message
            assert ".venv" not in raised_in, message
        assert not given["{free}"].exists(), case
