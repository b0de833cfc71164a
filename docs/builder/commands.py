"""The command line as one Typer application, from which its page is made."""

from grokode.cli import application

app = application()
