"""What a back end draws from: a mixture, and the numbers that its noise is told."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jgmm.mixture import Mixture


class Source(NamedTuple):
    """A mixture's arrays, and the numbers of a noise.

    There may be more weights than means: where there is one mean, it is that of every label.
    """

    means: Float[Array | np.ndarray, "m d *runs"]
    weights: Float[Array | np.ndarray, "k *runs"]
    scales: Float[Array | np.ndarray, "m *runs"]
    numbers: Float[Array | np.ndarray, "n *runs"]


as_source: Callable[..., Source] = Source  # of NumPy arrays, which JAX takes for its own


def source(mixture: Mixture | Source) -> Source:
    """The mixture with no numbers; a source as it is."""
    if isinstance(mixture, Source):
        return mixture
    return as_source(*mixture, np.zeros((0, *mixture.means.shape[2:]), np.float32))
