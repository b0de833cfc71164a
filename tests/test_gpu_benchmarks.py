"""The command for a card, with fake jobs, and its benchmarks on the CPU at toy sizes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.benchmarks import (
    card,
    card_job,
    card_profile,
    card_theory,
    card_training,
    record,
)
from grokode.benchmarks.card_operations import Operations
from grokode.theory.systems import TicketFlow

ROOT = Path(__file__).parent.parent
MACHINE = {"card": "a card", "driver": "1.2", "capability": [9, 0], "processors": 132}
MACHINE |= {"clock": 1980.0}
needs_no_device = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


def job(code):
    return [sys.executable, "-c", f"import json, time\n{code}"]


def tells(*lines, then=""):
    return job("".join(f"print(json.dumps({line!r}), flush=True)\n" for line in lines) + then)


def test_all_jobs_are_run_and_all_they_tell_is_kept(tmp_path):
    jobs = {
        "tests": tells({"test": "a", "outcome": "passed"}, {"test": "b", "outcome": "failed"}),
        "broken": tells(
            {"name": "one"}, then="print('half a li', flush=True)\nraise SystemExit(3)"
        ),
        "good": tells({"name": "two"}, {"name": "three"}),
    }
    results = card.run(tmp_path, MACHINE, jobs)
    (kept,) = record.read(tmp_path)
    assert [row["name"] for row in kept["rows"]] == ["one", "two", "three"]
    assert kept["tests"] == {"a": "passed", "b": "failed"}
    assert kept["unfinished"] == {"broken": "exit status 3"}
    assert kept["rows"] == results["rows"]
    assert MACHINE.items() <= kept["machine"].items()
    # A build of the index has a name of its own, 2.13.0+cu130, where the package has 2.13.0.
    assert kept["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_what_was_measured_is_kept_when_the_time_is_up(tmp_path, monkeypatch):
    monkeypatch.setattr(card, "_LEAST", 0.5)
    jobs = {
        "endless": tells({"name": "one"}, then="time.sleep(60)"),
        "as well": tells({"name": "two"}, then="time.sleep(60)"),
        "late": tells({"name": "never"}),
    }
    began = time.monotonic()
    results = card.run(tmp_path, MACHINE, jobs, limit=6.0)
    assert time.monotonic() - began < 60  # far from the jobs' own minutes
    # The first had half of the time and the second the rest.
    assert results["rows"] == [{"name": "one"}, {"name": "two"}]
    assert results["unfinished"] == {
        "endless": "ended when the time was up",
        "as well": "ended when the time was up",
        "late": "not begun, the time was up",
    }
    assert record.read(tmp_path)[0]["unfinished"] == results["unfinished"]


def test_a_row_is_on_the_disk_while_its_job_runs(tmp_path):
    """The job itself looks for its first row before it tells the second."""
    wait = f"""
from pathlib import Path
for _ in range(200):
    files = list(Path({str(tmp_path)!r}).glob("gpu-*.json"))
    if files and json.loads(files[0].read_text())["rows"]: break
    time.sleep(0.05)
print(json.dumps({{"name": "seen" if files else "not seen"}}))
"""
    results = card.run(tmp_path, MACHINE, {"job": tells({"name": "first"}, then=wait)})
    assert [row["name"] for row in results["rows"]] == ["first", "seen"]


@needs_no_device
def test_without_a_card_it_is_one_line(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "gpu", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: no CUDA device found; run this where there is one\n"
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_failures_are_in_the_exit_status(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(card, "card", lambda: MACHINE)
    passed, failed, skipped = (
        {"test": outcome, "outcome": outcome} for outcome in ("passed", "failed", "skipped")
    )
    for jobs, status in [
        ({"tests": tells(passed)}, 0),
        ({"tests": tells()}, 1),
        ({"tests": tells(passed, then="time.sleep(60)")}, 1),
        ({"tests": tells(failed)}, 1),
        ({"tests": tells(passed, failed)}, 1),
        ({"tests": tells(skipped)}, 1),
        ({"tests": tells(passed, skipped)}, 1),
        ({"tests": tells(passed), "rows": job("raise SystemExit(1)")}, 1),
    ]:
        monkeypatch.setattr(card, "commands", lambda jobs=jobs: jobs)
        assert card.main(tmp_path, 10.0) == status
    assert "unfinished: {'rows': 'exit status 1'}" in capsys.readouterr().out


def test_a_job_tells_rows_and_nothing_else(tmp_path):
    """Whatever is printed meanwhile goes elsewhere, also by what knows the file alone."""
    code = """
import os, sys
from grokode.benchmarks import card_job
def rows(name):
    print("noise"); os.write(1, b"more noise\\n")
    yield {"name": name}
card_job._rows = rows
card_job.main("training")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"name": "training"}]
    assert "more noise" in done.stderr


def test_every_job_has_its_rows():
    assert {*card.JOBS} == {"tests", *card_job._MODULES}
    modules = {"card_theory": card_theory, "card_profile": card_profile}
    for module, function in card_job._MODULES.values():
        assert callable(getattr(modules.get(module, card_training), function))


def test_the_outcomes_of_tests_are_told(tmp_path):
    """Also of a file that cannot be read as tests; the others are run all the same."""
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_it.py").write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.gpu\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "@pytest.mark.skip\ndef test_no(): pass\n"
    )
    (tests / "test_broken.py").write_text("import nothing_of_that_name\n")
    code = f"""
from pathlib import Path
from grokode.benchmarks import card_job
card_job.__file__ = {str(tmp_path / "benchmarks" / "card_job.py")!r}
told = []
try:
    card_job._run_tests(told.append)
except SystemExit as ended:
    print(ended.code)
print({{line["test"].split("/")[-1].split("::")[-1]: line["outcome"] for line in told}})
"""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu\n")
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    *_, status, outcomes = done.stdout.splitlines()
    assert status == "1"
    assert outcomes == str(
        {"test_broken.py": "failed", "test_good": "passed", "test_bad": "failed"}
        | {"test_no": "skipped"}
    )


# The rows, on the CPU.

TINY = {"optimizer": "adamw", "learning_rate": 1e-3, "steps": 30, "device": "cpu", "p": 7}
NETWORKS = {
    "two layers": nets.TrainingConfig(neurons=8, activation="relu", **TINY, warmup=10),
    "quadratic, SGD": nets.TrainingConfig(neurons=8, **TINY | {"optimizer": "sgd"}),
    "transformer": nets.TrainingConfig(
        network="transformer", width=8, heads=2, neurons=12, train_fraction=0.6, **TINY
    ),
}


@pytest.mark.parametrize("config", NETWORKS.values(), ids=list(NETWORKS))
@pytest.mark.parametrize("seeds", [1, 2])
def test_the_peer_takes_the_same_steps(tmp_path, config, seeds):
    steps = 30
    run = nets.train(config.replace(dtype="float64"), tmp_path / "run", seeds=range(seeds))
    losses = run.metrics.train_loss.isel(step=-1).values
    # The peer's last loss is that before its last step.
    _, theirs = card_training.plain(config.replace(dtype="float64"), seeds, steps + 1)
    np.testing.assert_allclose(theirs, losses, rtol=1e-9)


def test_rows_of_trainings(monkeypatch):
    monkeypatch.setattr(card_training, "PEER_STEPS", 10)
    seeds = 2
    speeds = {"operations": 1e12, "bytes": 1e12}
    config = NETWORKS["two layers"]
    row = card_training.training_row("a training", config, seeds, 10, speeds)
    assert row["peer"] == "torch.func.vmap of it, nothing logged"
    assert row["ratio"] == pytest.approx(row["theirs"] / row["ours"])
    assert row["times_the_floor"] == pytest.approx(row["ours"] / row["floor"])
    assert row["seed_steps_per_second"] == pytest.approx(seeds * 30 / row["ours"])
    assert row["name"].endswith("a training, 30 steps, extrapolated from 10 steps")
    json.dumps(row)


def test_products_added_in_place_are_counted():
    one, other = torch.ones(3, 5, 7), torch.ones(3, 7, 2)
    with Operations() as seen:
        torch.zeros(3, 5, 2).baddbmm_(one, other)
        torch.bmm(one, other, out=torch.empty(3, 5, 2))
    assert seen.computed == 2 * (2 * 3 * 5 * 7 * 2)
    # Zeros are written; the first product reads and writes its sum, the second only writes.
    moved = 30 + (105 + 42 + 2 * 30) + (105 + 42 + 30)
    assert seen.seconds({"bytes": 4.0, "operations": 1e30}) == pytest.approx(moved)


def test_the_floor_counts_operations_and_bytes():
    p, neurons, seeds = 7, 8, 3
    config = nets.TrainingConfig(p=p, neurons=neurons, activation="gelu", device="cpu")
    pairs = p * (p + 1) // 2  # unordered
    # Five products of (pairs, p, neurons), a multiplication and an addition each.
    operations = seeds * 5 * 2 * pairs * p * neurons
    slow = {"operations": 1.0, "bytes": 1e30}
    assert card_training.floor(config, seeds, slow) == operations
    # SGD without momentum reads weight and gradient and writes the weight, in float32.
    slow = {"operations": 1e30, "bytes": 1.0}
    assert card_training.floor(config, seeds, slow) == seeds * 3 * 2 * neurons * p * 4


def test_peaks_are_measured():
    speeds = card_training.peaks("cpu", 64)
    assert set(speeds) == {"operations", "bytes"}
    assert min(speeds.values()) > 0


def test_what_an_operation_moves_and_computes():
    one, other = torch.ones(5, 3), torch.ones(3, 2)
    with Operations() as seen:
        one.T @ one  # 15 numbers twice, 9 results of 5 products
        (one @ other).add_(1)  # 15 + 6 + 10 numbers and 10 products of 3; 10 read, 10 written
    assert seen.count == 3
    moved, computed = (30 + 9, 31, 20), (2 * 9 * 5, 2 * 10 * 3, 0)
    assert seen.seconds({"bytes": 4.0, "operations": 1e30}) == pytest.approx(sum(moved))
    assert seen.seconds({"bytes": 1e30, "operations": 1.0}) == pytest.approx(sum(computed))
    both = sum(max(m, c) for m, c in zip(moved, computed, strict=True))
    assert seen.seconds({"bytes": 4.0, "operations": 1.0}) == pytest.approx(both)


@pytest.mark.parametrize("config", NETWORKS.values(), ids=list(NETWORKS))
def test_rows_of_a_profile(config):
    speeds = {"operations": 1e12, "bytes": 1e12}
    whole, *parts = card_profile.step_rows("a training", config, 2, speeds, steps=5)
    assert whole["name"] == "2 x a training: a step"
    assert whole["unfused_us"] > 0
    assert 0 < len(parts) <= 12
    assert sum(part["share"] for part in parts) <= 1 + 1e-9
    assert [part["ours"] for part in parts] == sorted((p["ours"] for p in parts), reverse=True)
    # The optimiser moves all parameters once a step.
    found = card_profile.kernels(card_training.ensemble_of(config, range(2)), range(1, 6))
    assert [calls for name, (_, calls) in found.items() if "_fused_" in name] == [1]
    json.dumps([whole, *parts])


def test_the_time_of_a_kernel_under_the_simulator():
    """There every kernel takes no time; what is asked for runs, in both formats."""
    code = """
import warnings
import numpy as np
from grokode.benchmarks import card_theory, ensemble
start = ensemble.tickets(3)
warnings.simplefilter("ignore")
for options in [
    {"method": "rk4", "step_size": 0.3, "dtype": "float32"}, {"method": "tsit5", "rtol": 1e-3}
]:
    print(card_theory.kernel_seconds(start, options) <= 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_operations_are_counted():
    flow = TicketFlow(23)
    waves = tuple(card_theory._Counted(value) for value in (0.1, 0.2, 0.3, 0.4))
    # By hand: 6 + 6 + 6 + 4, the factor 2 p being a constant.
    assert card_theory._counted(flow.rhs, 0.0, waves, flow.parameters) == 22
    # Four of them, four states of 4 components (3, 3, 3 and 9 operations each), their times, and
    # the squares, scales and norm that say how it went.
    by_hand = 4 * 22 + 4 * (3 + 3 + 3 + 9) + 4 * 2 + 12 + 4 + 1
    assert card_theory._operations_of_step("rk4") == by_hand
    assert card_theory._operations_of_step("tsit5") > 2 * by_hand - 4 * 22
    assert 300 < card_theory._operations_of_blowup() < 600


def test_the_peak_is_that_of_the_data_sheet():
    # NVIDIA H100 SXM: 66.9 TFLOP/s in float32 and 33.5 in float64 without tensor cores.
    assert card_theory.peak(MACHINE, "float32") == pytest.approx(66.9e12, rel=1e-3)
    assert card_theory.peak(MACHINE, "float64") == pytest.approx(33.5e12, rel=2e-3)
    assert card_theory.peak(MACHINE | {"capability": [3, 5]}, "float32") is None


def test_rows_of_theory():
    ensembles = list(card_theory.ensemble_rows(n=20, steps=200, device="cpu"))
    assert [row["error"] < 1e-3 for row in ensembles] == [True] * 4
    for row in ensembles:
        assert row["steps_per_second"] > row["solves_per_second"]
    times, stream = card_theory.lottery_rows(n=100, p=11, tickets=2000, device="cpu")
    assert times["error"] < 1e-12
    assert stream["tickets_per_second"] * stream["ours"] == pytest.approx(2000)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_card_is_described():
    machine = card.card()
    assert machine["driver"]
    assert card_theory.peak(machine, "float32") is not None
