"""Specs: what they resolve to, and what they refuse."""

import subprocess
import sys
from pathlib import Path

import pytest

from jgmm.study import spec


def parse(text):
    return spec.parse(text, source="x.toml", folder=Path(), default_name="x")


def cells(text):
    return spec.cells(parse(text))


def test_every_list_is_an_axis():
    found = cells(
        '[mixture]\nseparation = [2, 3.0]\n[stream]\nn = [1e4, 100000]\nrate = ["paper", 0.01]\nstart = [0, 1.5]'
    )
    assert len(found) == 16
    assert {cell.n for cell in found} == {10_000, 100_000}


def test_sizes_left_out_are_the_seeds():
    sizes = cells('algorithm = "seeding"\n[mixture]\nk = 5\nd = 10\nlayout = "box"')[0].seeding
    assert sizes == spec.SeedingSizes(n=489_002, block=23, graph_points=80, neighbors=3)
    assert cells('algorithm = "seeding"')[0].seeding.n == 23_965


def test_the_seed_preset_covers_both_readings():
    parts = [part.name for part in spec.load("seed").part]
    assert [name for name in parts if name.startswith("seed-")] == [
        "seed-seeding",
        "seed-lloyd",
        "seed-pair-seeding",
        "seed-em",
    ]
    assert sum(name.startswith("paper-") for name in parts) == 6
    em = next(cell for cell in spec.cells(spec.load("seed")) if cell.part == "seed-em")
    assert (em.n, em.beta, em.sigma) == (20_000, 2.0, 10.0)


def test_identifiers_tell_cells_seeds_and_precisions_apart():
    a, b = cells("[stream]\nn = [1000, 2000]")
    found = {a.identifier(0, False), b.identifier(0, False), a.identifier(1, False), a.identifier(0, True)}
    assert len(found) == 4
    assert a.identifier(0, False) == cells("[stream]\nn = 1000")[0].identifier(0, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = [", "not TOML"),
        ("runz = 3", "runz: unknown key, expected 'runs'"),
        ("[mixture]\nsigm = 3", "mixture.sigm: unknown key, expected 'sigma'"),
        ("runs = 0", "runs is 0"),
        ("[mixture]\nk = 0", "mixture.k.0 is 0"),
        ("[mixture]\nd = 0", "mixture.d.0 is 0"),
        ("[mixture]\nsigma = -1.0", "mixture.sigma.0 is -1.0"),
        ("[mixture]\nsigma = 0", "mixture.sigma.0 is 0"),
        ("[mixture]\nsigma = nan", "mixture.sigma.0 is nan"),
        ("[mixture]\nseparation = inf", "mixture.separation.0 is inf"),
        ("[mixture]\nseparation = []", "mixture.separation"),
        ("[mixture]\nweights = [1.5, -0.5]", "-0.5"),
        ("[mixture]\nweights = [0.5, 0.6]", "sum 1"),
        ("[mixture]\nweights = [0.5, 0.25, 0.25]", "expected 2"),
        ("[mixture]\nk = 5", "k is 5: expected 2"),
        ('[mixture]\nk = 5\nd = 3\nlayout = "box"', "k is 5: expected at most d = 3"),
        ('[mixture]\nk = 5\nd = 3\nlayout = "simplex"', "d is 3: expected at least k - 1 = 4"),
        ('[mixture]\nlayout = "ring"', "layout is 'ring'"),
        ('[mixture]\nlayout = "none.npy"', "layout is 'none.npy'"),
        ("[stream]\nrate = 1.0", "stream.rate.0 is 1.0"),
        ('[stream]\nrate = "papr"', "stream.rate.0 is 'papr'"),
        ("[stream]\nn = 20", "at n = 20, k = 2"),
        ("[stream]\nn = 1.5", "stream.n.0 is 1.5"),
        ("[seeding]\nn = 30", "seeding n is 30"),
        ('algorithm = "em"\n[mixture]\nlayout = "box"', "algorithm em: expected a symmetric layout"),
        ('algorithm = "emm"', "algorithm is 'emm'"),
        ('[[part]]\nname = "a"\n[[part]]\nname = "a"', "expected each to differ"),
        ("part = 3", "part is 3"),
    ],
)
def test_bad_input_names_the_value(text, message):
    with pytest.raises(ValueError, match=".*") as caught:
        cells(text)
    assert message in str(caught.value)


def test_every_fault_is_told_at_once():
    with pytest.raises(ValueError, match="x.toml") as caught:
        parse("runs = 0\nfoo = 1\n[mixture]\nsigma = -1.0")
    assert len(str(caught.value).splitlines()) == 3


def test_an_unknown_preset_is_told_with_the_nearest():
    with pytest.raises(ValueError, match="'sead' is neither a preset .*did you mean 'seed'"):
        spec.load("sead")


def test_specs_need_no_jax_and_help_needs_only_the_standard_library():
    specs = "import sys; from jgmm.study import spec; spec.cells(spec.load('seed')); assert 'jax' not in sys.modules"
    with_help = """
import sys
from jgmm import cli
try:
    cli.main(["--help"])
except SystemExit as end:
    assert end.code == 0
assert not {"jax", "numpy", "pydantic", "rich"} & set(sys.modules)
"""
    for code in (specs, with_help):
        subprocess.run([sys.executable, "-c", code], check=True)
