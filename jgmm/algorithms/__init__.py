"""The algorithms by name. To add one: a file like those beside this one, and a line here."""

import importlib
from typing import TYPE_CHECKING

from jgmm import doors

if TYPE_CHECKING:
    from jgmm.contract import Algorithm

ALGORITHMS = {  # words, not values: a spec names them without JAX
    "lloyd": "jgmm.algorithms.lloyd:LLOYD",
    "em": "jgmm.algorithms.em:EM",
    "soft": "jgmm.algorithms.soft:SOFT",
    "oracle": "jgmm.algorithms.lloyd:ORACLE",
}


def load(name: str) -> "Algorithm":
    """The algorithm of this name, or the value that "module:NAME" names. Raises ValueError if there is none."""
    if not isinstance(name, str):
        raise doors.bad("algorithm", name, f"one of {', '.join(ALGORITHMS)}, or module:NAME")
    contract = importlib.import_module("jgmm.contract")
    place = ALGORITHMS.get(name, name)
    module, _, value = place.partition(":")
    try:
        found = getattr(importlib.import_module(module), value)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        expected = f"one of {', '.join(ALGORITHMS)}, or module:NAME"
        raise ValueError(f"algorithm is {name!r}, expected {expected} ({error})") from None
    if not isinstance(found, contract.Algorithm):
        raise ValueError(f"algorithm {name!r} is a {type(found).__name__}, expected an Algorithm of jgmm.contract")
    return found
