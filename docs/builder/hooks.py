"""What the site has beyond the files of docs/: pages made from the sources, and formulas.

`pages` needs nothing but the package itself, so that the tests can read what it makes.
"""

import ast
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WINGS = ("theory", "nets", "compare")
UPPER = {"grokking_stages": 0.395, "mechanism": 0.5}
"""How much of the examples' tall figures is shown; the rest is told of."""


def pages() -> dict[str, str]:
    """Markdown of every page that is made from the sources, by its path in the site."""
    made = {
        "commands.md": commands_page(),
        "examples.md": examples_page(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(),
    }
    for wing in WINGS:
        made |= reference_pages(wing)
    return made


def commands_page() -> str:
    """The command line, as Typer documents it."""
    made_from = str(Path(__file__).with_name("commands.py"))
    command = [sys.executable, "-m", "typer", made_from, "utils", "docs", "--name", "grokode"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # Typer's list of commands cuts each off in mid-sentence; the page's own contents will do.
    text = re.sub(r"\*\*Commands\*\*:\n.*?(?=^## )", "", text, flags=re.DOTALL | re.MULTILINE)
    note = (
        "Made from the program itself; `grokode COMMAND --help` prints the same. Exit code 0 is "
        "fine, 1 means that what was checked does not hold, 2 that the input was wrong."
    )
    return text.replace("# `grokode`\n", f"# Commands\n\n{note}\n", 1)


def examples_page() -> str:
    """A gallery: of every example what it asks, its figure, how to run it, and its source."""
    parts = ["# Examples\n\nEach is a script that runs alone and makes a figure."]
    for path in sorted((ROOT / "examples").glob("*.py")):
        source = path.read_text()
        about, _, run = (ast.get_docstring(ast.parse(source)) or "").partition("Run it:")
        title, _, body = about.strip().partition("\n\n")
        question, _, aim = " ".join(title.split()).partition("? ")
        # What stands in parentheses after a command is for people, not for the shell.
        commands = [
            re.sub(r" \((.*)\)$", r"  # \1", line.strip()) for line in run.strip().splitlines()
        ]
        picture = f"images/{path.stem}.png"
        parts += [
            f"## {question}?",
            aim,
            body,
            f"[![{question}?]({picture})]({picture})",
            "*The upper rows of the figure.*" if path.stem in UPPER else "",
            "\n".join(["```sh", *commands, "```"]),
            f'??? example "examples/{path.name}"',
            "\n".join(f"    {line}" for line in ["```python", *source.splitlines(), "```"]),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def reference_pages(wing: str) -> dict[str, str]:
    """A page for every public module of a wing, and one that lists them."""
    made = {}
    modules = []
    for path in module_files(wing):
        module = dotted(path)
        page = module.removeprefix(f"grokode.{wing}.").replace(".", "-") + ".md"
        made[f"reference/{wing}/{page}"] = f"::: {module}\n" + "".join(
            f"\n::: {module}.{name}\n    options:\n      heading_level: 2\n"
            "      show_root_full_path: false\n      show_root_toc_entry: true\n"
            for name in bare_constants(path)
        )
        modules.append(f"- [`{module}`]({page}): {summary(path)}")
    package = ROOT / wing / "__init__.py"
    names = [f"[`{wing}.{name}`][{home}]" for name, home in exports(package).items()]
    front = [f"# grokode.{wing}", summary(package), f"After `from grokode import {wing}`:"]
    made[f"reference/{wing}/index.md"] = "\n\n".join(
        [*front, ", ".join(names), "## Modules", "\n".join(modules)]
    )
    return made


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
    homes = {}
    for node in ast.parse(package.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            homes |= {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return dict(sorted(homes.items(), key=lambda item: item[0].lower()))


# What follows is called by MkDocs while it builds.


def on_config(config: Any) -> Any:
    """Put the modules of every wing below its page."""
    reference = next(entry["Reference"] for entry in config.nav if "Reference" in entry)
    for index, wing in enumerate(WINGS):
        made = reference_pages(wing)
        first = f"reference/{wing}/index.md"
        others = [
            {text.split()[1].removeprefix(f"grokode.{wing}."): page}
            for page, text in made.items()
            if page != first
        ]
        reference[index] = {wing: [first, *others]}
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages made from the sources."""
    from mkdocs.structure.files import File

    for page, text in pages().items():
        files.append(File.generated(config, page, content=text))
    files.append(
        File.generated(config, "site.css", abs_src_path=str(Path(__file__).with_name("site.css")))
    )
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Turn formulas into MathML, which browsers draw without a script or a font of ours.

    Sources are named as they lie in the repository, not in the installed copy that was read.
    """
    from latex2mathml.converter import convert

    def formula(match: re.Match[str]) -> str:
        display = "block" if match["tag"] == "div" else "inline"
        return convert(unescape(match["tex"]), display=display)

    return re.sub(
        r'<(?P<tag>div|span) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>',
        formula,
        html.replace("build/docs/grokode/", ""),
        flags=re.DOTALL,
    )
