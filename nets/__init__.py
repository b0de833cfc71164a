"""What real networks do: tasks, matched initialisations, training, runs on disk (torch)."""

import os
import sys

import lazy_loader

# Names and their homes are in __init__.pyi; each is loaded when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _one_thread() -> None:
    """What a process needs that was forked from one whose OpenMP threads run: it lacks them.

    One thread needs none; torch's own data loaders do the same.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_thread)
