"""What README and docs say is there: pages, links, code, commands, options and names."""

import ast
import importlib
import importlib.util
import inspect
import re
import shlex
from pathlib import Path
from unittest import mock

import matplotlib.image
import pytest
import typer.main

from grokode import compare, theory
from grokode.cli import application
from grokode.theory import identities

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
WRITTEN = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
COMMANDS = typer.main.get_command(application()).commands


def part_of_builder(name):
    """A file of the site's builder that needs no Sphinx."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "builder" / f"{name}.py")
    part = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(part)
    return part


pages = part_of_builder("pages")
recorded = part_of_builder("recorded")


@pytest.fixture(scope="module")
def made():
    """Pages that the site's builder makes, by path; those of the examples are made by Sphinx."""
    return pages.made() | {"examples/index.rst": "", "index.md": ""}


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def spans(text):
    """Inline code outside of code blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.M))


def lines_of_shell(path):
    text = path.read_text().replace("\\\n", " ")
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in [*lines, *spans(text)] if _shell(line)]


def _shell(line):
    return re.match(r"(grokode|make|python examples/\S+|--\w)", line) and "..." not in line


def by_name(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def test_every_page_is_in_the_contents_and_there(made):
    written = [path.stem for path in WRITTEN if path.parent == DOCS]
    below = [page for _, members in pages.CONTENTS.values() for page in members]
    assert sorted([*below, "get-started", "index"]) == sorted(written)
    there = {name.rpartition(".")[0] for name in made} | set(written)
    assert {*pages.FIRST, "changelog"} <= there


def test_every_module_of_a_wing_has_its_page(made):
    public = [path for wing in pages.WINGS for path in (ROOT / wing).rglob("[!_]*.py")]
    referred = set(re.findall(r"^\.\. automodule:: (\S+)$", "\n".join(made.values()), re.MULTILINE))
    assert {pages.dotted(path) for path in public} <= referred
    assert all(pages.summary(path) for path in public)


@pytest.mark.parametrize("wing", pages.WINGS)
def test_what_a_wing_offers_is_listed_with_its_home(wing):
    package = importlib.import_module(f"grokode.{wing}")
    homes = pages.exports(ROOT / wing / "__init__.py")
    others = {name: getattr(package, name) for name in set(package.__all__) - set(homes)}
    assert all(any(thing is getattr(package, name) for name in homes) for thing in others.values())
    for name, home in homes.items():
        module, _, last = home.rpartition(".")
        assert getattr(importlib.import_module(module), last) is getattr(package, name), name


@by_name(WRITTEN)
def test_links_of_a_file_lead_somewhere(path, made):
    for target in _links(path.read_text()):
        linked = path.parent / target
        assert linked.exists() or (path.parent == DOCS and target in made), f"{target} is missing"


def test_links_of_made_pages_lead_somewhere(made):
    for page, text in made.items():
        folder = Path(page).parent
        for target in _links(text):
            assert (DOCS / folder / target).exists() or str(folder / target) in made, target


def _links(text):
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]+`", "", text))
    pages = {target.partition("#")[0] for target in targets if "://" not in target}
    return pages - {""}


@by_name(WRITTEN)
def test_python_of_a_page_runs(path, tmp_path, monkeypatch, capsys):
    """One after the other, as a reader would run them; smaller, but otherwise as they are."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    with mock.patch.dict(theory.PREDICTORS), mock.patch.dict(compare.QUESTIONS):
        for block in blocks(path.read_text(), "python"):
            small = re.sub(
                r"neurons=\d+", "neurons=8", re.sub(r"\bsteps=[\d_]+", "steps=60", block)
            )
            assert ast.dump(ast.parse(small))
            exec(compile(small, str(path), "exec"), namespace)


def test_readme_has_its_three_examples():
    assert len(blocks((ROOT / "README.md").read_text(), "python")) == 3


@by_name(WRITTEN)
def test_commands_of_a_page_exist(path):
    every = {name for command in COMMANDS.values() for name in _options(command)}
    studies = "".join(path.read_text() for path in (ROOT / "examples" / "studies").glob("*.py"))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for program, *words in lines_of_shell(path):
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        if program == "make":
            assert words[0] in targets, f"make {words[0]}"
        elif program == "python":
            source = (ROOT / words[0]).read_text()
            assert all(f'"{name}"' in source for name in given), f"{words}"
        elif program.startswith("--"):
            assert program in every or f'"{program}"' in studies, program
        elif words and not words[0].startswith("--") and words[0] != "COMMAND":
            assert words[0] in COMMANDS, f"grokode {words[0]}"
            assert given <= _options(COMMANDS[words[0]]), f"grokode {words}"


def test_identities_of_the_pages_exist():
    proved = [
        words[2]
        for path in WRITTEN
        for words in lines_of_shell(path)
        if words[:2] == ["grokode", "prove"] and words[2:3] != ["NAME"] and len(words) > 2
    ]
    paper = (DOCS / "paper-to-code.md").read_text()
    refuted = [name for name in spans(paper) if re.fullmatch(r"\w+_published", name)]
    assert len(proved) > 20
    assert {*proved, *refuted} <= {identity.name for identity in identities.IDENTITIES}


def _options(command):
    each = [option.opts + option.secondary_opts for option in command.params]
    return {name for names in each for name in names} | {"--help"}


def test_commands_page_has_every_command_and_option(made):
    for name, command in COMMANDS.items():
        part = re.split(r"^## ", made["commands.md"], flags=re.MULTILINE)
        (about,) = [text for text in part if text.startswith(f"`grokode {name}`")]
        assert inspect.cleandoc(command.help).splitlines()[0] in about
        options = [option for option in _options(command) if option[:2] == "--"]
        assert all(re.search(rf"(`|, |/ ){option}\b", about) for option in options)


@by_name(WRITTEN)
def test_names_of_a_page_exist(path):
    """Dotted names such as `grokode.theory.fourier` and `nets.train`."""
    for name in spans(path.read_text()):
        if re.fullmatch(r"(grokode|theory|nets|compare)(\.\w+)+(\(.*\))?", name):
            parts = name.partition("(")[0].removeprefix("grokode.").split(".")
            thing = importlib.import_module(f"grokode.{parts[0]}")
            for depth, part in enumerate(parts[1:], start=2):
                if not hasattr(thing, part):
                    importlib.import_module(".".join(["grokode", *parts[:depth]]))
                thing = getattr(thing, part)


@by_name(EXAMPLES)
def test_example_says_what_the_gallery_shows(path):
    """A question for a title, the data, and how it is run; Sphinx adds figure and time."""
    about = ast.get_docstring(ast.parse(path.read_text()))
    title, line, *_ = about.splitlines()
    assert title.endswith("?")
    assert line == "=" * len(title)
    assert re.search(r"^Data: .+\.$", about, re.MULTILINE | re.DOTALL)
    assert f"Run it::\n\n    python examples/{path.name} " in about


@by_name([path for path in EXAMPLES if path.stem in recorded.LONG])
def test_long_example_has_a_recorded_picture(path):
    """Small enough to be kept beside the text, and named as its thumbnail."""
    picture = DOCS / "images" / f"{path.stem}.png"
    assert picture.stat().st_size <= 80_000
    assert matplotlib.image.imread(picture).std() > 0.01
    assert path.read_text().endswith(f"# sphinx_gallery_thumbnail_path = 'images/{picture.name}'\n")


def test_recorded_pictures_are_of_examples():
    assert {*recorded.LONG, *recorded.UPPER} <= {path.stem for path in EXAMPLES}
