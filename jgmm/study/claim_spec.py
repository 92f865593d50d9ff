"""A claim of a spec's own: a bound as a sum of formulas, each with a constant of its own, and where it is to hold.

    E[on] <= c_1 T_1 + c_2 T_2 + ...,    all c_j >= 0 unknown, wherever the regime's comparisons hold

Formulas are those of `jgmm.expressions` in the numbers of `study.names`. A regime is comparisons joined by `and`,
"4 <= C and n > k**3"; numbers that differ by rounding are equal in it. What they are worth in a cell
is asked of `claim`.
"""

import math
import operator
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field

from jgmm import expressions
from jgmm.expressions import Expression
from jgmm.study import limits
from jgmm.study.fields import Axis, about
from jgmm.study.strict import Table

ROUNDING = 1e-6  # relative, as in the conditions of theorems
_SIGNS = re.compile(r"(<=|>=|==|<|>)")


class Claim(NamedTuple):
    """A claim, as a cell holds it."""

    name: str
    source: str
    bound: tuple[str, ...]
    regime: str
    on: str

    @property
    def statement(self) -> str:
        """What is claimed, and where it is from, in a line."""
        return f"{self.bounds}{f' ({self.source})' if self.source else ''}"

    @property
    def bounds(self) -> str:
        """What is claimed, in a line."""
        count = len(self.bound)
        constants = ["c"] if count == 1 else [f"c{i}" for i in range(1, count + 1)]
        terms = " + ".join(f"{c} {_bracketed(text)}" for c, text in zip(constants, self.bound, strict=True))
        where = f", where {self.regime}" if self.regime else ""
        return f"E[{self.on}] <= {terms}{where}"


class Comparison(NamedTuple):
    """A comparison of a regime: its text, and a < b < ... with the signs between."""

    text: str
    sides: tuple[Expression, ...]
    signs: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names in it."""
        return tuple(dict.fromkeys(name for side in self.sides for name in side.names))

    def holds(self, numbers: Mapping[str, float]) -> bool:
        """Whether it holds for these numbers. Raises ValueError where a side has no value."""
        values = [side.value(**{name: numbers[name] for name in side.names}) for side in self.sides]
        return all(_HOLDS[s](a, b) for s, a, b in zip(self.signs, values[:-1], values[1:], strict=True))


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=ROUNDING)


_HOLDS = {
    "<=": lambda a, b: a <= b or _equal(a, b),
    ">=": lambda a, b: a >= b or _equal(a, b),
    "==": _equal,
    "<": lambda a, b: operator.lt(a, b) and not _equal(a, b),
    ">": lambda a, b: operator.gt(a, b) and not _equal(a, b),
}


def _bracketed(text: str) -> str:
    """A formula behind its constant: in parentheses, unless it is one factor after another."""
    return f"({text})" if expressions.parse(text).tree.op in ("+", "-", "negative") else text


@lru_cache(maxsize=1024)
def comparisons(regime: str) -> tuple[Comparison, ...]:
    """The comparisons of a regime; none of "". Raises ValueError for what is none."""
    return tuple(_comparison(text.strip()) for text in re.split(r"\band\b", regime)) if regime.strip() else ()


def _comparison(text: str) -> Comparison:
    parts = _SIGNS.split(text)
    if len(parts) < 3:
        raise ValueError(f"is {text!r}: expected a comparison, as C >= 4, or several joined by and")
    sides = tuple(expressions.parse(side.strip(), "is") for side in parts[::2])
    return Comparison(text, sides, tuple(parts[1::2]))


def _formula(text: str) -> str:
    """The text, if it is a formula."""
    if isinstance(text, str):
        expressions.parse(text, "is")
    return text


def _regime(text: str) -> str:
    """The text, if it is a regime."""
    if isinstance(text, str):
        comparisons(text)
    return text


Text = Annotated[str, Field(max_length=limits.AIM)]
Formula = Annotated[str, BeforeValidator(_formula)]


class ClaimSpec(Table):
    """`[claim]`: in place of a theorem of jgmm's own."""

    bound: Annotated[
        list[Formula],
        Axis,
        Field(max_length=limits.TERMS),
        about(
            "The terms of the bound, a formula each; each has a constant of its own, which is not known.",
            '["k**2*d*sigma**2*log(n)/n", "exp(-C**2/8)*sigma**2"]',
        ),
    ] = []
    name: Annotated[
        str,
        Field(pattern=r"^[A-Za-z][\w .,&'-]*$", max_length=limits.NAME),
        about("What the claim is called in verdicts and tables.", '"Balakrishnan"'),
    ] = "claim"
    source: Annotated[
        Text,
        about("The paper and the number of the theorem, printed beside the claim.", '"arXiv 1408.2156, Theorem 4"'),
    ] = ""
    regime: Annotated[
        str,
        BeforeValidator(_regime),
        Field(max_length=limits.LABEL),
        about("Where it is to hold: comparisons joined by and. Other cells decide nothing.", '"C >= 4 and n > k**3"'),
    ] = ""
    on: Annotated[
        str,
        Field(max_length=limits.LABEL),
        about("Which quantity is bounded, in the mean over runs.", '"error_max"'),
    ] = "error_sq"

    @property
    def claim(self) -> Claim | None:
        """The claim; None where nothing is bounded."""
        return Claim(self.name, self.source, tuple(self.bound), self.regime, self.on) if self.bound else None
