"""What a measure is: a number of each run, or one for each component, of where its estimates stand at a checkpoint."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jgmm import errors
from jgmm.errors import Pairs
from jgmm.mixture import Mixture


class Seen(NamedTuple):
    """Some runs at a checkpoint: estimates, what they are held against, and what is known of both. NumPy."""

    origin: Float[np.ndarray, "e d runs"]
    offset: Float[np.ndarray, "e d runs"]
    mixture: Mixture  # its arrays (k, d, runs) and (k, runs)
    assumed: (
        Mixture  # what the algorithm takes its estimates for: weights and scales (e, runs), its own where it has any
    )
    own: dict[str, Float[np.ndarray, "e runs"]]  # weights and scales that the algorithm estimates, by these names
    distances_sq: Float[np.ndarray, "e k runs"]
    pairs: Pairs
    heldout: Any = None  # a `heldout.Heldout`

    @property
    def component(self) -> Int[np.ndarray, "e runs"]:
        """The component that each estimate stands for: that which it is matched to, or else its nearest."""
        return errors.match(self.distances_sq).component


class Measure(NamedTuple):
    """One thing to measure. `of` gives (runs,), or (k, runs) for a list of one number a component, the heaviest first.

    words: what it is, for the data dictionary. each: what the names of a list's entries begin with ("error_sq_" gives
    error_sq_1, ...); None: a number, named as the measure. needs: "heldout" samples, or "weights" or "scales" of the
    algorithm's own, or the "span" of its estimates alone, be they centres or not; "": a centre for each component.
    """

    of: Callable[[Seen], np.ndarray]
    words: str
    each: str | None = None
    needs: str = ""

    def entries(self, name: str, k: int) -> list[str]:
        """The names of the numbers that it gives of k components."""
        return [name] if self.each is None else [f"{self.each}{rank}" for rank in range(1, k + 1)]


def begin(
    origin: np.ndarray,
    offset: np.ndarray,
    mixture: Mixture,
    *,
    assumed: Mixture,
    own: dict[str, np.ndarray] | None = None,
    heldout: Any = None,
) -> Seen:
    """Estimates origin + offset beside a mixture, its distances and pairs found."""
    mixture = Mixture(*map(np.asarray, mixture))
    distances_sq = errors.squared_distances(origin, offset, mixture.means)
    own = own or {}
    weights, scales = own.get("weights", assumed.weights), own.get("scales", assumed.scales)
    assumed = Mixture(assumed.means, np.asarray(weights), np.asarray(scales))
    matched = errors.pairs(distances_sq)
    return Seen(np.asarray(origin), np.asarray(offset), mixture, assumed, own, distances_sq, matched, heldout)
