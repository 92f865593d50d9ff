"""What every walk over a jaxpr has to know: which equations call another jaxpr, and what a scan's operands are."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

CALLS = frozenset({"jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2"})
CALLS |= {"custom_jvp_call", "custom_vjp_call"}
Operand = TypeVar("Operand")


class Equation(Protocol):
    """What is read of an equation of a jaxpr (`jax.extend.core.JaxprEqn`, whose import takes Pallas)."""

    primitive: Any
    params: dict[str, Any]

    @property
    def invars(self) -> Sequence[Any]:
        """Its operands: variables, and literals, which have a `val`."""

    @property
    def outvars(self) -> Sequence[Any]:
        """Its results."""


class Jaxpr(Protocol):
    """What is read of a jaxpr (`jax.extend.core.Jaxpr`)."""

    @property
    def constvars(self) -> Sequence[Any]:
        """Its constants."""

    @property
    def invars(self) -> Sequence[Any]:
        """Its arguments."""

    @property
    def outvars(self) -> Sequence[Any]:
        """Its results."""

    @property
    def eqns(self) -> Sequence[Equation]:
        """Its equations, in their order."""


def called(equation: Equation) -> tuple[Jaxpr, Sequence[Any]]:
    """The jaxpr that an equation of CALLS calls, and its constants."""
    inner = equation.params["jaxpr"] if "jaxpr" in equation.params else equation.params["call_jaxpr"]
    return (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())


def scan_operands(
    equation: Equation, operands: Sequence[Operand]
) -> tuple[Sequence[Operand], Sequence[Operand], Sequence[Operand]]:
    """A scan's constants, what it carries, and the sequences that it goes along."""
    inner = equation.params["jaxpr"]
    # What is carried keeps its rank; sequences lose an axis. (How the parameters say it differs between versions.)
    carried = sum(a.aval.ndim == b.aval.ndim for a, b in zip(equation.outvars, inner.jaxpr.outvars, strict=True))
    sliced = sum(a.aval.ndim != b.aval.ndim for a, b in zip(equation.invars, inner.jaxpr.invars, strict=True))
    fixed = len(operands) - carried - sliced
    return operands[:fixed], operands[fixed : fixed + carried], operands[fixed + carried :]


def scan_trips(equation: Equation) -> Iterable[int]:
    """The indices that a scan goes through, in its order."""
    trips = range(equation.params["length"])
    return reversed(trips) if equation.params["reverse"] else trips
