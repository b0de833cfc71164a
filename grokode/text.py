"""Text that came from outside, such as a file's name, shown without obeying it.

A name may hold what a terminal or a browser takes for a command: escape sequences set the title or
the clipboard, overrides of direction turn what follows around. Such characters are written out.
"""

import codecs
import unicodedata

__all__ = ["ENCODABLE", "visible"]

ENCODABLE = "grokode-encodable"
"""Name of the codec error handler that spells out what an encoding lacks: R^2 for R², say."""

# Controls, formats such as overrides of direction, halves of pairs, and separators of lines.
_COMMANDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}

# What our own tables and notes hold beyond ASCII.
_SPELLED = {
    **{"²": "^2", "³": "^3", "×": "x", "−": "-", "–": "-", "—": "-", "…": "...", "±": "+-"},
    **{"≥": ">=", "≤": "<=", "≈": "~", "→": "->", "·": "*", "π": "pi", "η": "eta", "λ": "lambda"},
    **{"θ": "theta", "ξ": "xi", "φ": "phi", "ψ": "psi", "α": "alpha", "β": "beta", "μ": "mu"},
    **{"’": "'", "‘": "'", "“": '"', "”": '"', "━": "-", "╸": "-", "╺": "-", "─": "-", "│": "|"},
}


def visible(text: str, keep: str = "") -> str:
    r"""Text with control characters written out, as ``\x1b``, so that they can do nothing.

    Parameters
    ----------
    text : str
    keep : str
        Characters to leave as they are, such as a newline of our own.

    Examples
    --------
    >>> print(visible("run\x1b]0;title\x07, caf\u00e9"))
    run\x1b]0;title\x07, café
    >>> visible("two\nlines", keep="\n")
    'two\nlines'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _written_out(character)
        if unicodedata.category(character) in _COMMANDS and character not in keep
        else character
        for character in text
    )


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _encodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_SPELLED.get(one) or _written_out(one) for one in lost), error.end


codecs.register_error(ENCODABLE, _encodable)
