"""What the command line shows: never a command to the terminal, and never a codec error."""

import ctypes
import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from grokode import console
from grokode.cli import main
from grokode.compare.page.html import Section, write_page
from grokode.nets import TrainingConfig, open_run, train
from grokode.text import visible

# Title, clipboard, colour, backspace, C1 controls, a turned direction, half a pair, a newline.
NASTY = "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[31m\x08\x7f\x9b31m\u202e\udcff\u2028<b>&\n"
TINY = TrainingConfig(p=5, neurons=6, steps=4, checkpoint_every=2, log_every=2, train_fraction=0.8)


def raw(text):
    """Characters that a terminal or browser would obey."""
    return re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text)


def call(*arguments, env=None, **options):
    return subprocess.run(
        [sys.executable, "-m", "grokode", *map(str, arguments)],
        capture_output=True,
        check=False,
        env=os.environ | (env or {}),
        **options,
    )


@pytest.fixture(scope="module")
def nasty_run(tmp_path_factory):
    """A run whose folder's name holds what a terminal would obey, as far as a name can."""
    name = NASTY.replace("/", "").encode(errors="surrogateescape").decode(errors="surrogateescape")
    path = tmp_path_factory.mktemp("nasty") / name
    train(TINY, path)
    return path


def test_every_control_character_is_written_out():
    shown = visible("".join(map(chr, range(0x2100))) + NASTY)
    assert not raw(shown.replace("\n", ""))
    assert "\n" not in shown
    assert "\\x1b]52;c" in shown
    shown.encode()
    assert visible("θ² café, 東京 🙂") == "θ² café, 東京 🙂"


@pytest.fixture
def printed(monkeypatch):
    """Everything that the console prints, as one text."""
    both = io.StringIO()
    monkeypatch.setattr(sys, "stderr", both)
    for name in ("_out", "_err"):
        made = console._Console(markup=False, emoji=False, file=both, width=200)
        monkeypatch.setattr(console, name, made)
    return both.getvalue


@pytest.mark.parametrize(
    "show",
    [
        lambda: console.print_table([["a", NASTY], [NASTY, "b"]]),
        lambda: console.print_numbers(NASTY, {NASTY: NASTY}),
        lambda: console.print_line(NASTY),
        lambda: console.note(NASTY, NASTY),
        lambda: console.print_json({NASTY: [NASTY]}),
    ],
)
def test_nothing_printed_is_a_command(show, printed):
    show()
    assert not raw(printed())
    assert "1b]0;owned" in printed()


def test_errors_are_shown_not_sent(capsys):
    with pytest.raises(SystemExit), console.one_line_errors():
        raise ValueError(f"{NASTY} is no run")
    shown = capsys.readouterr().err
    assert not raw(shown)
    assert shown.count("\n") == 1


def test_json_gives_back_what_it_was_given(printed):
    console.print_json({"name": NASTY})
    assert json.loads(printed())["name"] == NASTY


def test_pages_show_markup_and_controls(tmp_path):
    page = write_page(tmp_path / "p.html", NASTY, [Section(NASTY, NASTY, [[NASTY], [NASTY]])])
    text = page.read_text(encoding="utf-8")
    assert not raw(text)
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;" in text


@pytest.fixture
def called(monkeypatch):
    """A command in this process: its exit code, and what it wrote to streams of an encoding."""

    def run(*words, encoding="utf-8"):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding, "strict") for _ in range(2)]
        # The consoles of this process may hold other streams since they were made.
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            patch.setattr(sys, "argv", ["grokode", *map(str, words)])
            with pytest.raises(SystemExit) as ended:
                main()
        for stream in streams:
            stream.flush()
        out, err = (stream.buffer.getvalue().decode() for stream in streams)
        return ended.value.code or 0, out, err

    return run


def test_a_folder_with_such_a_name_is_a_run_like_any_other(nasty_run, called):
    for command in (["info"], ["logits"], ["info", "--json"]):
        code, out, err = called(command[0], nasty_run, *command[1:])
        assert code == 0, err
        assert not raw(out + err)
    assert json.loads(out)["p"] == 5
    code, out, err = called("info", nasty_run / "nowhere")
    assert (code, out) == (2, "")
    assert not raw(err)
    assert len(err.splitlines()) == 1


@pytest.mark.filterwarnings("always:.*its last whole checkpoint:UserWarning")
def test_a_warning_is_one_line_that_obeys_no_name(nasty_run, called):
    chunk = nasty_run / "arrays.zarr/weights/theta/c.2.0.0.0"
    whole = chunk.read_bytes()
    chunk.write_bytes(b"")
    try:
        code, out, err = called("info", nasty_run, "--json")
    finally:
        chunk.write_bytes(whole)
    assert code == 0, err
    assert json.loads(out)["checkpoints"] == 2
    assert not raw(err)
    assert len(err.splitlines()) == 1
    assert err.startswith("warning: ")


ASCII = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["info", "RUN"],
        ["logits", "RUN"],
        ["scores", "RUN"],
        ["mechanism", "RUN"],
        ["grokking", "RUN"],
        ["winners", "RUN", "--rule", "blowup_time"],
        ["trajectories", "RUN"],
        ["prove", "misalignment_rate"],
        ["contour", "--size", "3", "--out", "OUT.png"],
        ["export", "RUN", "--out", "OUT.npz"],
        ["train", "--p", "5", "--neurons", "4", "--steps", "2", "--out", "OUT"],
        ["bench", "nothing"],
        ["info", "θ"],
    ],
    ids=lambda command: command[0],
)
def test_a_poor_terminal_changes_no_exit_code(command, tmp_path, nasty_run, called):
    """With streams that can write ASCII alone."""
    filled = [
        word.replace("RUN", str(nasty_run)).replace("OUT", str(tmp_path / "é")) for word in command
    ]
    results = []
    for encoding in ("utf-8", "ascii"):
        if command[0] in ("train", "export", "contour"):
            filled = [word.replace("é", f"é{encoding}") for word in filled]
        results.append(called(*filled, encoding=encoding))
    (code, *_), (of_ascii, out, err) = results
    assert code == of_ascii, results
    assert "codec" not in out + err


def test_a_real_process_without_unicode(nasty_run):
    done = call("logits", nasty_run, env=ASCII)
    assert done.returncode == 0, done.stderr
    assert b"R^2" in done.stdout


def test_sigterm_keeps_what_is_finished_and_says_so(tmp_path, request):
    run = tmp_path / "run"
    flags = ["--p", 5, "--neurons", 6, "--steps", 200_000, "--checkpoint-every", 10]
    child = subprocess.Popen(
        [sys.executable, "-m", "grokode", "train", *map(str, flags), "--out", str(run)],
        stderr=subprocess.PIPE,
        text=True,
    )
    request.addfinalizer(child.kill)
    until = time.monotonic() + 600
    while not (run / "run.json").exists() or open_run(run).weights.sizes["step"] < 3:
        assert time.monotonic() < until
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=600)
    assert child.returncode == 143
    assert err == (
        "error: terminated; finished checkpoints are kept, the same with --resume goes on from "
        "them\n"
    )
    assert open_run(run).weights.sizes["step"] >= 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_where_python_cannot_raise_is_not_lost(number, code, monkeypatch):
    """Numba's compiler calls back from C, which ignores what is raised there."""
    monkeypatch.setattr(console, "_ended", KeyboardInterrupt())
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    @ctypes.CFUNCTYPE(None)
    def called_back():
        signal.raise_signal(number)

    def command():
        with console.one_line_errors():
            called_back()
            time.sleep(300)

    began = time.monotonic()
    try:
        with pytest.raises(SystemExit) as over:
            command()
    finally:
        signal.signal(signal.SIGINT, before)
    assert over.value.code == code
    assert time.monotonic() - began < 250  # it did not sleep to the end
