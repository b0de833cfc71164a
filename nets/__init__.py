"""What real networks do: tasks, matched initialisations, training, runs on disk (torch)."""

import lazy_loader

# Names and their homes are in __init__.pyi; each is loaded when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
