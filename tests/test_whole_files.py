"""Pages, figures and records appear whole or not at all, also when there is no room for them."""

import ast
import contextlib
import os
import signal
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from grokode.compare.common.style import save_figure
from grokode.compare.page.html import Section, write_page

resource = pytest.importorskip("resource")


@contextlib.contextmanager
def full_disk(room=100):
    """No file can grow beyond `room` bytes; the system refuses the write, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def figure():
    made = Figure()
    made.subplots().plot([0, 1])
    return made


def record(path):
    from grokode.benchmarks import record

    return record.write("blowup", [{"name": "x" * 500}], path.parent / path.name)


WRITERS = {
    "p.html": lambda path: write_page(path, "page", [Section("a", figures=[(figure(), "b")])]),
    "f.png": lambda path: save_figure(figure(), path, dpi=50),
    "f.svg": lambda path: save_figure(figure(), path),
    "f.pdf": lambda path: save_figure(figure(), path),
    "records": record,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_nothing(name, tmp_path):
    path = tmp_path / name
    with full_disk(), pytest.raises(OSError, match=r"File too large|No space"):
        WRITERS[name](path)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
    WRITERS[name](path)
    assert all(file.stat().st_size for file in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", ["p.html", "f.png"])
def test_what_is_there_is_never_written_over(name, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(FileExistsError):
        WRITERS[name](tmp_path / name)
    assert victim.read_text() == "mine"
    os.unlink(tmp_path / name)
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        WRITERS[name](tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_page_does_not_count_as_a_finished_demo(tmp_path, monkeypatch):
    from grokode.compare.page import comparison, report

    monkeypatch.setattr(report, "_sections", lambda run, given, drawn: [Section("a")])
    page = tmp_path / "report.html"
    page.touch()
    nothing = comparison.Comparison(None, {})
    comparison.write_report(nothing, tmp_path)
    assert page.read_text().startswith("<!doctype html>")
    with pytest.raises(FileExistsError):
        comparison.write_report(nothing, tmp_path)


ROOT = Path(__file__).parent.parent
# Where a file is opened or written by its name: the one place for whole files, the two journals
# that only grow, a picture of the documentation, whose folder is made anew, and a standard output.
WRITE_THEMSELVES = {
    "grokode/files.py",
    "nets/runs/store.py",
    "theory/_winner_store.py",
    "docs/builder/pictures.py",
    "benchmarks/card_job.py",
}
IN_PLACE = {"savefig", "write_text", "write_bytes", "tofile", "to_netcdf", "to_csv", "imsave"}


def writes_in_place(tree):
    """Calls that would write a file under its own name; into a variable's buffer is none."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
        modes += [k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)]
        opens = name in ("open", "fdopen") and any(
            isinstance(mode, str) and set(mode) & set("wax+") and len(mode) <= 3 for mode in modes
        )
        target = node.args[0] if node.args else None
        named = not (isinstance(target, ast.Name) and target.id in ("file", "buffer", "out_file"))
        # What gives its text back when no file is named.
        if opens or (name in IN_PLACE and target is not None and named):
            yield f"{name} in line {node.lineno}"


def test_no_file_is_written_in_place():
    found = {}
    for folder in ("grokode", "theory", "nets", "compare", "examples", "benchmarks", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            place = path.relative_to(ROOT).as_posix()
            calls = [*writes_in_place(ast.parse(path.read_text()))]
            if calls and place not in WRITE_THEMSELVES:
                found[place] = calls
    assert not found


def test_the_search_knows_what_it_looks_for():
    for text in ("figure.savefig(out)", "open(path, 'w')", "path.open('xb')", "p.write_text('a')"):
        assert [*writes_in_place(ast.parse(text))], text
    for text in ("figure.savefig(file)", "open(path, 'rb')", "rows.to_csv(index=False)", "f(1)"):
        assert not [*writes_in_place(ast.parse(text))], text
