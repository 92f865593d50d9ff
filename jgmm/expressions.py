r"""Formulas in a spec, as "3*k*log(3*n)/n": read by a parser of our own, never run as Python. Needs no JAX.

    sum      term  {(+ | -) term}             names      of a cell's numbers: k, d, n, C, ...
    term     sign  {(* | /) sign}             functions  log (natural), log2, exp, sqrt; min, max of two or more
    sign     [+ | -] sign  |  power           numbers    3, 0.7, 1e-3
    power    atom [** sign]                   -2**2 is -4, and 2**3**2 is 2**9
    atom     number | name | name(sum, ...) | (sum)

Values are computed in float64 by + - * / and square roots, with the logarithms, exponentials and powers of `ordered`:
the same bits on every machine. `log_value` computes in decimal numbers of 40 digits and of any size, so that
exp(-C**2/8) has a logarithm at C = 100 too.
"""

import decimal
import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from jgmm import ordered

LONGEST = 200  # characters
DEEPEST = 30  # parentheses, signs and powers within each other
FUNCTIONS = {"log": 1, "log2": 1, "exp": 1, "sqrt": 1, "min": 2, "max": 2}  # how many numbers they take, at least
SEVERAL = ("min", "max")  # those that take more
_TOKEN = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\*\*|[-+*/(),]", re.ASCII)


class Node(NamedTuple):
    """A step of a formula: "number" or "name" with its value, an operator or a function with what it takes."""

    op: str
    args: tuple[Any, ...]


class Expression(NamedTuple):
    """A formula that was read: its text, its tree, and the names in it, in their order."""

    text: str
    tree: Node
    names: tuple[str, ...]

    def value(self, **numbers: Any) -> Any:
        """The value in float64, of numbers or of arrays that broadcast.

        Raises ValueError for a name without a number, and for what has no finite value there: the text, the numbers and
        the reason.
        """
        self.check_names(numbers)
        own = {name: numbers[name] for name in self.names}
        if any(np.ndim(number) for number in own.values()):
            arrays = np.broadcast_arrays(*(np.asarray(number, float) for number in own.values()))
            points = zip(*(array.ravel().tolist() for array in arrays), strict=True)
            each = [self._of(dict(zip(own, point, strict=True)), FLOATS) for point in points]
            return np.array(each, float).reshape(arrays[0].shape)
        return self._of({name: float(number) for name, number in own.items()}, FLOATS)

    def log_value(self, **numbers: float) -> float:
        """ln of the value, which may be beyond the floats. Raises ValueError unless the value is above 0."""
        self.check_names(numbers)
        own = {name: float(numbers[name]) for name in self.names}
        found = self._of(own, DECIMALS)
        if not found > 0:
            raise self._fault(own, f"the value is {float(found):g}, expected one above 0")
        return float(WIDE.ln(found))

    def check_names(self, known: Iterable[str], what: str = "") -> None:
        """Raises ValueError for a name that is not among these; the message has those that are.

        what: "rate is" and the like, before the text.
        """
        known = list(known)
        for name in self.names:
            if name not in known:
                lead = what or "the expression is"
                raise ValueError(f"{lead} {self.text!r}: {name!r} is no number here{near(name, known)}")

    def _of(self, numbers: Mapping[str, float], arithmetic: "Arithmetic") -> Any:
        """The value in one arithmetic. Raises ValueError where it has none."""
        try:
            return computed(self.tree, numbers, arithmetic)
        except (ArithmeticError, ValueError) as error:
            reason = _REASONS.get(type(error), str(error))
            raise self._fault(numbers, reason) from None

    def _fault(self, numbers: Mapping[str, float], reason: str) -> ValueError:
        at = ", ".join(f"{name} = {value:g}" for name, value in numbers.items())
        return ValueError(f"{self.text!r}{f' at {at}' if at else ''}: {reason}")


def near(name: str, known: Iterable[str]) -> str:
    """The names that there are, and which was meant if one is near: the end of a message."""
    known = list(known)
    alike = [other for other in known if other.casefold() == name.casefold()]
    alike = alike or difflib.get_close_matches(name, known, n=1)
    return f", expected {', '.join(known) or 'none'}" + (f" (did you mean {alike[0]!r}?)" if alike else "")


# --- what a text says ---


@lru_cache(maxsize=4096)
def parse(text: str, what: str = "the expression is") -> Expression:
    """The formula that a text says.

    what: the beginning of messages. Raises ValueError, in a line with the text and the place, for what is no formula,
    and for one that is too long or too deep.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{what} {text[:40]!r}...: {len(text)} characters, expected at most {LONGEST}")
    return _Reader(text, what).read()


class _Reader:
    """Reads a text from left to right, by the grammar above."""

    def __init__(self, text: str, what: str):
        self.text, self.what, self.depth = text, what, 0
        self.names: dict[str, None] = {}
        self.tokens: list[tuple[str, int]] = []
        place = 0
        while place < len(text):
            if text[place].isspace():
                place += 1
                continue
            found = _TOKEN.match(text, place)
            if found is None:
                hint = " (a power is **)" if text[place] == "^" else ""
                raise self.fault(f"{text[place]!r} means nothing{hint}", place)
            self.tokens.append((found[0], place))
            place = found.end()
        self.tokens.append(("", len(text)))
        self.next = 0

    def read(self) -> Expression:
        """The whole text."""
        tree = self.sum()
        token, place = self.tokens[self.next]
        if token:
            raise self.fault(f"{token!r}, expected an operator", place)
        return Expression(self.text, tree, tuple(self.names))

    def fault(self, reason: str, place: int) -> ValueError:
        """What to raise: the text, the reason, and where."""
        where = "at its end" if place >= len(self.text) else f"at character {place + 1}"
        return ValueError(f"{self.what} {self.text!r}: {reason} {where}")

    def take(self, *tokens: str) -> str | None:
        """The next token, if it is one of these."""
        token, _ = self.tokens[self.next]
        if token not in tokens:
            return None
        self.next += 1
        return token

    def sum(self) -> Node:
        tree = self.term()
        while op := self.take("+", "-"):
            tree = Node(op, (tree, self.term()))
        return tree

    def term(self) -> Node:
        tree = self.sign()
        while op := self.take("*", "/"):
            tree = Node(op, (tree, self.sign()))
        return tree

    def sign(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fault(f"deeper than {DEEPEST} within each other", self.tokens[self.next][1])
        if op := self.take("+", "-"):
            tree = self.sign() if op == "+" else Node("negative", (self.sign(),))
        else:
            tree = self.atom()
            if self.take("**"):
                tree = Node("**", (tree, self.sign()))
        self.depth -= 1
        return tree

    def atom(self) -> Node:
        token, place = self.tokens[self.next]
        self.next += 1
        if token == "(":
            return self.closed(self.sum())
        if token[:1].isdigit() or token[:1] == ".":
            return self.number(token, place)
        if token[:1].isalpha() or token[:1] == "_":
            return self.call(token, place) if self.take("(") else self.name(token)
        raise self.fault(f"{token!r}, expected a number, a name or (" if token else "expected more", place)

    def number(self, token: str, place: int) -> Node:
        if not math.isfinite(value := float(token)):
            raise self.fault(f"{token!r} is beyond the floats,", place)
        return Node("number", (value,))

    def name(self, token: str) -> Node:
        self.names[token] = None
        return Node("name", (token,))

    def call(self, function: str, place: int) -> Node:
        if function not in FUNCTIONS:
            raise self.fault(f"{function!r} is no function{near(function, FUNCTIONS)},", place)
        args = [self.sum()]
        while self.take(","):
            args.append(self.sum())
        least = FUNCTIONS[function]
        if len(args) < least or (len(args) > least and function not in SEVERAL):
            more = " or more" if function in SEVERAL else ""
            raise self.fault(f"{function} of {len(args)}, expected {least}{more},", place)
        self.closed(args[0])
        return Node(function, tuple(args))

    def closed(self, tree: Node) -> Node:
        """The tree, if a parenthesis ends here."""
        if self.take(")") is None:
            token, place = self.tokens[self.next]
            raise self.fault(f"{f'{token!r}, ' if token else ''}expected )", place)
        return tree


# --- what it is worth ---


class Arithmetic(NamedTuple):
    """How to compute: a plain number's form, and what each operator and function does."""

    number: Callable[[float], Any]
    does: Mapping[str, Callable[..., Any]]


def computed(tree: Node, numbers: Mapping[str, Any], arithmetic: Arithmetic) -> Any:
    """The value of a tree, its names standing for these numbers (in the arithmetic's own form, or plain)."""
    if tree.op == "number":
        return arithmetic.number(tree.args[0])
    if tree.op == "name":
        number = numbers[tree.args[0]]
        return arithmetic.number(number) if isinstance(number, float) else number
    return arithmetic.does[tree.op](*(computed(arg, numbers, arithmetic) for arg in tree.args))


def _finite(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function; it raises OverflowError where its value is not finite."""

    def checked(*args: Any) -> Any:
        value = function(*args)
        if not math.isfinite(value):
            raise OverflowError
        return value

    return checked


def _positive(logarithm: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(x: Any) -> Any:
        if not x > 0:
            raise ValueError(f"the logarithm of {float(x):g}")
        return logarithm(x)

    return checked


def _root(root: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(x: Any) -> Any:
        if not x >= 0:
            raise ValueError(f"the square root of {float(x):g}")
        return root(x)

    return checked


def _power(power: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def checked(x: Any, y: Any) -> Any:
        if x == 0 and y < 0:
            raise ZeroDivisionError
        if x < 0 and not _whole(y):
            raise ValueError(f"{float(x):g} to the power {float(y):g}, which is not whole")
        return type(x)(1) if y == 0 else power(x, y)

    return checked


def _whole(y: float | decimal.Decimal) -> bool:
    return y.is_integer() if isinstance(y, float) else y == y.to_integral_value()


_REASONS: dict[type[BaseException], str] = {
    ZeroDivisionError: "a division by 0",
    decimal.DivisionByZero: "a division by 0",
    decimal.InvalidOperation: "a division by 0",  # of 0 by 0: what else is invalid was refused before
    OverflowError: "beyond the floats",
    decimal.Overflow: "beyond all numbers",
}
WIDE = decimal.Context(prec=40, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)

FLOATS = Arithmetic(
    float,
    {
        "+": _finite(operator.add),
        "-": _finite(operator.sub),
        "*": _finite(operator.mul),
        "/": _finite(operator.truediv),
        "negative": operator.neg,
        "**": _finite(_power(ordered.power)),
        "log": _positive(ordered.ln),
        "log2": _positive(ordered.log2),
        "exp": _finite(ordered.exp),
        "sqrt": _root(math.sqrt),
        "min": min,
        "max": max,
    },
)
DECIMALS = Arithmetic(
    decimal.Decimal,
    {
        "+": WIDE.add,
        "-": WIDE.subtract,
        "*": WIDE.multiply,
        "/": WIDE.divide,
        "negative": WIDE.minus,
        "**": _power(WIDE.power),
        "log": _positive(WIDE.ln),
        "log2": _positive(lambda x: WIDE.divide(WIDE.ln(x), WIDE.ln(decimal.Decimal(2)))),
        "exp": WIDE.exp,
        "sqrt": _root(WIDE.sqrt),
        "min": min,
        "max": max,
    },
)
