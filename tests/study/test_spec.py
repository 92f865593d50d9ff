"""Specs: what they resolve to, and what they refuse."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w

from jgmm.study import preflight, spec


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
    sizes = cells('[stream]\nn = 0\n[mixture]\nk = 5\nd = 10\nlayout = "box"')[0].seeding
    assert sizes == spec.SeedingSizes(n=489_002, block=23, graph_points=80, neighbors=3)
    assert cells("[stream]\nn = 0")[0].seeding.n == 23_965


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
        ("[mixture]\nk = 0", "mixture.k is 0"),
        ("[mixture]\nd = 0", "mixture.d is 0"),
        ("[mixture]\nsigma = -1.0", "mixture.sigma is -1.0"),
        ("[mixture]\nsigma = 0", "mixture.sigma is 0"),
        ("[mixture]\nsigma = nan", "mixture.sigma is nan"),
        ("[mixture]\nseparation = inf", "mixture.separation is inf"),
        ("[mixture]\nseparation = []", "mixture.separation"),
        ("[mixture]\nweights = [1.5, -0.5]", "-0.5"),
        ("[mixture]\nweights = [0.5, 0.6]", "sum 1"),
        ("[mixture]\nweights = [0.5, 0.25, 0.25]", "expected 2"),
        ("[mixture]\nk = 5", "layout is 'symmetric', but k is 5, expected 2"),
        ('[mixture]\nk = 5\nd = 3\nlayout = "box"', "k is 5: expected at most d = 3"),
        ('[mixture]\nk = 5\nd = 3\nlayout = "simplex"', "layout is 'simplex', but d is 3, expected at least k - 1 = 4"),
        ('[mixture]\nlayout = "ring"', "layout is 'ring'"),
        ('[mixture]\nlayout = "none.npy"', "layout is 'none.npy'"),
        ("[stream]\nrate = 1.0", "stream.rate is 1.0"),
        ('[stream]\nrate = "papr"', "rate is 'papr': expected 'paper', 'seed', 'best', '1/n', a number"),
        ("[stream]\nn = 20", "at n = 20, k = 2"),
        ("[stream]\nn = 1.5", "stream.n is 1.5"),
        ("[seeding]\nn = 30", "seeding n is 30"),
        ('algorithm = "emm"', "algorithm is 'emm'"),
        ('[[part]]\nname = "a"\n[[part]]\nname = "a"', "expected each to differ"),
        ("part = 3", "part is 3"),
        ("mixture = [[2]]\n[[part]]\nmixture = { k = 2 }", "mixture is [[2]], expected a table"),
        # Types are not taken for one another.
        ("[mixture]\nsigma = true", "mixture.sigma is True: expected a number"),
        ('[mixture]\nseparation = "4"', "mixture.separation is '4': expected a number"),
        ('x64 = "yes"', "x64 is 'yes': expected true or false"),
        ("[stream]\ndisplacement = 1", "stream.displacement is 1: expected true or false"),
        ("theorem = true", "theorem is True: expected 'auto'"),
        ("theorem = 1.0", "theorem is 1.0: expected 'auto'"),
        ("runs = true", "runs is True: expected a whole number"),
        ("runs = 1979-05-27", "runs is datetime.date(1979, 5, 27): expected a whole number"),
        # A key of another table is told with that table.
        ("[mixture]\nn = 4", "mixture.n: unknown key, expected stream.n or seeding.n?"),
        ("sigma = 4", "sigma: unknown key, expected mixture.sigma?"),
        ("[mixture]\nint = 4", "mixture.int: unknown key"),
        ("[mixture]\nweights = [[0.5, 0.5], [1.5, -0.5]]", "mixture.weights.1.1 is -0.5: expected at least 0"),
        ("[mixture]\nk = 0\n[[part]]\nname = 'a'\n[[part]]\nname = 'b'", "x.toml: mixture.k is 0: expected at least 1"),
        # A key that would mean nothing.
        ('algorithm = "oracle"\n[stream]\nrate = 0.1', "stream.rate is 0.1: algorithm 'oracle'"),
        ("[em]\nbeta = 2", "em.beta is 2.0: algorithm 'lloyd' has no beta"),
        ('algorithm = "seeding"', "algorithm is 'seeding': expected n = 0 after start = 'seeding'"),
        ("[stream]\nn = 0\nrate = 0.1", "stream.rate is 0.1: n is 0: nothing is streamed behind the start"),
        ("theorem = 3\n[stream]\nn = 9000", "theorem is 3 with n = 9000: it is about the start alone: expected n = 0"),
        ("theorem = 1\n[stream]\nn = 0", "theorem is 1 with n = 0: it is about a stream: expected n above 0"),
        ("[mixture]\nside = 3", "mixture.side is 3.0: layout 'symmetric' has no box"),
        ("[seeding]\nn = 3000\n[stream]\nstart = 0.1", "seeding.n is 3000: no start is 'seeding'"),
        ('[stream]\ncheckpoints = [3]\nspacing = "log"', "stream.spacing is 'log': the checkpoints are listed"),
        (
            "[stream]\nstart = 0.1\nrate = { adam = 0.1, shift = 1 }",
            "expected the numbers of one step size (constant: rate; polynomial: scale, power, shift;",
        ),
        ('algorithm = "oracle"\n[stream]\nstart = 0.1\ndisplacement = true', "stream.displacement is True"),
        ('[mixture]\nk = 1\nlayout = "simplex"\nseparation = 3', "one component is not separate from another"),
        ("[mixture]\nlayout_hash = '0123456789ab'", "layout 'symmetric' is no file"),
        ("max_runs = 300", "max_runs is 300 without a precision"),
        ('together = ["beta"]', "together names 'beta', expected some of k, d,"),
        ('together = ["k", "k"]', "expected each axis once"),
        ('report = "seed"', "report is 'seed': expected to match pattern"),
        # Numbers that nothing could be made of.
        ("[mixture]\nsigma = 1e200\nscales = [1e200, 1.0]", "expected positive numbers that a float holds"),
        ("[mixture]\nweights = [1e308, 1e308]", "sum 1"),
        ("[stream]\nrate = 'best'\nstart = 1e300", "rate is"),
        ("[stream]\nrate = 0.1\nstart = 0.1\naverage = 1e-9\nn = 1000", "average is 1e-09: expected 0, or a share"),
        ('[mixture]\nk = 90\nd = 900\nlayout = "simplex"', "seeding.n is"),
        ('[mixture]\nk = 1000\nd = 1000\nlayout = "simplex"', "k d is 1000 x 1000: expected at most 100000"),
        ("[seeding]\ngraph_points = 100000\nn = 1000000", "seeding.graph_points is 100000: expected at most 5000"),
        # Names: of two parts that a disk may take for one, and of none.
        ('[[part]]\nname = "a"\n[[part]]\nname = "A"', "two parts are named 'a' and 'A'"),
        (f'name = "{"a" * 101}"', "at most 100 characters"),
        ('name = "a\\nb"', "name is 'a\\nb'"),
        ('"a\\u001b[31m\\nb" = 1', r"'a\x1b[31m\nb': unknown key"),
        ('"\\u202e" = 1', r"'\u202e': unknown key"),
    ],
)
def test_bad_input_names_the_value(text, message):
    with pytest.raises(ValueError, match=".*") as caught:
        cells(text)
    assert message in str(caught.value)
    assert all(line.isprintable() for line in str(caught.value).split("\n"))


def test_every_fault_is_told_at_once():
    with pytest.raises(ValueError, match="x.toml") as caught:
        parse("runs = 0\nfoo = 1\n[mixture]\nsigma = -1.0")
    assert len(str(caught.value).splitlines()) == 3


def test_a_fault_in_a_part_is_told_with_the_part_s_name_or_its_number_where_it_has_none_of_its_own():
    with pytest.raises(ValueError, match="x.toml") as caught:
        parse('[[part]]\nname = "long"\n[part.stream]\nnn = 3\n[[part]]\nk = 2\n[[part]]\nname = "b"\nmixture = 1')
    assert str(caught.value).splitlines() == [
        "x.toml: part 'long': stream.nn: unknown key, expected 'n'?",
        "x.toml: part.1.k: unknown key, expected mixture.k?",
        "x.toml: part 'b': mixture is 1: expected a table",
    ]


def test_an_unknown_preset_is_told_with_the_nearest():
    with pytest.raises(ValueError, match="'sead' is neither a preset .*did you mean 'seed'"):
        spec.load("sead")


def test_a_malformed_spec_needs_no_jax_and_help_needs_only_the_standard_library():
    specs = """
import sys
from pathlib import Path
from jgmm.study import spec
try:
    spec.parse("runs = 0", source="x.toml", folder=Path(), default_name="x")
except ValueError as error:
    assert "runs is 0" in str(error)
assert "jax" not in sys.modules
"""
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


def test_rates_for_components_that_never_come():
    (cell,) = cells("[mixture]\nweights = [1, 0]\n[stream]\nrate = 'best'\nstart = 0.5\nn = 1000")
    n, e0 = 1000, 0.5
    assert cell.rate == pytest.approx(math.log(4 * n * e0**2 / 10) / (2 * n))


def test_unbalanced_em_is_shown_the_way_to_soft_updates():
    study = parse('algorithm = "em"\n[stream]\nstart = 0.1\n[mixture]\nweights = [0.3, 0.7]')
    with pytest.raises(ValueError, match=r"part 'main': the mixture.*weights \[0\.3 0\.7\].*algorithm = 'soft'"):
        preflight.check_mixtures(study, spec.cells(study))


def test_a_study_of_the_users_may_have_a_presets_name(tmp_path):
    for name in ("seed", "floor"):
        path = tmp_path / f"{name}.toml"
        path.write_text("[stream]\nn = 1000\nstart = 0.1")
        study = spec.load(str(path))
        assert study.name == name
        assert len(spec.cells(study)) == 1


def test_a_copy_that_was_changed_is_held_to_what_a_spec_is():
    study = parse("")
    assert spec.changed(study, runs=3).runs == 3
    with pytest.raises(ValueError, match="^runs is 0: expected at least 1$"):
        spec.changed(study, runs=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfer\x00", "is not UTF-8"),
        ("name = 'a' # é".encode("latin-1"), "is not UTF-8"),
        ("runs = 3".encode("utf-16-le"), "not TOML"),
        (b"\x00", "not TOML"),
    ],
)
def test_another_encoding_is_told_in_a_line(tmp_path, content, message):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        spec.load(str(path))
    assert str(caught.value).isprintable()


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbfruns = 3\r\n[mixture]\r\nd = 3\r\n")
    assert spec.load(str(path)).runs == 3


def test_a_file_that_can_name_no_study_is_told_how(tmp_path):
    path = tmp_path / "my study.toml"
    path.write_text("runs = 3")
    with pytest.raises(ValueError, match="expected a key name"):
        spec.load(str(path))
    path.write_text("name = 'mine'")
    assert spec.load(str(path)).name == "mine"


@pytest.mark.parametrize("name", ["", "a\0b", "a" * 5000, ".", "\x1b[31m", "\udcff"])
def test_what_is_no_file_is_told_in_a_line(name):
    with pytest.raises(ValueError, match="neither a preset|cannot be read") as caught:
        spec.load(name)
    assert str(caught.value).isprintable()


def test_every_preset_can_be_written_down_and_read_again():
    for name in spec.presets():
        study = spec.load(name)
        again = parse(tomli_w.dumps(study.model_dump(exclude_none=True)))
        assert again == study
        assert spec.named_cells(again).keys() == spec.named_cells(study).keys()


def test_a_study_from_python_is_a_study_from_toml():
    text = "runs = 7\n[mixture]\nk = 2\nseparation = [2, 3]\n[stream]\nn = 1e4\nstart = 0.5"
    parsed = spec.parse(text, source="x", folder=Path(), default_name="x")
    made = spec.Study(name="x", runs=7, mixture={"k": 2, "separation": [2, 3]}, stream={"n": 1e4, "start": 0.5})
    assert made == parsed


def test_a_bad_study_from_python_gets_the_sentences_of_the_command_line():
    given = {"runs": -1, "mixture": {"k": 2, "separatoin": 3.0}, "stream": {"n": "many"}}
    with pytest.raises(ValueError, match="^runs is -1: expected at least 1$") as error:
        spec.Study(runs=-1)
    assert type(error.value) is ValueError
    with pytest.raises(ValueError, match="runs is -1") as error:
        spec.Study(**given)
    said = str(error.value).splitlines()
    with pytest.raises(ValueError, match="runs is -1") as error:
        spec.parse(tomli_w.dumps(given), source="mine", folder=Path(), default_name="mine")
    assert [f"mine: {line}" for line in said] == str(error.value).splitlines()
    assert len(said) == 3


def test_a_key_may_have_any_name_and_is_told(tmp_path):
    with pytest.raises(ValueError, match="self: unknown key"):
        spec.parse("self = 1", source="mine", folder=tmp_path, default_name="mine")
