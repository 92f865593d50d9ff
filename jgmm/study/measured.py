"""What a cell's runs store beside the squared error: what its spec asks for, and what comes with it.

A quantity is a number of every run and checkpoint: `error_sq`, `error_sum`, `error_max`, `lost`, a measure
(`jgmm.measures`), or an entry of one that is a list: `error_sq_1`, ... by rank of weight, of which `error_sq_heaviest`
and `error_sq_lightest` are the first and last.
"""

import difflib
from typing import TYPE_CHECKING

from jgmm import named
from jgmm.study import shown

if TYPE_CHECKING:
    from jgmm.contract import Algorithm
    from jgmm.measures import Measure

ALWAYS = ("error_sq", "error_sum", "error_max", "lost")  # quantities that every cell stores
BIAS = "bias"  # of a constant step: made of two cells' displacements (`study.bias`), where they are stored
RANKS = "component_sq"
SIDES = ("from_means_sq", "from_estimates_sq", "holds")  # measured where there are not as many estimates as components
LIKELIHOOD = "log_likelihood_gap"
SAMPLED = ("mislabelled", LIKELIHOOD)  # measured where samples are held out


def measure(name: str) -> "Measure":
    """The measure of this name: jgmm's, or module:NAME. Raises ValueError for the name of none."""
    return named.load("measure", name)


def of_quantity(quantity: str, k: int) -> str | None:
    """The measure whose number, or whose list's entry, this quantity is; None of one that every cell stores.

    Raises ValueError, naming those that there are, for the name of no quantity of k components.
    """
    if quantity in (*ALWAYS, BIAS):
        return None
    if quantity in aliases(k):
        return RANKS
    for name in named.at(named.TABLES["measure"]):
        if quantity in measure(name).entries(name, k):
            return name
    if ":" in quantity and measure(quantity).each is None:
        return quantity
    raise ValueError(_unknown(quantity, every(k), k))


def every(k: int) -> list[str]:
    """All quantities that a cell of k components may store."""
    own = named.at(named.TABLES["measure"])
    return [*ALWAYS, BIAS, *(entry for name in own for entry in measure(name).entries(name, k)), *aliases(k)]


def numbers() -> list[str]:
    """The measures of jgmm's that are a number a run, not a list."""
    return [name for name in named.at(named.TABLES["measure"]) if measure(name).each is None]


def aliases(k: int) -> dict[str, str]:
    """Other names of quantities."""
    return {"error_sq_heaviest": "error_sq_1", "error_sq_lightest": f"error_sq_{k}"}


def check(quantity: str, stored: list[str], k: int) -> None:
    """Raises ValueError, naming those that there are, unless the quantity is among those stored."""
    if quantity not in stored:
        raise ValueError(_unknown(quantity, stored, k))


def _unknown(quantity: str, known: list[str], k: int) -> str:
    near = difflib.get_close_matches(str(quantity), known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    shorter = [name for name in known if not (name[-1].isdigit() and 2 < int(name.rpartition("_")[2]) < k)]
    return f"quantity is {shown.value(quantity)}: expected one of {', '.join(shorter)}{hint}"


def asked(
    wanted: list[str],
    about: list[str],
    *,
    record: "Algorithm",
    algorithm: str,
    k: int,
    fitted: int | None,
    heldout: int,
    gaussian: bool,
    spherical: bool,
) -> tuple[str, ...]:
    """The measures of a cell with a stream, each once, in the order of their table, others behind.

    wanted: those that its spec names. about: the quantities that its figures and claims are about. record: of the
    algorithm. gaussian, spherical: whether its noise is.
    Raises ValueError for a measure that there is not, that the algorithm has no use for, or that needs samples where
    none are held out.
    """
    whose = [found for quantity in about if (found := of_quantity(quantity, k))]
    likely = gaussian and (spherical or record.readout is None)
    sampled = [each for each in SAMPLED if heldout and (likely or each != LIKELIHOOD)]
    names = [*wanted, *whose, *(SIDES if fitted else ()), *sampled]
    for each in names:
        needs = measure(each).needs
        if needs != "span" and not record.has_centres(k):
            raise ValueError(f"measure is {each!r}, but algorithm {algorithm!r} keeps no centre for each component")
        if each == LIKELIHOOD and record.readout is not None and not spherical:
            raise ValueError(
                f"measure is {each!r} with a covariance: algorithm {algorithm!r} estimates the scales of spheres"
            )
        if each == LIKELIHOOD and not gaussian:
            raise ValueError(f"measure is {each!r}: expected Gaussian noise, for the likelihood is that of Gaussians")
        if needs == "heldout" and not heldout:
            raise ValueError(f"measure is {each!r} with heldout = 0: expected samples held out, heldout = 1000 say")
        if needs in ("weights", "scales") and record.readout is None:
            raise ValueError(f"measure is {each!r}, but algorithm {algorithm!r} estimates no {needs}")
    own = [each for each in named.at(named.TABLES["measure"]) if each in names]
    return tuple(dict.fromkeys([*own, *names]))
