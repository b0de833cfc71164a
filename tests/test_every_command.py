"""Every command on every kind of run: it answers with code 0, or with 2 and one line of reason.

The tables are complete: a command that is not in them fails the first test, and so does a kind of
run that is answered where it was refused, or the other way round.
"""

import io
import json
import shutil
import sys
import traceback
from pathlib import Path

import pytest

from grokode.cli import application, main
from tests.kinds import MADE

ROOT = Path(__file__).parent.parent
KINDS = set(MADE)

# What is no run of one seed that can be opened.
CLOSED = {"begun", "two seeds", "format 2 diverged"}
SEQUENCES = {"parity", "automaton"}
OTHER_NETWORKS = {
    "transformer", "attention only", "two storeys", "summed embeddings", "dihedral", *SEQUENCES
}  # fmt: skip
SEPARATE = {"separate inputs", "separate embedded"}
OTHER_TASKS = {"subtraction", "multiplication"}
TWO_LAYERS = KINDS - CLOSED - OTHER_NETWORKS
COMMON = TWO_LAYERS - SEPARATE
ADDITION = COMMON - OTHER_TASKS
FOLLOWED = (ADDITION | SEPARATE) - {"unknown split", "one checkpoint", "dead"}
TRAINED = KINDS - {
    "published", "unknown split", "one checkpoint", "dead", "format 2", "format 2 diverged",
    "diverged", "no state",
}  # fmt: skip

# Words of the command line, and who is answered.
COMMANDS = {
    "info": ("RUN", KINDS - {"begun"}),
    "export": ("RUN --out OUT.npz", TWO_LAYERS),
    "winners": ("RUN --figure OUT.png", FOLLOWED),
    "trajectories": ("RUN --figure OUT.png", FOLLOWED - {"part of the pairs"}),
    "logits": ("RUN --figure OUT.png", ADDITION),
    "mechanism": ("RUN --figure OUT.png", COMMON),
    "grokking": ("RUN --figure OUT.png", {"part of the pairs", "one checkpoint", "format 2"}),
    "scores": ("RUN --figure OUT.png", COMMON - {"unknown split"}),
    "circuit": (
        "RUN --figure OUT.png",
        KINDS - CLOSED - SEQUENCES - {"multiplication", "dihedral", "dead"},
    ),
    "automaton": ("RUN --length 9 --figure OUT.png", SEQUENCES),
    "report": ("RUN --out OUT.html", KINDS - {"begun"}),
    "explore": ("RUN --out OUT.html", KINDS - {"begun"}),
    "train": ("--out RUN --resume --steps 6", TRAINED),
    "import": ("RUN --out OUT", set()),
    "replay": ("RUN", set()),
    "sweep": ("RUN --out OUT", set()),
    "demo": ("--out RUN", set()),
    "contour": ("--out RUN", set()),
    "prove": ("RUN", set()),
    "bench": ("RUN", set()),
}
NO_JSON = {"explore"}

# Which of those that are answered are asked in `make test`; `make attack` asks all.
FEW = {"dead", "one checkpoint", "diverged", "transformer"}
ASKED = dict.fromkeys(COMMANDS, FEW) | {
    "report": {"transformer"},
    "explore": {"dead"},
    "winners": {"smallest", "separate inputs"},
    "info": KINDS,
    "export": KINDS,
    "train": KINDS,
}


def cases():
    for command, (_, answered) in COMMANDS.items():
        for kind in MADE:
            heavy = kind in answered and kind not in ASKED[command]
            yield pytest.param(command, kind, marks=[pytest.mark.attack] if heavy else [])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The run of a kind, made when it is first asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(kind):
        if kind not in made:
            made[kind] = folder / kind.replace(" ", "-")
            MADE[kind](made[kind])
        return made[kind]

    return run


def called(words):
    """Exit code, what was printed, and the error behind it, of a command in this process.

    It writes to streams that take ASCII alone: what they lack must decide nothing either.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), "ascii", "strict") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        patch.setattr(sys, "argv", ["grokode", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    for stream in (out, err):
        stream.flush()
    said, told = (stream.buffer.getvalue().decode() for stream in (out, err))
    return ended.value.code or 0, said, told, ended.value.__context__


def test_the_table_is_complete():
    names = {command.name for command in application().registered_commands}
    assert set(COMMANDS) == names
    assert all(answered <= KINDS for _, answered in COMMANDS.values())


@pytest.mark.filterwarnings("always:.*its last whole checkpoint:UserWarning")
@pytest.mark.parametrize(("command", "kind"), [*cases()])
def test_it_answers_or_says_in_one_line_why_not(command, kind, runs, tmp_path):
    line, answered = COMMANDS[command]
    run = runs(kind)
    if command == "train":
        run = shutil.copytree(run, tmp_path / "copy")
    for json_too in ([], ["--json"])[: 2 if kind in answered and command not in NO_JSON else 1]:
        out = str(tmp_path / f"out{len(json_too)}")
        words = [word.replace("RUN", str(run)).replace("OUT", out) for word in line.split()]
        code, said, told, error = called([command, *words, *json_too])
        lines = [one for one in told.splitlines() if not one.startswith("warning: ")]
        if kind in answered:
            assert code == 0, told
            if json_too:
                json.loads(said)
            continue
        assert (code, said) == (2, ""), told
        assert len(lines) == 1, told
        assert lines[0].startswith("error: ")
        assert not Path(out).exists()
        # Refused by us, who know why, and not by an array that happened not to fit.
        last = traceback.extract_tb(error.__traceback__)[-1]
        assert last.line.startswith("raise "), (last, told)
        assert ROOT in Path(last.filename).parents, (last, told)
        assert ".venv" not in last.filename, (last, told)
