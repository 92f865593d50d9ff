"""Mathematics in plain text, typeset with HTML: k^3 becomes a superscript, mu_i a Greek letter with a subscript.

Formulas of a spec, "d*sigma**2", are typeset like the others.
"""

import re

from markupsafe import Markup, escape

GREEK = {"mu": "&mu;", "sigma": "&sigma;", "eta": "&eta;", "beta": "&beta;", "sum": "&Sigma;"}
SIGNS = {
    "&lt;=": "&le;",
    "&gt;=": "&ge;",
    "&lt;-": "&larr;",
    "sqrt(": "&radic;(",
    "sum |": "&Sigma; |",
    " - ": " &minus; ",
    "(-": "(&minus;",
}
_POWER = re.compile(r"\^(\([^()]*\)|[-+]?\w+(?:\.\d+)?\*?)")
_INDEX = re.compile(r"\b(mu|sigma|eta|sum|w|n|p|e|x|I)_(\w|min|max)\b")
_SIZE = re.compile(r"\b([kN])0\b(?!\.)")
_TIMES = re.compile(r"(?<=[\w)])\*(?=[\w(])")
_LETTER = re.compile(r"(?<![\w&-])(mu|sigma|eta|beta)(?![\w-])")
_MINUS = re.compile(r"(?<![\w.)])-(?=[\w.(])")


def maths(text: object) -> Markup:
    """The text, escaped, with its powers, subscripts, Greek letters and relations as HTML has them."""
    safe = str(escape(text))
    for plain, sign in SIGNS.items():
        safe = safe.replace(plain, sign)
    safe = _TIMES.sub("&middot;", safe.replace("**", "^"))
    safe = _POWER.sub(lambda power: f"<sup>{_minus(power[1].strip('()'))}</sup>", safe)
    safe = _INDEX.sub(lambda index: f"{GREEK.get(index[1], index[1])}<sub>{index[2]}</sub>", safe)
    safe = _SIZE.sub(r"\1<sub>0</sub>", safe)
    return Markup(_LETTER.sub(lambda letter: GREEK[letter[1]], safe))


def _minus(text: str) -> str:
    """The text with minus signs for hyphens that stand before a number."""
    return _MINUS.sub("&minus;", text)
