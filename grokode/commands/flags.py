"""Flags of the command line from the records of a configuration: names, defaults, choices, help."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from grokode.nets import records

__all__ = ["choice_of", "flags_of", "with_flags"]

_ALSO = {"learning_rate": "--lr", "train_fraction": "--fraction"}
"""Second names."""

_METAVARS = {"int": "<int>", "float": "<float>", "str": "<str>", "tuple": "<float>,<float>"}


def flags_of(
    record: type, defaults: Mapping[str, Any], choices: Mapping[str, Any]
) -> Iterator[inspect.Parameter]:
    """One flag to each field of a record; one that is not given is None.

    Parameters
    ----------
    record : type
        A dataclass whose docstring describes its fields.
    defaults : dict
        What help says is taken if a flag is not given.
    choices : dict
        Names that may be chosen, by field.
    """
    described = _described(record)
    hints = get_type_hints(record)
    for field in fields(record):
        name, hint = field.name, hints[field.name]
        flag = "--" + name.replace("_", "-")
        options: dict[str, Any] = {}
        names_of = get_args(hint) if get_origin(hint) is Literal else choices.get(name)
        if names_of is not None:
            options["metavar"] = "|".join(names_of)
            options["autocompletion"] = _completed(names_of)
        if hint is bool:
            names = [f"{flag}/--no-{flag[2:]}"]
            kind: Any = bool | None
        else:
            names = [flag, *filter(None, [_ALSO.get(name)])]
            kind = Any
            options["parser"] = _parser(record, name)
            options["metavar"] = options.get("metavar") or _metavar(hint)
        default = defaults.get(name)
        shown = "" if default is None else f" [{_shown(default)}]"
        option = typer.Option(*names, help=described.get(name, "") + shown, **options)
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kind, option],
        )


def choice_of(name: str, registry: Mapping[str, Any], text: str) -> inspect.Parameter:
    """A flag that names an entry of a registry; help says which there are."""
    option = typer.Option(
        f"--{name}", help=f"{text}: {', '.join(registry)}.", autocompletion=_completed(registry)
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )


def _completed(names: Iterable[str]) -> Callable[[str], list[str]]:
    """What a shell offers for a word that was begun."""
    # Typer knows the argument by this name.
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def with_flags(
    command: Callable[..., None], parameters: Iterable[inspect.Parameter]
) -> Callable[..., None]:
    """The command with these flags in place of its keyword-only parameters."""
    own = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    together = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *parameters)
    ]

    def flagged(**values: Any) -> None:
        command(**values)

    flagged.__name__, flagged.__doc__ = command.__name__, command.__doc__
    flagged.__signature__ = inspect.Signature(together)  # type: ignore[attr-defined]
    flagged.__annotations__ = {parameter.name: parameter.annotation for parameter in together}
    return flagged


def _parser(record: type, name: str) -> Callable[[str], Any]:
    """Text to value; a value that was parsed already passes, as typer may ask twice."""

    def parse(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        try:
            return records.parse(record, name, text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parse


def _metavar(hint: Any) -> str:
    kinds = [kind.__name__ for kind in get_args(hint)] if get_origin(hint) is not tuple else []
    names = kinds or ["tuple" if get_origin(hint) is tuple else hint.__name__]
    return "|".join(_METAVARS.get(name, "none") for name in names)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{number:g}" for number in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def _described(record: type) -> dict[str, str]:
    """What a numpydoc docstring says of each parameter, by name."""
    section = inspect.getdoc(record) or ""
    section = section.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    texts: dict[str, str] = {}
    for names, text in re.findall(r"^(\S[^\n]*?) : [^\n]*\n((?:    [^\n]*\n?)*)", section, re.M):
        for name in names.split(", "):
            texts[name] = " ".join(text.split())
    return texts
