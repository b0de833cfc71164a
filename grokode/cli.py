"""The command line. Heavy imports wait inside the commands, so that --help answers at once."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from grokode.commands import (
    analyse,
    automaton,
    circuit,
    demo,
    explore,
    replay,
    runs,
    sweep,
    theory,
    training,
)
from grokode.console import one_line_errors

__all__ = ["application", "main"]


def application(arguments: Sequence[str] = ()) -> typer.Typer:
    """All commands; the arguments say which network's flags `train` has."""
    app = typer.Typer(
        name="grokode",
        help="The theory of learning modular addition beside really trained networks.",
        epilog="Start with: grokode demo --out demo",
        # Plain help wraps names and paragraphs on a narrow terminal, where boxes cut them off.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_version)
    for command in (
        demo.demo,
        training.train(arguments),
        sweep.sweep,
        runs.import_,
        runs.info,
        runs.export,
        analyse.winners,
        analyse.trajectories,
        analyse.logits,
        analyse.mechanism,
        analyse.grokking,
        circuit.circuit,
        analyse.scores,
        automaton.automaton,
        analyse.report,
        explore.explore,
        replay.replay,
        theory.contour,
        theory.prove,
        theory.bench,
    ):
        app.command(
            command.__name__.rstrip("_"),
            # Whole in the list of commands; one taken from the docstring would be cut.
            short_help=(command.__doc__ or "").split("\n\n")[0],
        )(command)
    return app


def main() -> None:
    """Run the command line; errors a user can mend are one line and exit code 2."""
    with one_line_errors():
        code = application(sys.argv[1:] or _completed())(prog_name="grokode", standalone_mode=False)
        # Typer turns Ctrl-C into this code without a word.
        if code == 130:
            raise KeyboardInterrupt
        sys.exit(code)


def _completed() -> list[str]:
    """The words so far, where a shell asks how they go on: bash's, or zsh's and fish's."""
    return os.environ.get("COMP_WORDS", os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()


def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if context.invoked_subcommand is None and not version:
        typer.echo(context.get_help())
    if version:
        import grokode

        typer.echo(grokode.__version__)
        raise typer.Exit
