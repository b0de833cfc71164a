"""The explorer served on this machine alone: all neurons, all steps, and a training panel."""

import errno
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.server.server import Server

from grokode.compare.explorer.material import SERVED, Material
from grokode.compare.explorer.page import fill
from grokode.compare.explorer.panel import Panel
from grokode.compare.explorer.rooms import rooms
from grokode.compare.explorer.trainer import Trainer
from grokode.nets.runs import Run, open_run

__all__ = ["ADDRESS", "Hall", "serve"]

ADDRESS = "127.0.0.1"
"""The only address that is listened on: a run is nobody else's business."""

_REFUSALS = {
    errno.EADDRINUSE: "is in use; choose another with --port, or 0 for any",
    errno.EACCES: "is not for you to take; choose one above 1023 with --port",
}

_WATCH_EVERY = 800
"""Milliseconds between two looks at a training."""


class Hall:
    """The runs of a server, and its one training.

    Parameters
    ----------
    runs : sequence of Run
        Each of one seed.
    folder : Path
        Where trainings are written.
    """

    def __init__(self, runs: Sequence[Run], folder: Path) -> None:
        self.materials = [Material(run, SERVED) for run in runs]
        self.trainer = Trainer(folder)

    def measure(self, on_view: Callable[[str], object] = lambda name: None) -> None:
        """Measure all that the views need, so that pages open at once."""
        for material in self.materials:
            rooms(material, True, on_view=on_view)

    def open_page(self, document: Document) -> None:
        """Fill a new page with the run that its address asks for."""
        place = _asked(document, len(self.materials))
        panel = Panel(self.trainer, self.add)
        names = [material.run.path.name for material in self.materials]
        fill(document, [rooms(self.materials[place], True)], names, panel.parts)
        document.add_periodic_callback(panel.watch, _WATCH_EVERY)

    def add(self, path: Path) -> int:
        """Make a run that was just trained one of the hall's; returns its number."""
        for number, material in enumerate(self.materials):
            if material.run.path == path:
                return number
        run = open_run(path)
        self.materials.append(
            Material(run if run.seed is not None else run.select(run.seeds[0]), SERVED)
        )
        return len(self.materials) - 1


def serve(hall: Hall, port: int, on_ready: Callable[[str], object]) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    hall : Hall
    port : int
        0 for any that is free.
    on_ready : function (address)
        Called once the address can be opened.

    Raises
    ------
    OSError
        If the port is in use, or not for us to take.
    """
    port = _checked(port)
    server = Server(
        {"/": Application(FunctionHandler(hall.open_page))},
        address=ADDRESS,
        port=port,
        allow_websocket_origin=[f"localhost:{port}", f"{ADDRESS}:{port}"],
    )
    server.start()
    on_ready(f"http://localhost:{port}/")
    try:
        server.run_until_shutdown()
    finally:
        hall.trainer.close()


def _checked(port: int) -> int:
    """A port that can be listened on; any if 0 is asked for."""
    with socket.socket() as one:
        if os.name == "posix":  # as the server will: a port just left is free
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((ADDRESS, port))
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise
            raise OSError(f"port {port} {_REFUSALS[error.errno]}") from None
        return int(one.getsockname()[1])


def _asked(document: Document, runs: int) -> int:
    """The number in the page's address, 0 if it names no run."""
    context: Any = document.session_context
    given = context.request.arguments.get("run", [b"0"]) if context is not None else [b"0"]
    text = given[0].decode(errors="replace")
    number = int(text) if text.isascii() and text.isdigit() else 0
    return number if number < runs else 0
