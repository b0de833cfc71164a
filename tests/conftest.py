"""What holds for every test."""

import os

import numba
import pytest


def pytest_configure(config):
    """Workers side by side have a thread each: two that share their cores wait for one another.

    Tests of several threads ask for them.
    """
    if hasattr(config, "workerinput"):
        numba.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_waiting_for_disks(monkeypatch):
    """Thousands of small runs need not outlive a power cut; tests of that record these calls."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
