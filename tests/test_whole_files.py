"""Pages, figures and records appear whole or not at all, also when there is no room for them."""

import contextlib
import os
import signal

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
