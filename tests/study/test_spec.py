"""Specs: what they resolve to, and what they refuse."""

import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from jgmm.study import parts, plan, preflight, spec


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


HUGE = {
    "checkpoints": "[stream]\ncheckpoints = 2000000000",
    "runs": "runs = 2147483647",
    "runs and n": "runs = 2147483647\n[stream]\nn = 2147483647\nstart = 0.1\nrate = 0.1\ncheckpoints = 1",
    "max_runs": "precision = 1e-9\nmax_runs = 2147483647",
    "an axis": f"[stream]\nn = {list(range(1000, 31000))}",
    "many axes": "[stream]\nstart = 0.1\n" + "\n".join(f"{name} = {[0.01] * 4000}" for name in ("rate", "average")),
    "a grid": f"[mixture]\nk = 2\nsigma = {[1.0] * 5000}\nseparation = {[2.0] * 5000}",
    "cells alone": f"[stream]\nstart = 0.1\nn = {[30000] * 80}\naverage = {[0.0] * 80}\ncheckpoints = 1",
    "cells with checkpoints": f"[stream]\nstart = 0.1\nn = {[30000] * 4000}\ncheckpoints = 10000",
    "k": "[mixture]\nk = 2000000000",
    "d": "[mixture]\nd = 2000000000",
    "bad values": f"[mixture]\nk = {[0] * 100_000}",
    "fewer bad values": f"[mixture]\nk = {[0] * 5000}\nd = {[-1] * 5000}",
    "unknown keys": "\n".join(f"a{i} = 1" for i in range(100_000)),
    "fewer unknown keys": "\n".join(f"a{i} = 1" for i in range(4000)),
    "parts": "[[part]]\n" * 10_000,
    "nested lists": "a = " + "[" * 5000 + "]" * 5000,
    "nested tables": "a = " + "{ a = " * 5000 + "1" + "}" * 5000,
    "a dotted key": "a" + ".a" * 500_000 + " = 1",
    "a quoted dotted key": "'a'" + " . 'a'" * 100_000 + " = 1",
    "digits": "runs = " + "9" * 5000,
    "more digits": "runs = " + "9" * 4000,
    "a long name": f"name = '{'a' * 100_000}'",
    "a long line": "a" * 10**7,
    "quotes": '"' * 10**6,
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_what_is_too_large_is_refused_soon_and_in_few_words(text):
    started = time.process_time()
    with pytest.raises(ValueError, match=".*") as caught:
        check(parse(text))
    assert time.process_time() - started < 2  # measured: up to 0.4 s
    lines = str(caught.value).splitlines()
    assert len(lines) <= 21
    assert max(map(len, lines)) < 400


IN_LITTLE_MEMORY = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import test_spec
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
before = most()
for text in test_spec.HUGE.values():
    try:
        test_spec.check(test_spec.parse(text))
    except ValueError:
        pass
print(most() - before)
"""


def test_what_is_too_large_is_refused_in_little_memory():
    call = [sys.executable, "-c", IN_LITTLE_MEMORY, str(Path(__file__).parent)]
    megabytes = float(subprocess.run(call, capture_output=True, text=True, check=True).stdout)
    assert megabytes < 200  # measured: 60


def check(study):
    """What a run checks before JAX starts, and that its work can be planned."""
    todo = [plan.Piece(cell, 0, study.rounds()[-1]) for cell in spec.cells(study)]
    plan.check(todo, devices=2)


def test_of_many_faults_twenty_are_told_and_the_rest_counted():
    with pytest.raises(ValueError, match="x.toml") as caught:
        parse("\n".join(f"a{i} = 1" for i in range(100)))
    told = str(caught.value).splitlines()
    assert len(told) == 21
    assert told[-1] == "x.toml: and 80 more"


def test_a_long_file_is_not_read(tmp_path):
    path = tmp_path / "long.toml"
    with path.open("wb") as file:
        file.truncate(10**9)
    started = time.process_time()
    with pytest.raises(ValueError, match="longer than a spec may be"):
        spec.load(str(path))
    assert time.process_time() - started < 1


def test_the_largest_that_a_spec_may_ask_for_can_be_read_again():
    rate = [round(0.001 + i * 1e-6, 6) for i in range(5000)]
    n = [2**31 - 1 - i for i in range(5000)]
    separation = [1 + i / 7 for i in range(5000)]
    study = spec.Study(
        mixture={"separation": separation, "d": [2] * 5000},
        stream={"n": n, "rate": rate, "start": 0.1, "checkpoints": 2},
        together=["separation", "n", "rate", "d"],
        aim="a" * 10_000,
    )
    assert len(spec.cells(study)) == 5000
    text = tomli_w.dumps(study.model_dump(exclude_none=True))
    assert parse(text) == study.model_copy(update={"name": "study"})


def test_a_million_runs_and_two_thousand_million_samples_are_not_too_many():
    (cell,) = cells("runs = 1000000\n[stream]\nn = 2147483647\nstart = 0.1\nrate = 0.1")
    assert cell.n == 2**31 - 1
    plan.check([plan.Piece(cell, 0, 10**6)], devices=8, gpu=True)


def test_a_shared_key_may_be_of_use_to_one_part_alone():
    study = parse(
        '[stream]\nn = 1000\nrate = 0.1\nstart = 0.1\n[em]\nbeta = 2\n[[part]]\nname = "a"\nalgorithm = "em"\n'
        '[[part]]\nname = "b"\nalgorithm = "oracle"\n[[part]]\nname = "c"\nstream = { n = 0 }'
    )
    a, b, c = study.part
    assert (a.em.beta, a.stream.rate) == ([2.0], [0.1])
    assert (b.em, b.stream.rate, b.stream.n) == (spec.Study(part=[{}]).part[0].em, ["paper"], [1000])
    assert c.model_dump()["stream"] == {"n": [0], "start": [0.1]}
    assert parse(tomli_w.dumps(study.model_dump(exclude_none=True))) == study


def refusal(part):
    """What is said against a study of this part; None if it is taken."""
    try:
        spec.Study(part=[part])
    except ValueError as error:
        return str(error)
    return None


def test_every_key_is_of_use_somewhere_and_refused_where_it_is_of_none():
    values = {"weights": [[0.5, 0.5]], "checkpoints": 3, "spacing": "linear", "displacement": True, "layout": "box"}
    various = [
        {"algorithm": "lloyd"},
        {"algorithm": "lloyd", "stream": {"start": 0.5}, "mixture": {"layout": "box"}},
        {"algorithm": "em", "stream": {"start": 0.5}},
        {"algorithm": "oracle", "stream": {"start": 0.5, "checkpoints": [5]}},
        {"stream": {"n": 0}},
        {"algorithm": "lloyd", "mixture": {"k": 1, "layout": "simplex"}, "stream": {"start": 0.5}},
    ]
    used, refused = set(), set()
    for own in various:
        bare = spec.Study(part=[own]).part[0]
        for table in parts.TABLES:
            for key in type(getattr(bare, table)).model_fields:
                if key == "layout_hash" or key in own.get(table, {}):
                    continue
                value = values.get(key, getattr(getattr(bare, table), key))
                with_key = {**own, table: {**own.get(table, {}), key: value}}
                said = refusal(with_key)
                assert f"{table}.{key} is" in (said or f"{table}.{key} is")
                (refused if said else used).add((table, key))
    everything = {(table, key) for table in parts.TABLES for key in type(getattr(bare, table)).model_fields}
    assert used == everything - {("mixture", "layout_hash")}
    streams = {("stream", key) for key in parts.StreamSpec.model_fields if key not in ("n", "start")}
    seedings = {("seeding", key) for key in parts.SeedingSpec.model_fields}
    assert refused == streams | seedings | {("em", "beta"), ("mixture", "side"), ("mixture", "separation")}


def test_numpy_and_python_sequences_are_taken_for_what_they_hold():
    expected = spec.Study(
        runs=7,
        mixture={"k": [2, 3], "d": 4, "sigma": 1.5, "layout": "simplex", "weights": "equal"},
        stream={"n": [10, 20, 30], "rate": [0.1, 0.2], "start": 0.5, "checkpoints": [2, 4, 6], "displacement": True},
    )
    made = spec.Study(
        runs=np.int64(7),
        mixture={"k": np.array([2, 3]), "d": np.uint8(4), "sigma": np.float64(1.5), "layout": np.str_("simplex")}
        | {"weights": ("equal",)},
        stream={"n": range(10, 40, 10), "rate": (0.1, np.float64(0.2)), "start": np.array(0.5)}
        | {"checkpoints": range(2, 7, 2), "displacement": np.bool_(True)},
    )
    assert made == expected
    assert type(made.runs) is int
    assert {type(k) for k in made.part[0].mixture.k} == {int}
    assert type(made.part[0].mixture.sigma[0]) is float
    given = spec.Study(mixture={"weights": np.array([[0.5, 0.5], [0.25, 0.75]]), "layout": Path("a") / "m.npy"})
    assert given.part[0].mixture.weights == [[0.5, 0.5], [0.25, 0.75]]
    assert given.part[0].mixture.layout == str(Path("a") / "m.npy")
    assert spec.Study(mixture=parts.MixtureSpec(k=np.int32(2)), runs=256).part[0].mixture.k == [2]


@pytest.mark.parametrize("k", [{2, 3}, "2", b"2", iter([2]), np.array(["2"]), 2.5, np.array([1 + 1j]), None, object()])
def test_what_holds_no_whole_numbers_is_refused(k):
    with pytest.raises(ValueError, match="mixture.k"):
        spec.Study(mixture={"k": k})


def test_an_array_too_large_is_not_expanded():
    for value in (range(10**12), np.broadcast_to(1.0, (10**9,)), np.broadcast_to(1.0, (4000, 4000))):
        with pytest.raises(ValueError, match="expected at most 5000"):
            spec.Study(mixture={"weights": value})


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
