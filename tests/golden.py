r"""What every back end must reproduce: digests of words, states and samples, for each algorithm, shape and random seed.

The table is `golden.json`. It was made by the CPU's back end; `python tests/golden.py` makes it anew, which is right
only where an algorithm, a generator or the order of operations has been changed on purpose (stored studies then hold
other numbers than a new run gives). `test_promise` says who reproduces it.

What a case is given comes from raw bits of PCG64 and from + - * / alone, so that it is the same wherever it is made.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from jgmm import covariance, noise, steps
from jgmm.algorithms import basis, em, lloyd, medians, online, pca, soft, unbalanced
from jgmm.contract import Kernel
from jgmm.engine import reduced_power, reduction, together
from jgmm.engine.runs import batch
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture
from jgmm.sampling import Sampling, Source

TABLE = Path(__file__).with_name("golden.json")
RUNS = 19  # one vector of 16 and a part, two of 8 and a part, four of 4 and a part
SAMPLES = (17, 6)  # calls, so that a block of samples is whole, and one and another is not
BLOCKS, BLOCK = 2, 5  # of samples, where blocks have an end
DRAWN = 3  # samples that are drawn afterwards


class Given(NamedTuple):
    """What a back end opens."""

    kernel: Kernel
    words: LaneState
    state: Any
    params: Any
    mixture: Mixture | Source


class Case(NamedTuple):
    """An algorithm (or the kernel of a power iteration) and what it is told, its shape, and a random seed.

    unit: of all lengths. beyond: coordinates that the means have not, where the dimension is reduced.
    """

    algorithm: Any
    d: int
    k: int
    seed: int = 0
    dtype: type = np.float32
    options: Mapping[str, Any] = MappingProxyType({})
    unit: float = 1.0
    beyond: int | None = None


def _slower(count):
    return 0.5 / (count.astype(np.float32) + 2) ** np.float32(0.7)


_MOMENTUM = optax.sgd(0.01, momentum=0.9, nesterov=True)
CASES = {
    "lloyd and its twin": Case(lloyd.LLOYD, 2, 2, options={"twin": True}),
    "lloyd, another seed": Case(lloyd.LLOYD, 2, 2, 1, options={"twin": True}),
    "lloyd, averaged": Case(lloyd.LLOYD, 10, 5, options={"average": np.arange(RUNS)}),
    "one dimension": Case(lloyd.LLOYD, 1, 3),
    "one component": Case(lloyd.LLOYD, 3, 1),
    "a polynomial": Case(lloyd.LLOYD, 5, 3, options={"steps": steps.polynomial(0.5, 0.7, 3.0), "twin": True}),
    "1/n": Case(lloyd.LLOYD, 5, 3, options={"steps": steps.inverse_count(1), "twin": True}),
    "adam": Case(lloyd.LLOYD, 3, 2, options={"steps": steps.adam(0.01)}),
    "momentum": Case(lloyd.LLOYD, 3, 2, options={"steps": _MOMENTUM}),
    "a schedule": Case(lloyd.LLOYD, 3, 2, options={"steps": _slower}),
    "the oracle": Case(lloyd.ORACLE, 9, 4),
    "soft and its twin": Case(soft.SOFT, 5, 3, options={"twin": True}),
    "em and its twin": Case(em.EM, 5, 2, options={"twin": True}),
    "k-medians and its twin": Case(medians.MEDIANS, 5, 3, options={"twin": True}),
    "em, unbalanced": Case(unbalanced.UNBALANCED, 5, 2, options={"twin": True}),
    "lloyd, batches": Case(lloyd.LLOYD, 5, 3, options={"batch_size": BLOCK, "average": 1, "twin": True}),
    "1/n, batches": Case(soft.SOFT, 4, 3, options={"batch_size": BLOCK, "steps": steps.inverse_count(1)}),
    "online em, averaged": Case(online.ONLINE, 5, 3, options={"steps": steps.polynomial(1, 0.6, 9.0), "average": 4}),
    "online em, batches": Case(
        online.ONLINE, 5, 3, options={"steps": steps.polynomial(1, 0.6, 9.0), "average": 1, "batch_size": BLOCK}
    ),
    "oja's rule": Case(basis.OJA, 5, 3),
    "block power": Case(basis.POWER, 5, 3, options={"batch_size": BLOCK, "steps": basis.no_step()}),
    "power": Case(pca.POWER, 5, 3),
    "oja": Case(pca.OJA, 4, 2),
    "subnormal numbers": Case(lloyd.ORACLE, 3, 2, unit=2.0**-128),
    "float64": Case(lloyd.LLOYD, 3, 2, dtype=np.float64, options={"twin": True}),
    "laplace noise": Case(lloyd.LLOYD, 3, 2, options={"noise": noise.NOISES["laplace"]}),
    "student's noise": Case(lloyd.LLOYD, 5, 3, options={"noise": noise.of("student", {"df": 2.5 + np.arange(RUNS)})}),
    "contaminated noise": Case(lloyd.LLOYD, 2, 2, options={"noise": noise.NOISES["contaminated"]}),
    "student's noise, float64": Case(lloyd.LLOYD, 3, 2, dtype=np.float64, options={"noise": noise.of("student")}),
    "outliers": Case(lloyd.LLOYD, 4, 3, options={"noise": noise.NOISES["outliers"], "twin": True}),
    "outliers, all that can be sampled": Case(
        lloyd.LLOYD,
        5,
        3,
        options={
            "noise": noise.of("outliers", {"share": 0.3 + np.arange(RUNS) / 64}),
            "sampling": Sampling(covariance.low_rank(5, rank=2, factor=3.0), dwell=0.8, drift=0.01),
        },
    ),
    "a ladder": Case(lloyd.LLOYD, 4, 3, options={"sampling": Sampling(covariance.ladder(4, ratio=5.0)), "twin": True}),
    "all that can be sampled": Case(
        lloyd.LLOYD,
        5,
        3,
        options={
            "noise": noise.of("student"),
            "sampling": Sampling(covariance.low_rank(5, rank=2, factor=3.0), dwell=0.8, drift=0.01),
        },
    ),
    # Over several shares of the coordinates; of the last three the code is a loop over them.
    "lloyd, shares": Case(lloyd.LLOYD, 13, 10),
    "soft, shares": Case(soft.SOFT, 17, 5),
    "em, shares": Case(em.EM, 67, 2),
    "power, shares": Case(pca.POWER, 35, 2),
    "lloyd, many shares": Case(lloyd.LLOYD, 53, 10),
    "em, many shares": Case(em.EM, 261, 2, options={"twin": True}),
    "power, many shares": Case(pca.POWER, 61, 3),
    "low rank, shares": Case(
        lloyd.LLOYD, 17, 5, options={"sampling": Sampling(covariance.low_rank(17, rank=2, factor=3.0))}
    ),
    "student's noise, shares": Case(lloyd.LLOYD, 13, 10, options={"noise": noise.of("student")}),
    "lloyd and its twin, reduced": Case(lloyd.LLOYD, 4, 3, options={"twin": True}, beyond=996),
    "soft, reduced": Case(soft.SOFT, 2, 2, beyond=8),
    "em, reduced, float64": Case(em.EM, 3, 2, dtype=np.float64, beyond=10**6),
    "momentum, reduced": Case(lloyd.LLOYD, 2, 2, options={"steps": _MOMENTUM}, beyond=9),
    "power, reduced": Case(reduced_power.KERNEL, 2, 3, beyond=998),
    "power, reduced, float64": Case(reduced_power.KERNEL, 2, 2, dtype=np.float64, beyond=6),
}


def uniform(bits: np.random.PCG64, *shape: int) -> np.ndarray:
    """Multiples of 2^-20 in [0, 1), from raw bits, whose stream NumPy promises to keep."""
    raw = bits.random_raw(int(np.prod(shape))).reshape(shape)
    return (raw >> np.uint64(44)).astype(np.float64) * 2.0**-20


def given(case: Case, runs: int = RUNS) -> Given:
    """Runs that differ in everything: means, weights, scales, rates and starts."""
    bits = np.random.PCG64(case.seed)
    k, d, dtype = case.k, case.d, case.dtype
    means = 8 * uniform(bits, k, d, runs) - 4
    parts = 1 + np.floor(4 * uniform(bits, k, runs))
    scales = 0.5 + uniform(bits, k, runs)
    if case.algorithm in (em.EM, unbalanced.UNBALANCED):
        means, scales = np.stack([means[0], -means[0]]), scales[[0, 0]]
        parts = np.ones((2, runs)) if case.algorithm is em.EM else parts
    mixture = (means, parts / parts.sum(axis=0), scales)
    of = None if case.beyond is None else d + case.beyond
    made = batch(jax.random.key(case.seed), np.arange(runs), Mixture(*(x.astype(dtype) for x in mixture)), d=of)
    if case.algorithm is reduced_power.KERNEL:
        made = reduced_power.prepared(made)
        kernel, *begun = reduced_power.opened(jax.random.key(case.seed + 1), made)
        return Given(kernel, made.words, *begun, made.mixture)
    if isinstance(case.algorithm, Kernel):
        return Given(case.algorithm, made.words, *_basis(case, bits, runs), made.mixture)
    start = (means + uniform(bits, *means.shape))[: case.algorithm.estimates(k)]
    options = {"steps": (0.02 + 0.1 * uniform(bits, runs)).astype(dtype), **case.options}
    size = steps.of(options["steps"])
    made, begin = reduction.prepared(made, case.algorithm, start.astype(dtype), size, twin="twin" in options)
    ready = together.ready(made, case.algorithm, begin, **options)
    params = ready.params
    for name in {"prior", "tilt"} & set(params.own):  # of a logarithm, in the last place of which machines may differ
        params = params._replace(own={**params.own, name: np.round(params.own[name] * 1024) / dtype(1024)})
    return _in_unit(Given(ready.kernel, made.words, ready.state, params, ready.source), dtype(case.unit))


def _in_unit(given: Given, unit: Any) -> Given:
    """Lengths times the unit, where a batch would not have them so small."""
    means, scales = given.mixture.means, given.mixture.scales
    state = jax.tree.map(lambda x: unit * x if x.dtype.kind == "f" else x, given.state)
    other = given.mixture._replace(means=unit * means, scales=unit * scales)
    return given._replace(state=state, mixture=other) if unit != 1 else given


def _basis(case: Case, bits: np.random.PCG64, runs: int) -> tuple[Any, Any]:
    basis = (uniform(bits, case.k, case.d, runs) - 0.5).astype(case.dtype)
    if case.algorithm is pca.POWER:
        return pca.PowerState(basis, np.zeros_like(basis)), {}
    params = {"log_d": np.float32(2.5), "gap": (1 + uniform(bits, runs)).astype(case.dtype)}
    return pca.OjaState(basis, np.int32(0)), {**params, "shift": np.full(runs, 40, case.dtype)}


def digests(name: str, open_stream: Callable) -> dict[str, str]:
    """Of the words and the state after some samples of a case, and of samples drawn then; open_stream: a back end's."""
    case = CASES[name]
    # Promotion: as users have it, for the sake of optax.
    with jax.enable_x64(case.dtype == np.float64), jax.numpy_dtype_promotion("standard"):
        whole = given(case)
        stream = open_stream(*whole)
        if whole.kernel.end is not None:
            stream.advance(BLOCKS, block=BLOCK)
        else:
            for count in SAMPLES:
                stream.advance(count)
        found = {"words": digest(stream.words()), "state": digest(stream.state())}
        return {**found, "samples": digest(stream.draw(DRAWN))}


def digest(tree: Any) -> str:
    """Of arrays: their shapes, kinds, and bits from the lowest byte on."""
    found = hashlib.sha256()
    for x in map(np.asarray, jax.tree.leaves(tree)):
        found.update(f"{x.shape} {x.dtype} ".encode())
        found.update(np.ascontiguousarray(x, x.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


def table() -> dict[str, dict[str, str]]:
    """All of it, by the names of the cases."""
    return json.loads(TABLE.read_text())


if __name__ == "__main__":
    from jgmm.engine import cpu

    found = {name: digests(name, cpu.open) for name in CASES}
    TABLE.write_text(json.dumps(found, indent=1) + "\n")
