"""Calls side by side: their order, their errors, and that a thread of its own changes no bit."""

import threading
import time
from contextlib import suppress
from functools import partial

import numba as nb
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from grokode import nets
from grokode.theory import TrainingRule, _parallel
from grokode.theory._parallel import one_thread_below, one_thread_of_blas, side_by_side
from grokode.theory.harmonic_flow import harmonic_flow
from grokode.theory.neuron_flow import neuron_flow

P = 7
START = nets.gaussian(p=P, neurons=24, scale=0.1, seed=0)
RULE = TrainingRule(p=P, activation="relu", optimizer="adamw", learning_rate=1e-2, steps=30)


@pytest.fixture
def two_threads():
    before = nb.get_num_threads()
    if nb.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("NUMBA_NUM_THREADS is 1")
    nb.set_num_threads(2)
    yield
    nb.set_num_threads(before)


def test_results_come_in_the_order_of_calls(two_threads):
    late = threading.Event()

    def first():
        assert late.wait(600)  # the second is under way meanwhile
        return 1

    def second():
        late.set()
        return 2

    assert side_by_side([first, second, lambda: 3]) == [1, 2, 3]


def test_the_first_error_is_raised(two_threads):
    def fail(error):
        raise error

    with pytest.raises(KeyError):
        side_by_side([lambda: 1, partial(fail, KeyError("a")), partial(fail, ValueError("b"))])


def test_threads_of_matrix_products_are_as_before(two_threads):
    """Whoever leaves last, after an error too."""

    def blas():
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        before, entered, leave, left = blas(), *(threading.Event() for _ in range(3))

        def outlive():
            with one_thread_of_blas():
                entered.set()
                assert leave.wait(600)
            left.set()

        def fail():
            assert entered.wait(600)
            raise KeyError(*blas()[:1])

        # One call goes on after the other has failed and the caller was told.
        with pytest.raises(KeyError) as failed:
            side_by_side([fail, outlive])
        assert failed.value.args in ((), (1,))
        leave.set()
        assert left.wait(600)
        assert blas() == before


def test_the_last_call_has_all_threads(two_threads):
    """Whoever still works when the others are done shares the loops."""
    begun, other = threading.Event(), threading.Event()

    def last():
        begun.set()
        assert _parallel._one_thread()
        other.set()
        crew = _parallel._here.crew
        for _ in range(60_000):
            if crew.working == 1:
                return _parallel._one_thread()
            time.sleep(0.01)

    def first():
        assert begun.wait(600)
        assert other.wait(600)
        return _parallel._one_thread()

    assert side_by_side([last, first]) == [False, True]
    assert not _parallel._one_thread()


@pytest.mark.parametrize("flow", [neuron_flow, partial(harmonic_flow, keep="rows+2")])
def test_a_thread_of_its_own_changes_no_bit(two_threads, monkeypatch, flow):
    """Blocks of neurons are worked on in the same order of operations, whoever does it."""
    monkeypatch.setattr(_parallel, "_SMALL", 0)
    shared = flow(START, RULE, [0, 30])
    alone = side_by_side([partial(flow, START, RULE, [0, 30])] * 2)
    for path in alone:
        np.testing.assert_array_equal(path.theta_hat, shared.theta_hat)
        np.testing.assert_array_equal(path.xi_hat, shared.xi_hat)


def test_little_work_has_one_thread_and_others_as_before(two_threads):
    def alone():
        return _parallel._here.alone

    with suppress(KeyError), one_thread_below(10):
        assert alone()
        with one_thread_below(10**9):
            assert alone()  # who asked first has the word
        raise KeyError
    assert not alone()
    with one_thread_below(10**9):
        assert not alone()
