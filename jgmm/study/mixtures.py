"""The mixtures that a cell's runs sample: built from its settings, and drawn once for all cells that share them."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from jgmm import mixture, named
from jgmm.engine.runs import as_mixture, run_keys
from jgmm.mixture import Mixture
from jgmm.study import means as files_of_means
from jgmm.study.cell import Cell, MixtureFields
from jgmm.study.fields import of_file
from jgmm.study.job import Job
from jgmm.study.plan import Piece

CACHE_BYTES = 2**26  # of mixtures that are kept for other cells of the same settings
_cache: OrderedDict[tuple, Mixture] = OrderedDict()  # the most recently used last
_cache_lock = threading.Lock()  # tasks may run in threads


def build_mixture(cell: Cell | MixtureFields, key: jax.Array, run_ids: Sequence[int], folder: Path = Path()) -> Mixture:
    """The mixture of a cell, with a run axis where the layout draws it for each run.

    key: of the study's mixtures. folder: where files of means lie. Raises ValueError if it cannot be built.
    """
    weights, scales = cell.weights, np.array(cell.scales)
    if not of_file(cell.layout):
        layout = named.load("layout", cell.layout)
        return layout.build(
            cell.k,
            cell.d,
            keys=run_keys(key, run_ids) if layout.drawn else None,
            separation=cell.separation,
            side=cell.side,
            weights=weights,
            scales=scales,
        )
    means = files_of_means.read(folder / cell.layout)
    if means.digest != cell.layout_hash:
        raise ValueError(
            f"{folder / cell.layout} holds other means than a moment ago: expected digest {cell.layout_hash}"
        )
    return mixture.given(means.values, weights=weights, scales=scales)


def shared_mixture(job: Job, piece: Piece) -> Mixture:
    """The mixture of a piece's runs, as NumPy arrays with a run axis; drawn once for all cells that share it."""
    fields = piece.cell.mixture_fields()
    x64 = jax.config.read("jax_enable_x64")  # float32's must not be taken for float64's
    key = (fields, job.study.seed, piece.low, piece.high, job.folder, x64)
    with _cache_lock:
        mixed = _cache.pop(key, None)
    if mixed is None:
        built = build_mixture(fields, job.keys.mixture, range(piece.low, piece.high), job.folder)
        mixed = _with_run_axis(built, piece.high - piece.low)
    with _cache_lock:
        _cache[key] = mixed
        while sum(map(_size, _cache.values())) > CACHE_BYTES:
            _cache.popitem(last=False)
    return mixed


def _with_run_axis(mixed: Mixture, runs: int) -> Mixture:
    """The mixture as NumPy arrays whose last axis is the runs; the same for all where it has no such axis."""
    arrays = [np.asarray(x) for x in mixed]
    if mixed.means.ndim == 2:
        arrays = [np.broadcast_to(x[..., None], (*x.shape, runs)) for x in arrays]
    return as_mixture(*arrays)


def _size(mixed: Mixture) -> int:
    """Bytes that a mixture takes in memory: next to none where all runs share its numbers."""
    return sum(x.nbytes for x in map(np.asarray, mixed) if x.strides[-1])
