"""The pages of the site: those of docs/, and those that are made from the sources.

Run it: python docs/builder/pages.py FOLDER

gathers all of them in FOLDER, from which Sphinx builds the site with the settings in conf.py. The
examples that it keeps there, in FOLDER/examples, stay: one that is unchanged is not run again.
`made` needs nothing but the package itself, so that the tests can read what it makes.
"""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

from grokode.files import replace_file

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WINGS = ("theory", "nets", "compare")
CONTENTS = {
    "guide": (
        "Guide",
        [
            "concepts",
            "which-theory",
            "explore",
            "your-own-checkpoint",
            "sweeps",
            "cluster",
            "on-a-card",
            "extend",
            "extend-nets",
            "trust",
        ],
    ),
    "measured": (
        "Results",
        [
            "results",
            "paper-to-code",
            "speed",
            "past-the-plateau",
            "grokking",
            "transformer",
            "parity",
        ],
    ),
}
"""The written pages below the site's two collections, in order; a new page is a line here."""
FIRST = ["get-started", "guide", "commands", "examples/index", "measured", "reference/index"]
"""What the top of every page leads to; the changelog is last."""


def made() -> dict[str, str]:
    """Text of every page that is made from the sources, by its path in the site."""
    pages = {
        "commands.md": commands_page(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(),
        "reference/index.md": collection_page(
            "Reference", [f"{wing}/index" for wing in WINGS], "Made from the docstrings."
        ),
    }
    for name, (title, members) in CONTENTS.items():
        listed = "\n".join(f"- [{page_title(page)}]({page}.md)" for page in members)
        pages[f"{name}.md"] = collection_page(title, members, listed)
    for wing in WINGS:
        pages |= reference_pages(wing)
    return pages


def collection_page(title: str, members: list[str], text: str) -> str:
    """A page that other pages stand below."""
    return f"# {title}\n\n{text}\n\n{contents(members)}"


def contents(members: list[str]) -> str:
    """Sphinx's table of contents, which puts pages below the one that it stands on."""
    return "\n".join(["```{toctree}", ":hidden:", "", *members, "```", ""])


def page_title(page: str) -> str:
    """First heading of a written page."""
    return (DOCS / f"{page}.md").read_text().partition("\n")[0].removeprefix("# ")


def commands_page() -> str:
    """The command line, as Typer documents it."""
    made_from = str(Path(__file__).with_name("commands.py"))
    command = [sys.executable, "-m", "typer", made_from, "utils", "docs", "--name", "grokode"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # Typer's list of commands cuts each off in mid-sentence; the page's own contents will do.
    text = re.sub(r"\*\*Commands\*\*:\n.*?(?=^## )", "", text, flags=re.DOTALL | re.MULTILINE)
    note = (
        "Made from the program itself; `grokode COMMAND --help` prints the same. Exit code 0 is "
        "fine, 1 means that what was checked does not hold, 2 that the input was wrong. "
        "`grokode --install-completion` teaches bash, zsh or fish to complete commands, flags and "
        "names."
    )
    return text.replace("# `grokode`\n", f"# Commands\n\n{note}\n", 1)


def reference_pages(wing: str) -> dict[str, str]:
    """A page for every public module of a wing, and one that lists them."""
    pages = {}
    listed = []
    for path in module_files(wing):
        module = dotted(path)
        page = module.removeprefix(f"grokode.{wing}.").replace(".", "-")
        pages[f"reference/{wing}/{page}.rst"] = module_page(path)
        listed.append((page, f"- :doc:`{page}`: {summary(path)}"))
    package = ROOT / wing / "__init__.py"
    names = [f":py:obj:`{wing}.{name} <{home}>`" for name, home in exports(package).items()]
    parts = [
        heading(f"grokode.{wing}"),
        summary(package),
        f"After ``from grokode import {wing}``: {', '.join(names)}.",
        "\n".join(line for _, line in listed),
        "\n   ".join([".. toctree::\n   :hidden:\n", *(page for page, _ in listed)]),
    ]
    pages[f"reference/{wing}/index.rst"] = "\n\n".join(parts) + "\n"
    return pages


def module_page(path: Path) -> str:
    """Directives that make the reference of one module; of a package, what it offers from where."""
    module = dotted(path)
    parts = [heading(module.split(".", 2)[2]), f".. automodule:: {module}"]
    if path.name == "__init__.py":
        names = [f":py:obj:`{name} <{home}>`" for name, home in exports(path).items()]
        parts += [f"Offers {', '.join(names)}."] if names else []
    else:
        bare = bare_constants(path)
        parts[1] += "\n   :members:\n   :exclude-members: " + ", ".join(bare)
        parts += [f".. autodata:: {module}.{name}" for name in bare]
    return "\n\n".join(parts) + "\n"


def heading(text: str) -> str:
    """A title in reStructuredText."""
    return f"{text}\n{'=' * len(text)}"


def module_files(wing: str) -> list[Path]:
    """The public modules of a wing, packages inside it included."""
    inner = (ROOT / wing).glob("*/__init__.py")
    return sorted([*(ROOT / wing).rglob("[!_]*.py"), *inner])


def dotted(path: Path) -> str:
    """Name under which a file of a wing is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["grokode", *(part for part in parts if part != "__init__")])


def summary(path: Path) -> str:
    """First paragraph of a file's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(text.partition("\n\n")[0].split())


def bare_constants(path: Path) -> list[str]:
    """Public constants of a module without a docstring, which the reference would leave out."""
    body = ast.parse(path.read_text()).body
    names = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            names[ast.unparse(target)] = (node.value, told)
    exported = ast.literal_eval(names.pop("__all__")[0]) if "__all__" in names else []
    return [name for name in exported if name in names and not names[name][1]]


def exports(package: Path) -> dict[str, str]:
    """What a package offers, by name, with the object that a name stands for."""
    stub = package.with_suffix(".pyi")
    homes = {}
    for node in ast.parse((stub if stub.exists() else package).read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.level or "grokode" in (node.module or "")):
            home = node.module or ""
            if node.level:
                home = ".".join(part for part in (dotted(package), home) if part)
            homes |= {alias.asname or alias.name: f"{home}.{alias.name}" for alias in node.names}
    return dict(sorted(homes.items(), key=lambda item: item[0].lower()))


def gather(folder: Path) -> None:
    """Lay all pages out in a folder, examples that it holds left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_dir() and old.name != "examples":
            shutil.rmtree(old)
        elif old.is_file():
            old.unlink()
    shutil.copytree(DOCS / "images", folder / "images")
    texts = {page.name: page.read_text() for page in DOCS.glob("*.md")} | made()
    texts["index.md"] += "\n" + contents([*FIRST, "changelog"])
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda file, text=text: file.write(text.encode()))


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
