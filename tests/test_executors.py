"""Tasks run elsewhere: each once as far as anybody sees, whatever happens to workers."""

import os
import signal
import time
from pathlib import Path

import pytest

from grokode.executors import WorkerDiedError, run_tasks


def die_once(marker, value):
    """Kill the worker the first time; the second one finds the marker."""
    if marker and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if value < 0:
        raise ValueError(f"negative: {value}")
    return value * value


def die(value):
    os.kill(os.getpid(), signal.SIGKILL)


def test_every_task_ends_though_a_worker_dies_and_one_raises(tmp_path):
    tasks = [("", 1), (str(tmp_path / "died"), 2), ("", -3), ("", 4)]
    ended = sorted(run_tasks(die_once, tasks, workers=2))
    assert [end.task for end in ended] == [0, 1, 2, 3]
    assert [end.result for end in ended] == [1, 4, None, 16]
    assert str(ended[2].error) == "negative: -3"
    assert (tmp_path / "died").exists()


def test_a_task_that_kills_every_worker_is_given_up():
    (ended,) = run_tasks(die, [(1,)], workers=1)
    assert isinstance(ended.error, WorkerDiedError)
    assert ended.result is None


def sleepy(marker, value):
    """Answer once the marker is there; a value below zero kills the worker, and leaves it."""
    if value < 0:
        deaths = marker.with_name(f"{marker.name}{len(list(marker.parent.iterdir()))}")
        deaths.touch()
        if len(list(marker.parent.iterdir())) >= 3:
            marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    while not marker.exists():
        time.sleep(0.01)
    return value


def test_a_killer_costs_its_neighbours_nothing(tmp_path):
    """Two tasks run on beside one whose worker dies again and again, and are not given up."""
    marker = tmp_path / "deaths"
    tasks = [(marker, -1), (marker, 1), (marker, 2)]
    ended = sorted(run_tasks(sleepy, tasks, workers=3), key=lambda end: end.task)
    assert isinstance(ended[0].error, WorkerDiedError)
    assert [end.result for end in ended[1:]] == [1, 2]


class TwoWordsError(Exception):
    """Of two arguments, of which pickle keeps one."""

    def __init__(self, one, two):
        super().__init__(one)


def fail_in_two_words():
    raise TwoWordsError("first", "second")


def test_an_error_that_cannot_travel_is_told_and_is_no_death():
    (ended,) = run_tasks(fail_in_two_words, [()], workers=1)
    assert isinstance(ended.error, RuntimeError)
    assert str(ended.error) == "TwoWordsError: first"


@pytest.mark.parametrize("workers", [0, -1])
def test_fewer_than_one_worker_is_refused(workers):
    with pytest.raises(ValueError, match=f"workers must be at least 1, got {workers}"):
        list(run_tasks(pow, [(2, 3)], workers=workers))


def test_no_tasks_start_no_workers():
    assert list(run_tasks(pytest.fail, [], workers=1)) == []
