"""Odd specs: each is taken and runs, or is refused soon, in a few plain lines.

A case is generated from its number, which a failure names.
"""

import math
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from jgmm import cli, mixture, start
from jgmm.study import limits, mixtures, parts, plan, preflight, spec

SECONDS = 2.0  # of processor for a spec; measured: 0.01 typically, 0.5 for the largest
MEGABYTES = 500.0

SKELETONS = [
    tomllib.loads(text)
    for text in (
        """stream = { n = 1000, start = 0.1 }""",
        """mixture = { k = 3, d = 4, layout = "simplex" }
        stream = { n = [500, 1000], rate = [0.01, "1/n"], start = 0.5 }""",
        """algorithm = "em"
        stream = { n = 1000, start = 0.1 }
        em = { beta = [1.0, 2.0] }""",
        """algorithm = "soft"
        mixture = { weights = [0.3, 0.7], scales = [1.0, 2.0] }
        stream = { n = 900, start = 0.1 }""",
        """algorithm = "oracle"
        mixture = { d = 3 }
        stream = { n = 100, start = "truth", checkpoints = [10, 100] }""",
        """stream = { n = 0 }
        mixture = { d = 4 }
        seeding = { n = 400, block = [10, 20], graph_points = 30 }""",
        """mixture = { d = 3, layout = "box", side = 100.0 }
        stream = { n = 1000, start = 0.1, average = 0.5 }""",
        """mixture = { d = 3, layout = "means.npy" }
        stream = { n = 500, start = 0.1, rate = 0.01, displacement = true }""",
        """together = ["n", "rate"]
        mixture = { k = 2, d = 2 }
        [[part]]
        name = "a"
        stream = { n = [100, 200], rate = [0.1, { scale = 1.0, power = 0.7, shift = 3.0 }], start = 1 }
        [[part]]
        name = "b"
        mixture = { separation = [1.0, 2.0] }
        stream = { n = [100, 200], rate = [0.1, { adam = 0.1 }] }""",
        """runs = 16
        precision = 0.1
        max_runs = 64
        stream = { n = 1000, start = [0.1, "seeding"] }
        seeding = { n = 600 }""",
    )
]
NUMBERS = [0, 1, -1, 2, 3, 7, 10, 1000, 2**31 - 1, 2**31, 2**32, 2**63, 10**30, -(2**40), True, False]
NUMBERS += [0.0, -0.0, 0.5, 1.0, 1e-9, 1e-300, 5e-324, 1e20, 1e300, sys.float_info.max, math.nan, math.inf, -math.inf]
WORDS = [
    "",
    "seed",
    "truth",
    "seeding",
    "equal",
    "paper",
    "best",
    "1/n",
    "box",
    "symmetric-box",
    "symmetric",
    "simplex",
]
WORDS += ["means.npy", "../means.npy", "no.npy", ".npy", "/dev/null", "oja", "log", "auto", "none", "curves", "é"]
WORDS += ["\u202e", "a\nb"]
WORDS += ["\x1b[31m", "x" * 5000, "=1+1", "<b>", "[/]", "CON", "..", "a/b", "\x7f", "4", "True"]
PIECES = ["\0", "[", "]]", "{", '"""', "'", "=", ".", "#", "\r", "\ufeff", "\ud800", "1e", "0x", "\n[[part]]\n", "é"]
LENGTHS = [2, 30] * 8 + [3000, 6000]  # below and above what a list may hold; the longest take most of the time


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


def odd(rng, depth=0):
    """A value that a spec may hold, or hardly."""
    kind = rng.integers(9 if depth < 3 else 5)
    if kind < 3:
        return pick(rng, NUMBERS)
    if kind < 5:
        return pick(rng, WORDS)
    if kind == 5:
        return [odd(rng, depth + 1) for _ in range(rng.integers(4))]
    if kind == 6:
        return {pick(rng, KEYS): odd(rng, depth + 1) for _ in range(rng.integers(3))}
    if kind == 7:
        return [pick(rng, NUMBERS)] * int(pick(rng, LENGTHS))
    return round(float(np.exp(rng.normal() * 3)), 6)


KEYS = [
    key
    for model in (parts.MixtureSpec, parts.StreamSpec, parts.SeedingSpec, parts.EMSpec)
    for key in model.model_fields
]
KEYS += [*parts.Part.model_fields, *spec.Study.model_fields, "scale", "power", "shift", "adam"]
KEYS += ["", "a.b", "\x1b[2J", "a\nb", "int", "list[", "literal", "k" * 300, "part", "environment"]


def places(table, path=()):
    """Every place in a table, the table itself included."""
    yield path
    inside = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    for key, value in inside:
        yield from places(value, (*path, key))


def mutated(rng, table):
    """The table with one thing changed."""
    copy = dict(table)
    path = pick(rng, list(places(copy)))
    here = copy
    for key in path[:-1]:
        here[key] = dict(here[key]) if isinstance(here[key], dict) else list(here[key])
        here = here[key]
    where = here[path[-1]] if path else here
    what = rng.integers(4)
    if path and what == 0:
        del here[path[-1]]
    elif isinstance(where, dict) and what < 3:
        changed = {**where, pick(rng, KEYS): odd(rng)}
        if not path:
            return changed
        here[path[-1]] = changed
    elif path:
        here[path[-1]] = odd(rng)
    return copy


def garbled(rng, text):
    """Text with something of it gone, doubled or replaced."""
    low, high = sorted(int(x) for x in rng.integers(len(text) + 1, size=2))
    what = rng.integers(5)
    if what == 0:
        return text[:low]
    if what == 1:
        return text[:low] + text[high:]
    if what == 2:
        return text[:high] + text[low:]
    piece = pick(rng, PIECES)
    return text[:low] + piece * int(rng.integers(1, 4)) + text[low if what == 3 else high :]


def written(table):
    try:
        return tomli_w.dumps(table)
    except (TypeError, ValueError):  # what TOML cannot say, another door is tried with
        return None


def case(number):
    """The odd spec of this number: TOML text, or a table from Python."""
    rng = np.random.default_rng(number)
    table = pick(rng, SKELETONS)
    for _ in range(pick(rng, [1, 1, 1, 2, 3])):
        table = mutated(rng, table)
    text = written(table)
    if text is None or rng.random() < 0.1:
        return table
    return garbled(rng, text) if rng.random() < 0.2 else text


def made(source, folder):
    """The study of an odd spec, by the door that it is for; ValueError if it is none."""
    if isinstance(source, str):
        return spec.parse(source, source="x.toml", folder=folder, default_name="x")
    try:
        return spec.Study(**source)
    except TypeError as error:  # not a keyword
        raise ValueError(str(error)) from None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "inside"
    path.mkdir()
    np.save(path / "means.npy", [[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]])
    return path


def checked(number, folder):
    """Whether the spec of this number is taken; everything that must then hold is asserted."""
    source = case(number)
    started = time.process_time()
    try:
        study = made(source, folder)
        cells = spec.cells(study, folder)
        plan.check([plan.Piece(cell, 0, study.rounds()[-1]) for cell in cells], devices=2)
        _build_mixtures(cells, folder)
    except ValueError as error:
        lines = str(error).split("\n")
        if isinstance(source, str):
            assert all(line and line.isprintable() and len(line) < 1000 for line in lines), lines
            assert len(lines) <= limits.FAULTS + 1, lines
        return False
    finally:
        assert time.process_time() - started < SECONDS, number
    _will_run(study, cells, folder)
    return True


def _build_mixtures(cells, folder):
    """As a run does before it writes anything; but none that are drawn, each of which is compiled."""
    for cell in cells[:20]:
        if cell.layout not in ("box", "symmetric-box") and cell.k * cell.d < 10_000:
            mixtures.build_mixture(cell, None, range(2), folder)


def _will_run(study, cells, folder):
    """What a run would refuse later was refused; and the study can be written down and read."""
    assert len(study.rounds()) <= 64
    for cell in cells[:20]:
        mixture.check(cell.k, cell.weights, np.array(cell.scales))
        assert cell.rate is None or 0 < cell.rate < 1
        assert all(1 <= a < b for a, b in zip(cell.checkpoints, cell.checkpoints[1:], strict=False))
        assert not cell.checkpoints or cell.checkpoints[-1] == cell.n
        if cell.seeding:
            sizes = cell.seeding
            numbers = {"n": sizes.n, "block": sizes.block, "graph_points": sizes.graph_points}
            start.check_seeding(k=cell.k, d=cell.d, neighbors=sizes.neighbors, **numbers)
        cell.identifier(study.seed, study.x64)
    text = tomli_w.dumps(study.model_dump(exclude_none=True))
    again = spec.parse(text, source="again.toml", folder=folder, default_name="x")
    assert spec.named_cells(again, folder).keys() == spec.named_cells(study, folder).keys()


def megabytes():
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def all_checked(numbers, folder):
    before = megabytes()
    taken = sum(checked(number, folder) for number in numbers)
    assert megabytes() - before < MEGABYTES
    assert 0.03 < taken / len(numbers) < 0.9, taken  # neither door is never tried


def test_odd_specs_are_taken_whole_or_refused_in_few_plain_lines(folder):
    all_checked(range(2000), folder)


@pytest.mark.long
@pytest.mark.parametrize("thousands", range(2, 22, 4))
def test_many_odd_specs_are_taken_whole_or_refused_in_few_plain_lines(folder, thousands):
    all_checked(range(1000 * thousands, 1000 * (thousands + 4)), folder)


# --- from Python ---


ODDER = [np.nan, np.float32(0.5), np.int8(3), np.array([]), np.array(3), np.array([[1, 2], [3, 4]]), np.array(["a"])]
ODDER += [{1, 2}, range(3), range(10**9), (1, 2), iter([1]), b"x", object(), None, np.datetime64("2020-01-01"), 1j]
ODDER += [Path("means.npy"), {1: 2}, [[[[[[[[[[[1]]]]]]]]]]], lambda: 1, int, np.ma.masked, float("1e400"), 10**5000]
ODDER += [np.longdouble(1), "\ud800"]


def test_odd_objects_from_python_are_taken_or_refused_as_values(folder):
    taken = 0
    for number in range(600):
        rng = np.random.default_rng(number)
        copy = dict(pick(rng, SKELETONS))
        path = pick(rng, list(places(copy))[1:])
        here = copy
        for key in path[:-1]:
            here[key] = dict(here[key]) if isinstance(here[key], dict) else list(here[key])
            here = here[key]
        here[path[-1]] = pick(rng, ODDER)
        try:
            study = spec.Study(**copy)
            cells = spec.cells(study, folder)
            _build_mixtures(cells, folder)
        except ValueError:
            continue
        _will_run(study, cells, folder)
        taken += 1
    assert taken > 20


# --- what is taken runs ---


def small(number):
    """An odd study that takes a second: its sizes are small, everything else is as odd as is taken."""
    rng = np.random.default_rng(number)
    algorithm, alone = pick(rng, ["lloyd", "em", "soft", "oracle"]), bool(rng.integers(5) == 0)
    k = 2 if algorithm == "em" else int(pick(rng, [1, 2, 3]))
    pair, d = k == 2, int(pick(rng, [2, 3]))
    layout = pick(
        rng, ["symmetric", "symmetric-box"] if algorithm == "em" else ["simplex", "box", *["symmetric"] * pair]
    )
    mixed = {"k": k, "d": max(d, k), "layout": layout, "sigma": [float(pick(rng, [1e-4, 1.0, 300.0]))]}
    if k > 1:
        mixed["separation"] = [float(pick(rng, [0.5, 4.0, 20.0]))]
    if algorithm != "em":
        weights = rng.dirichlet(np.ones(k)).round(3)
        weights[-1] = 1 - weights[:-1].sum()
        mixed["weights"] = pick(rng, ["equal", [float(abs(w)) for w in weights]])
    if layout.endswith("box"):
        mixed["side"] = float(1e3 * mixed["sigma"][0])
    if algorithm == "soft" and mixed.get("weights", "equal") != "equal":
        mixed["weights"] = [max(w, 1e-3) for w in mixed["weights"]]
    table = {"runs": int(pick(rng, [1, 2, 9])), "algorithm": algorithm, "mixture": mixed, "name": f"odd-{number}"}
    table["seed"] = int(pick(rng, [0, 2**32 - 1, 3_000_000_000]))
    start = pick(rng, ["truth", 0.0, 0.3, 5.0, "seeding"])
    if start == "seeding":
        table["seeding"] = {"n": 90, "block": int(pick(rng, [k, 10, 37])), "graph_points": int(pick(rng, [k + 3, 20]))}
        table["seeding"] |= {"neighbors": int(pick(rng, [1, 2])), "method": pick(rng, ["block", "oja"])}
    if alone:
        table["stream"] = {"n": 0, "start": start}
    else:
        stream = {"n": [int(n) for n in pick(rng, [[1], [2, 77], [300]])], "start": start}
        stream["checkpoints"] = pick(rng, [1, 3, [1]])
        rates = [0.5, 1e-6, {"scale": 0.5, "power": 0.5, "shift": 1.0}, {"adam": 0.01}, "1/n"]
        if algorithm != "oracle":
            stream["rate"] = pick(rng, {"em": rates[:2], "soft": rates[:4]}.get(algorithm, rates))
        table["stream"] = stream
    return table


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(8))
def test_small_odd_specs_that_are_taken_run_to_the_end(tmp_path, chunk):
    ran = 0
    for number in range(100 * chunk, 100 * chunk + 100):
        table = small(number)
        try:
            study = spec.Study(**table)
            cells = spec.cells(study)
            preflight.check_mixtures(study, cells)
        except ValueError:
            continue
        path = tmp_path / f"{number}.toml"
        path.write_text(tomli_w.dumps(table))
        assert cli.main(["run", str(path), "--out", str(tmp_path / f"{number}")]) == 0, (number, table)
        ran += 1
        if ran == 5:
            break
    assert ran == 5
