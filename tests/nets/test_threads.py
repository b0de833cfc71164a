"""Seeds shared by threads: the same bits as on one, and nothing left behind, whatever happens."""

import dis
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.nets import workers
from grokode.nets.networks.fused import FusedGradient
from grokode.nets.workers import Behind, Workers
from tests.attack.kills import started

SILENT = {"checkpoint_every": 1000, "log_every": 1000}
TWO_LAYER = {"p": 23, "neurons": 128, "learning_rate": 0.01, "train_fraction": 0.75, "steps": 10}
TRANSFORMER = {"p": 23, "width": 16, "heads": 2, "neurons": 128}
# Large enough that a seed is computed by itself, each network's objective another one.
CONFIGS = {
    "fused": nets.TrainingConfig(activation="relu", optimizer="adamw", **TWO_LAYER, **SILENT),
    "written out": nets.TrainingConfig(activation="gelu", dropout=0.1, **TWO_LAYER, **SILENT),
    "embedding": nets.TrainingConfig(activation="relu", embedding=8, **TWO_LAYER, **SILENT),
    "autograd": nets.TrainingConfig(
        network="summed_embeddings", p=23, width=128, steps=5, train_fraction=0.5, **SILENT
    ),
    "transformer": nets.preset("nanda2023/small").replace(**TRANSFORMER, steps=5, **SILENT),
    "two layers": nets.preset("nanda2023/small").replace(
        **TRANSFORMER, layers=2, steps=3, **SILENT
    ),
    "recurrent": nets.preset("vanrossem2025/parity").replace(steps=25, **SILENT),
}


@pytest.fixture
def threads():
    """Sets torch's threads; they are as before in the end."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def serving(monkeypatch):
    """Threads, beside the caller's, that share seeds just now."""
    alive, serve = set(), workers._serve

    def noted(waiting, prepare):
        if prepare is not None:  # others sync files
            alive.add(threading.get_ident())
        serve(waiting, prepare)
        alive.discard(threading.get_ident())

    monkeypatch.setattr(workers, "_serve", noted)
    return alive


def ended(serving):
    """Whether they end; they are told to, and nobody waits for it."""
    deadline = time.monotonic() + 600
    while serving and time.monotonic() < deadline:
        time.sleep(0.001)
    return not serving


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_bits_on_one_thread_and_on_three(name, tmp_path, threads):
    runs = {}
    for count in (1, 3):
        threads(count)
        runs[count] = nets.train(CONFIGS[name], tmp_path / str(count), seeds=[5, 0, 2, 7])
        assert torch.get_num_threads() == count
    for parameter in runs[1].parameters:
        one, three = (runs[count].parameters[parameter].values for count in (1, 3))
        np.testing.assert_array_equal(one, three)
        assert (one[:, 0] != one[:, -1]).any(), "nothing was trained"
    assert runs[1].metrics.equals(runs[3].metrics)
    threads(1)
    alone = nets.train(CONFIGS[name].replace(seed=2), tmp_path / "alone")
    for parameter, values in runs[3].select(2).parameters.items():
        # Where a seed lies in memory may decide in which order a product is summed.
        np.testing.assert_allclose(values, alone.parameters[parameter], rtol=1e-4, atol=1e-6)


def test_every_thread_takes_part_and_none_has_threads_of_its_own(
    tmp_path, threads, serving, monkeypatch
):
    threads(2)
    together, seen = threading.Barrier(2, timeout=600), {}
    computed = FusedGradient.__call__

    def both_at_once(self, step):
        if step == 3 and len(seen) < 2:
            seen[threading.current_thread().name] = torch.get_num_threads()
            together.wait()
        return computed(self, step)

    monkeypatch.setattr(FusedGradient, "__call__", both_at_once)
    nets.train(CONFIGS["fused"], tmp_path / "run", seeds=[0, 1])
    assert list(seen.values()) == [1, 1]
    assert ended(serving)


def test_where_torch_has_one_thread_no_other_is_begun(tmp_path, threads, serving):
    """As in the processes of a sweep, which share the cores already."""
    threads(1)
    counts = []
    nets.train(
        CONFIGS["fused"].replace(log_every=1),
        tmp_path / "run",
        seeds=[0, 1, 2],
        on_step=lambda *_: counts.append(len(serving)),
    )
    assert set(counts) == {0}


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("where", ["here", "beside"])
def test_an_error_in_any_thread_ends_the_training_and_leaves_it_whole(
    tmp_path, threads, serving, monkeypatch, where, error
):
    threads(2)
    config = CONFIGS["fused"].replace(steps=40, checkpoint_every=4)
    whole = nets.train(config, tmp_path / "whole", seeds=range(6))
    computed = FusedGradient.__call__

    there = threading.Event()

    def interrupted(self, step):
        if step >= 10 and (threading.get_ident() in serving) == (where == "beside"):
            there.set()
            raise error
        if step >= 10:
            there.wait(600)
        return computed(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(FusedGradient, "__call__", interrupted)
        with pytest.raises(error):
            nets.train(config, tmp_path / "run", seeds=range(6))
    assert ended(serving)
    assert torch.get_num_threads() == 2
    assert nets.open_run(tmp_path / "run").parameters["theta"].step[-1] >= 8
    run = nets.train(config, tmp_path / "run", seeds=range(6), resume=True)
    np.testing.assert_array_equal(run.parameters["theta"], whole.parameters["theta"])


def test_a_diverging_seed_leaves_the_others_to_the_threads(tmp_path, threads):
    config = nets.TrainingConfig(
        p=23, neurons=128, learning_rate=10.0, scale=1.0, steps=40, checkpoint_every=10
    )
    ends = []
    for count in (1, 2):
        threads(count)
        with pytest.raises(nets.DivergedError):
            nets.train(config, tmp_path / str(count), seeds=range(6))
        run = nets.open_run(tmp_path / str(count))
        ends.append((run.ended, run.parameters["xi"].values))
    assert 0 < len(ends[0][0]) < 6
    assert ends[0][0] == ends[1][0]
    np.testing.assert_array_equal(ends[0][1], ends[1][1])


def test_after_an_error_no_further_call_is_made():
    made = []

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Workers().run([fail, lambda: made.append(1)])
    assert not made


def test_a_thread_that_cannot_be_prepared_is_an_error_of_the_call():
    def fail():
        raise ValueError("unprepared")

    with pytest.raises(ValueError, match="unprepared"), Workers.of(2, fail) as workers:
        workers.run([int, int])


def ended_before(instant, call):
    """Whether a call is over before that many chances of Ctrl-C; if not, it strikes at this one.

    Python looks for signals where a function begins, after a call and where a loop goes round.
    """
    passed, last = 0, {}

    def trace(frame, event, arg):
        nonlocal passed
        frame.f_trace_opcodes = True
        if event != "opcode":
            return trace
        if last.get(frame) in ("RESUME", "CALL", "CALL_FUNCTION_EX", "JUMP_BACKWARD"):
            passed += 1
        last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        if passed == instant:
            raise KeyboardInterrupt
        return trace

    sys._getframe().f_trace_opcodes = True  # else Python 3.12 tells of none
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return False
    finally:
        sys.settrace(None)
    return True


def in_a_child(strike, folder):
    """How a forked child ends, killed after ten minutes."""
    child, deadline = started(strike, folder, folder), time.monotonic() + 600
    while (over := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    if over[0] == 0:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return over == (child, 0)


def test_ctrl_c_at_any_instant_ends_the_wait(tmp_path):
    """A pool of Python's waits for ever where it strikes between taking a lock and letting go."""

    def shared():
        with Workers.of(3) as workers:
            workers.run([int, int, int])

    def strike(source, out):
        instant = 1
        while not ended_before(instant, shared):
            instant += 1
        assert instant > 20

    assert in_a_child(strike, tmp_path)


def test_ctrl_c_at_any_instant_leaves_no_call_half_made(tmp_path):
    def strike(source, out):
        halves, instant, ended = [], 1, False

        def write():
            halves.append(1)
            time.sleep(0.001)
            halves.append(2)

        def behind_others():
            behind = Behind()
            try:
                behind.do(write)
                behind.do(write)
            finally:
                behind.end()
                assert not behind.busy
                assert len(halves) % 2 == 0

        while not ended:
            halves.clear()
            ended = ended_before(instant, behind_others)
            instant += 1
        assert halves == [1, 2, 1, 2]
        assert instant > 20

    assert in_a_child(strike, tmp_path)


def test_an_error_of_a_call_behind_is_raised_once_and_no_later_call_is_made():
    made, behind = [], Behind()
    behind.do(lambda: made.append(1))
    behind.do(lambda: [].pop())
    with pytest.raises(IndexError):
        behind.do(lambda: made.append(2))
    behind.do(lambda: made.append(3))
    behind.end()
    assert made == [1, 3]
    assert not behind.busy


@pytest.mark.parametrize("what", [KeyboardInterrupt, SystemExit, TimeoutError])
def test_whatever_a_signal_raises_waits_for_the_call(what):
    """Its handler runs in the middle of the wait."""
    made, behind = [], Behind()

    def strike(number, frame):
        raise what

    before = signal.signal(signal.SIGALRM, strike)
    try:
        behind.do(lambda: (time.sleep(0.5), made.append(1)))
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(what):
            behind.end()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert made == [1]
