"""``python -m grokode``."""

from grokode.cli import main

main()
