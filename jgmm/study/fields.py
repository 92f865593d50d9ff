"""Types of a spec's fields: strict about numbers, and a value alone stands for a list of one.

What each key means is said once, where its field is declared, by `about`; docs/spec.md is generated from that.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from jgmm import outside
from jgmm.algorithms import ALGORITHMS
from jgmm.study import limits, shown
from jgmm.theory.bounds import THEOREMS

FROM_DATA = ("first", "kmeans++", "random")  # starts, as `jgmm.heads` has them


def of_file(layout: str) -> bool:
    """Whether a layout is a file of means."""
    return layout.endswith(".npy")


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def listed_lists(value: Any) -> list:
    """One list of weights as a list of such lists; "equal" as a list of itself."""
    return value if isinstance(value, list) and value and isinstance(value[0], (list, str)) else [value]


def listed_covariances(value: Any) -> list:
    """One covariance, which may be a list of numbers, as a list of itself."""
    many = isinstance(value, list) and value and not isinstance(value[0], (int, float))
    return value if many else [value]


def _whole(value: Any) -> Any:
    """1e4 is as good as 10000 where a count is expected."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _theorem(value: Any) -> Any:
    """A word, or the number of a theorem that has a record (of exactly this type: Python takes True and 1.0 for 1)."""
    words = ["auto", "none"]
    if (isinstance(value, str) and value in words) or (type(value) is int and value in THEOREMS):
        return value
    *others, last = (repr(option) for option in (*words, *THEOREMS))
    raise ValueError(f"is {shown.value(value)}: expected {', '.join(others)} or {last}")


def _algorithm(value: Any) -> Any:
    if value == "seeding":
        raise ValueError("is 'seeding': expected n = 0 after start = 'seeding' (Algorithm 2 alone), and no algorithm")
    if isinstance(value, list):
        raise ValueError(f"is {shown.value(value)}: expected one name, and a [[part]] of its own for each")
    if isinstance(value, str) and value not in ALGORITHMS and not outside.named(value):
        raise ValueError(f"is {shown.value(value)}: expected one of {', '.join(ALGORITHMS)}, or module:NAME")
    return value


def about(meaning: str, example: str, unit: str = "") -> Any:
    """What a key means, a value as a TOML file has it, and its unit, for the spec's page of the documentation."""
    return Field(description=meaning, examples=[example], json_schema_extra={"unit": unit})


Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, lt=2**31)]
CountOrNone = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=2**31)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Label = Annotated[str, Field(min_length=1, max_length=limits.LABEL)]  # of a record: jgmm's own, or module:NAME
StepNumbers = Annotated[dict[Label, Positive], Field(min_length=1, max_length=limits.STEP_NUMBERS)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=limits.NAME)]
AlgorithmName = Annotated[Label, BeforeValidator(_algorithm)]
Theorem = BeforeValidator(_theorem)
Axis = BeforeValidator(_listed)  # a value alone is an axis of one value
CovarianceAxis = BeforeValidator(listed_covariances)
ListAxis = BeforeValidator(listed_lists)  # of an axis whose values are lists
NonEmpty = Field(min_length=1)
