"""What holds for every test."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_waiting_for_disks(monkeypatch):
    """Thousands of small runs need not outlive a power cut; tests of that record these calls."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
