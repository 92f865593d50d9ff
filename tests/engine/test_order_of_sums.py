"""No program whose results are kept holds a sum that a compiler may reorder: whatever is beside a run, its bits stay.

The compiled programs are walked, operation by operation. All that a study runs is walked too, as the compiler gets it;
and studies of few and many runs are compared, byte by byte, as several kinds of processor compute them.
"""

import os
import re
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyarrow.parquet as pq
import pytest
import small

import jgmm
from jgmm import lanes, mixture, rates, start, steps
from jgmm.algorithms import em, lloyd, pca, soft
from jgmm.engine import scan
from jgmm.engine.together import ready
from jgmm.study import run as runner

KEY = jax.random.key(0)
INSIDE = {"jit", "pjit", "while", "cond", "scan", "shard_map", "closed_call", "custom_jvp_call", "custom_vjp_call"}
MOVES = {
    *("broadcast_in_dim", "reshape", "transpose", "squeeze", "slice", "dynamic_slice", "dynamic_update_slice"),
    *("concatenate", "stack", "pad", "gather", "scatter", "copy", "iota", "rev", "select_n", "split", "device_put"),
    *(
        "convert_element_type",
        "bitcast_convert_type",
        "stop_gradient",
        "optimization_barrier",
        "copy_p",
        "pvary",
        "expand_dims",
    ),
}
ELEMENTWISE = {
    *(
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "sqrt",
        "rsqrt",
        "square",
        "integer_pow",
        "pow",
        "exp",
        "log",
        "log1p",
        "tanh",
    ),
    *("max", "min", "abs", "sign", "floor", "round", "clamp", "erf_inv", "is_finite", "add_any"),
    *("eq", "ne", "lt", "le", "gt", "ge", "eq_to", "le_to", "lt_to"),
}
COMPARISONS = {"reduce_max", "reduce_min", "argmax", "argmin", "reduce_or", "reduce_and"}  # exact in any order


@pytest.fixture(autouse=True)
def strict():
    """optax promotes, and so does the study layer; the kernels are held to it elsewhere."""


def inner(value):
    """The jaxprs in a parameter of an operation."""
    if hasattr(value, "eqns"):
        yield value
    elif hasattr(value, "jaxpr"):
        yield value.jaxpr
    elif isinstance(value, tuple | list):
        for each in value:
            yield from inner(each)


def reorderable(jaxpr):
    """Operations on floats that are neither elementwise, nor move numbers, nor compare them."""
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        below = [each for value in equation.params.values() for each in inner(value)]
        if name in INSIDE and below:
            for each in below:
                yield from reorderable(each)
        floats = [x for x in (*equation.invars, *equation.outvars) if jnp.issubdtype(x.aval.dtype, jnp.floating)]
        if floats and name not in INSIDE | MOVES | ELEMENTWISE | COMPARISONS:
            yield name


def found_in(function, *args, **static):
    whole = function if hasattr(function, "trace") else jax.jit(partial(function, **static))
    return set(reorderable(whole.trace(*args, **(static if whole is function else {})).jaxpr.jaxpr))


@pytest.mark.parametrize(
    ("planted", "name"),
    [
        (lambda x: jnp.sum(x, axis=0), "reduce_sum"),
        (lambda x: x.mean(), "reduce_sum"),
        (lambda x: jnp.prod(x, axis=0), "reduce_prod"),
        (lambda x: jnp.dot(x, x), "dot_general"),
        (lambda x: jnp.einsum("ij,ij->j", x, x), "dot_general"),
        (lambda x: jnp.cumsum(x, axis=0), "cumsum"),
        (lambda x: x.at[jnp.array([0, 0])].add(1.0), "scatter-add"),
        (lambda x: jnp.linalg.svd(x)[1], "svd"),
        (lambda x: jnp.linalg.qr(x)[0], "qr"),
        (lambda x: jnp.linalg.eigh(x)[1], "eigh"),
        (lambda x: jax.nn.softmax(x, axis=0), "reduce_sum"),
        (lambda x: jax.lax.fori_loop(0, 3, lambda i, s: s + jax.jit(jnp.sum)(s), x), "reduce_sum"),
        (lambda x: jax.lax.reduce_window(x, 0.0, jax.lax.add, (2, 1), (1, 1), "VALID"), "reduce_window_sum"),
    ],
)
def test_a_planted_sum_is_found(planted, name):
    assert name in found_in(planted, jnp.ones((3, 3)))


def test_whole_numbers_and_comparisons_are_exact_in_any_order():
    assert not found_in(lambda x: (x > 0).sum() + x.argmax() + (x == x.max()).any(), jnp.ones(5))


SIMPLEX, PAIR = mixture.simplex(3, 4, separation=3.0), mixture.symmetric(3, separation=3.0)
WIDE = mixture.simplex(4, 40, separation=3.0)
SCHEDULE = rates.polynomial(1.0, 0.7, 5.0)
STREAMS = {
    "lloyd": (lloyd.LLOYD, SIMPLEX, {"steps": 0.05, "twin": True}),
    "wide": (lloyd.LLOYD, WIDE, {"steps": 0.05, "twin": True}),
    "polynomial": (lloyd.LLOYD, SIMPLEX, {"steps": SCHEDULE, "twin": True}),
    "1/n": (lloyd.LLOYD, SIMPLEX, {"steps": steps.inverse_count(), "twin": True}),
    "adam": (lloyd.LLOYD, SIMPLEX, {"steps": steps.adam(0.01)}),
    "momentum": (lloyd.LLOYD, SIMPLEX, {"steps": optax.sgd(0.01, momentum=0.9)}),
    "averaged": (lloyd.LLOYD, SIMPLEX, {"steps": 0.05, "average": 10}),
    "soft": (soft.SOFT, SIMPLEX, {"steps": 0.05, "beta": 1.0, "twin": True}),
    "oracle": (lloyd.ORACLE, SIMPLEX, {"steps": steps.inverse_count(0)}),
    "em": (em.EM, PAIR, {"steps": 0.05, "twin": True}),
}


def found_in_stream(stream):
    given = stream.carry, stream.given, np.int32(2), np.int32(5)
    return found_in(scan.advanced, *given, kernel=stream.kernel, mesh=stream.mesh)


@pytest.mark.parametrize("name", STREAMS)
def test_the_stream_of_an_algorithm_adds_in_a_written_order(name):
    algorithm, mixed, more = STREAMS[name]
    batch = jgmm.batch(KEY, range(3), mixed)
    begin = start.offset_start(KEY, batch, 0.5)[: algorithm.estimates(len(mixed.means))]
    found = ready(batch, algorithm, begin, **more)
    assert not found_in_stream(scan.open(found.kernel, batch.words, found.state, found.params, batch.mixture))


@pytest.mark.parametrize("method", ["block", "oja"])
def test_power_iteration_adds_in_a_written_order(method):
    batch = jgmm.batch(KEY, range(3), SIMPLEX)
    basis = start._frames(KEY, batch)
    kernel, *given = start._power(basis) if method == "block" else start._oja(basis, batch.mixture)
    assert not found_in_stream(scan.open(kernel, batch.words, *given, batch.mixture))
    assert not found_in(pca.orthonormalize, jnp.asarray(basis))


def test_what_is_drawn_outside_a_stream_adds_in_a_written_order():
    batch = jgmm.batch(KEY, range(3), SIMPLEX)
    one = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("runs",))
    assert not found_in(scan.drawn, batch.words, batch.mixture, n=24, pair=lanes.normal_pair, mesh=one)


# --- what a study hands to the compiler, all of it ---

STUDY = """
import sys
from pathlib import Path
from jgmm.engine import machine
machine.prepare(devices=1)
import small
from jgmm.study import run as runner
runner.run_study(small.study(2), Path(sys.argv[1]), back_end="scan")
"""
FORBIDDEN = re.compile(
    r"stablehlo\.(dot_general|dot|convolution|fft|cholesky|triangular_solve)\b"
    r"|custom_call @(?!Sharding|SPMD|shape_assertion|xla\.sdy|mhlo\.)\w"
    r"|stablehlo\.reduce\(.*applies stablehlo\.(add|multiply) .*xf(32|64)>"
    r"|stablehlo\.reduce_window\b[^^]*\^bb0\(%\w+: tensor<f"
    r"|stablehlo\.scatter\b[^^]*\^bb0\(%\w+: tensor<f[^}]*stablehlo\.(add|multiply)\b"
)


def test_sums_of_floats_are_found_in_what_the_compiler_gets():
    def text(function):
        return jax.jit(function).lower(jnp.ones((4, 4))).as_text()

    sums = [lambda x: x.sum(axis=0), lambda x: x @ x, lambda x: jnp.cumsum(x, axis=0), lambda x: jnp.linalg.svd(x)[1]]
    sums.append(lambda x: x.at[jnp.array([0, 0])].add(1.0))
    assert all(FORBIDDEN.search(text(each)) for each in sums)
    exact = [lambda x: x.max(axis=0), lambda x: (x > 0).sum(axis=0), lambda x: jnp.cumsum(x.astype(int), axis=0)]
    exact += [lambda x: x + x[0], lambda x: x.at[jnp.array([0, 1])].set(1.0)]
    assert not any(FORBIDDEN.search(text(each)) for each in exact)


@pytest.mark.slow
def test_nothing_that_a_study_compiles_adds_in_an_order_of_the_compilers(tmp_path):
    env = {**os.environ, "JAX_DUMP_IR_TO": str(tmp_path / "ir"), "JAX_ENABLE_COMPILATION_CACHE": "0"}
    env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [env.get("PYTHONPATH")])])
    subprocess.run([sys.executable, "-c", STUDY, str(tmp_path / "out")], env=env, check=True)
    programs = {path.name: path.read_text() for path in (tmp_path / "ir").rglob("*.mlir")}
    assert sum("advanced" in name for name in programs) >= 8  # the power iteration's among them
    assert any("drawn" in name for name in programs)
    found = {name: match[0] for name, text in programs.items() if (match := FORBIDDEN.search(text))}
    assert not found


# --- few runs and many: the same bytes ---

SIZES = {"n": 200, "block": 60, "graph_points": 24, "neighbors": 3}


def parts(shapes, layouts=("simplex", "box"), separations=(12.0, 2.0)):
    return [
        {
            "name": f"{layout}-{k}-{separation:g}",
            "mixture": {"k": k, "d": d, "layout": layout, "separation": separation}
            | ({"side": 8 * separation} if layout == "box" else {}),
            "stream": {"n": 300, "checkpoints": 1},
            "seeding": SIZES,
        }
        for layout in layouts
        for k, d in shapes
        for separation in separations
    ]


def stored(folder, study, *runs):
    """The folder's cells after growing to each of these numbers of runs in turn: columns of (runs, rows), as bytes."""
    for count in runs:
        runner.run_study(study(count), folder)
    tables = {path.name: pq.read_table(path) for path in sorted((folder / "cells").iterdir())}
    return {
        (name, column): values.to_numpy().astype(float).reshape(runs[-1], -1).view(np.uint64)
        for name, table in tables.items()
        for column, values in zip(table.column_names, table.columns, strict=True)
        if column in ("error_sq", "error_sum", "error_max", "lost", "twin_error_sq", "twin_mean_sq", "components")
        or column in ("subspace_distance", "realised_separation", "largest_mean")
    }


def differing(few, many):
    """Which columns of the runs that both have are not the same bytes."""
    assert few.keys() == many.keys()
    return sorted({name for name, values in few.items() if (values != many[name][: len(values)]).any()})


def test_a_start_has_the_same_bytes_in_any_company(tmp_path):
    def study(runs):
        return small.study(runs, parts([(3, 5)], ["simplex"], [2.0]))

    many = stored(tmp_path / "many", study, 83)
    assert any(name == "components" for _, name in many)
    assert not differing(stored(tmp_path / "few", study, 16), many)


WIDTHS = """
import hashlib
import sys
from pathlib import Path
from jgmm.engine import machine
machine.prepare(devices=1, cache=None)
import small
import test_order_of_sums as here
folder = Path(sys.argv[1])
def study(runs):
    return small.study(runs, here.parts([(3, 5), (5, 10)]))
many = here.stored(folder / "many", study, 300)
for runs in [(1,), (16,), (20,), (83,), (64, 160)]:
    found = here.differing(here.stored(folder / str(runs), study, *runs), many)
    print(runs, found)
    assert not found, (runs, found)
print(hashlib.sha256(b"".join(values.tobytes() for _, values in sorted(many.items()))).hexdigest())
"""
YNN = "--xla_cpu_experimental_ynn_fusion_type="
FLAGS = {
    "default": "",
    "avx2": "--xla_cpu_max_isa=AVX2",
    "sse": "--xla_cpu_max_isa=SSE4_2",
    "no-ynn": YNN,
    "ynn": f"{YNN}dot,eltwise,reduce",  # no default: its elementwise fusions round a run alone otherwise at 5 x 10
}
WAYS = [
    pytest.param(flags, id=name, marks=[pytest.mark.xfail(reason="YNN's elementwise fusions")] if name == "ynn" else [])
    for name, flags in FLAGS.items()
]


@pytest.mark.long
@pytest.mark.parametrize("flags", WAYS)
def test_starts_have_the_same_bytes_in_any_company_on_any_processor(tmp_path, flags):
    env = {**os.environ, "XLA_FLAGS": flags}
    env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [env.get("PYTHONPATH")])])
    done = subprocess.run([sys.executable, "-c", WIDTHS, str(tmp_path)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    print(flags, done.stdout)
