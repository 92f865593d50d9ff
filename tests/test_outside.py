"""Names of what stands outside jgmm: found where they are meant, known by their source, and of nobody's by accident."""

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax.numpy as jnp
import optax
import pytest

import jgmm
from jgmm import cli, lanes, named, outside, steps
from jgmm.algorithms.lloyd import LLOYD
from jgmm.contract import Noise
from jgmm.mixture import LAYOUTS, Layout
from jgmm.report.hook import Page, page_of
from jgmm.report.write import write_report
from jgmm.study import ownership, spec
from jgmm.study import run as runner

OWN = '''
"""A user's module: one value of each kind."""

import optax
from own_parts import WIDTH

from jgmm import lanes
from jgmm.algorithms.lloyd import nearest, pulled
from jgmm.contract import Algorithm, Noise
from jgmm.mixture import LAYOUTS
from jgmm.report.hook import Page


def pair(a, b):
    return (lanes.uniform(a) - 0.5) * WIDTH, (lanes.uniform(b) - 0.5) * WIDTH


NOISE = Noise(pair, "uniform noise of our own")
SCHEDULE = optax.polynomial_schedule(0.2, 0.01, 1, 100)
MOMENTUM = optax.sgd(0.01, momentum=0.5)
LAYOUT = LAYOUTS["simplex"]._replace(words="our own simplex")
PAGE = Page(figures=lambda folder, results: [])


def params(mixture, component, numbers):
    return {"less": numbers["less"].astype(mixture.means.dtype)}


def shorter(state, sample, params, move):
    """Lloyd's step toward a sample that is nearer to the origin."""
    won = nearest(state.origin, state.offset, sample.x)
    return pulled(state, sample.x[None] * (1 - params["less"]), won, move)


def broken(state, sample, params, move):
    return shorter(state, sample, {}, move)


SHORTER = Algorithm(shorter, words="Lloyd's, of shorter samples", params=params, numbers=(("less", 0.5),))
BROKEN = Algorithm(broken, words="an algorithm with a fault")
'''
PARTS = '"""What our module uses."""\n\nWIDTH = 12**0.5\n'


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


@pytest.fixture
def home(tmp_path):
    """A folder with a user's module, which is forgotten again."""
    (tmp_path / "own_values.py").write_text(OWN)
    (tmp_path / "own_parts.py").write_text(PARTS)
    yield tmp_path
    for name in ("own_values", "own_parts"):
        sys.modules.pop(name, None)


def study_in(home, text):
    (home / "own.toml").write_text(f"runs = 12\n{text}")
    return spec.load(str(home / "own.toml"))


# --- names ---


@pytest.mark.parametrize("text", ["a:b", "a.b:c", "here:0123456789ab", "jgmm.noise:NOISES", "ä:ö"])
def test_a_name_has_a_module_and_a_value(text):
    assert outside.named(text)
    assert outside.foreign(text) == (not text.startswith("jgmm."))


@pytest.mark.parametrize("text", ["lloyd", "", "a:", ":b", "a:b:c", "a/b:c", "a b:c", "../x:Y", "a.b", 3, None, "1a:b"])
def test_what_has_another_form_is_no_name(text):
    assert not outside.named(text)


def test_names_are_found_wherever_a_spec_has_them():
    table = {
        "algorithm": "a:B",
        "aim": "x:y",
        "part": [{"stream": {"rate": ["paper", "c:D"]}, "mixture": {"noise": "e:F"}}],
    }
    assert outside.names_in(table) == ["a:B", "c:D", "e:F"]
    assert outside.names_in({"algorithm": "jgmm.algorithms.em:EM", "report": "jgmm.course_project.page:PAGE"}) == []


def test_jgmms_own_values_have_their_own_names():
    assert named.name_of(LLOYD) == "lloyd"
    assert named.name_of(LAYOUTS["box"]) == "box"
    assert outside.name(LLOYD) == "jgmm.algorithms.lloyd:LLOYD"


@pytest.mark.parametrize("name", ["no_such_module:X", "jgmm.rates:NOTHING"])
def test_a_module_or_value_that_is_not_there_is_told_in_a_line(name):
    with pytest.raises(ValueError, match=f"algorithm is '{name}', expected a module that can be imported") as caught:
        outside.load(name, "algorithm")
    assert len(str(caught.value).splitlines()) == 1


def test_a_module_that_fails_when_it_is_imported_is_told_in_a_line(home):
    (home / "own_broken.py").write_text("raise RuntimeError('two\\nlines')")
    with outside.beside(home), pytest.raises(ValueError, match=r"\(RuntimeError: two lines\)$"):
        outside.load("own_broken:X")


# --- folders ---


def test_a_folders_module_takes_no_installed_ones_place(home):
    (home / "colorsys.py").write_text("raise SystemExit('run')")  # of the standard library, and not imported yet
    sys.modules.pop("colorsys", None)
    with outside.beside(home):
        assert outside.load("own_values:NOISE").words == "uniform noise of our own"
        import colorsys
    assert colorsys.rgb_to_hsv
    assert str(home) not in sys.path


def test_a_name_that_another_module_has_already_is_refused(home, tmp_path_factory):
    with outside.beside(home):
        outside.load("own_values:NOISE")
    other = tmp_path_factory.mktemp("other")
    shutil.copy(home / "own_values.py", other / "own_values.py")
    with outside.beside(other):
        assert outside.load("own_values:NOISE")  # the same source
    (other / "own_values.py").write_text(OWN + "\n# changed\n")
    with outside.beside(other), pytest.raises(ValueError, match="is not the module 'own_values' that is imported from"):
        outside.load("own_values:NOISE")


def test_a_folder_that_is_not_trusted_is_not_imported_from(home):
    study = study_in(home, '[mixture]\nd = 3\nnoise = "own_values:NOISE"\n[stream]\nn = 100\nstart = 0.1')
    runner.run_study(study, home / "out", spec_folder=home)
    (home / "out" / "code" / "own_values.py").write_text("raise SystemExit('run')")
    for name in ("own_values", "own_parts"):
        sys.modules.pop(name)
    with pytest.raises(ValueError, match=r"names code of its own \(own_values:NOISE\): expected --trust"):
        ownership.load(home / "out")
    assert "own_values" not in sys.modules
    assert ownership.runs(home / "out") == 12


# --- source ---


def test_the_digest_is_of_the_module_and_of_what_it_uses(home, tmp_path_factory):
    with outside.beside(home):
        outside.load("own_values:NOISE")
    first = outside.digest("own_values:NOISE")
    assert set(outside.files("own_values:NOISE")) == {"own_values.py", "own_parts.py"}
    for name in ("own_values", "own_parts"):
        sys.modules.pop(name)
    other = tmp_path_factory.mktemp("other")
    (other / "own_values.py").write_text(OWN)
    (other / "own_parts.py").write_text(PARTS.replace("12", "3"))
    with outside.beside(other):
        outside.load("own_values:NOISE")
    assert outside.digest("own_values:NOISE") != first


def test_what_was_edited_since_it_was_imported_is_not_what_runs(home):
    with outside.beside(home):
        outside.load("own_values:NOISE")
        first = outside.digest("own_values:NOISE")
        (home / "own_values.py").write_text(OWN + "\n# changed\n")
        assert outside.digest("own_values:NOISE") == first


def variant(limit):
    """An algorithm that no module holds."""

    def step(state, sample, params, move):
        return LLOYD.step(state, sample, params, lambda *given: move(*given)) if limit else state

    return LLOYD._replace(step=step, law=None, floor=None)


def test_a_value_that_no_module_holds_is_known_by_what_it_does():
    assert outside.name(variant(1)) == outside.name(variant(1))
    assert outside.name(variant(1)) != outside.name(variant(2))
    assert outside.name(variant(1)).startswith("here:")
    assert outside.name(optax.sgd(0.1)) != outside.name(optax.sgd(0.2))
    assert outside.name(partial(jnp.add, 1)) != outside.name(partial(jnp.add, 2))


def test_a_value_without_a_source_is_refused():
    with pytest.raises(ValueError, match="has no source to know it by: expected a value of a module"):
        outside.name(LLOYD._replace(step=iter([1])))


def test_it_runs_where_it_was_made_and_is_refused_elsewhere(tmp_path):
    study = jgmm.Study(algorithm=variant(1), runs=6, mixture={"d": 3}, stream={"n": 50, "start": 0.1})
    assert runner.run_study(study, tmp_path / "out").left == 0
    assert runner.run_study(study, tmp_path / "out").computed == 0
    assert write_report(tmp_path / "out", study).status == 0
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="a value that only this process has"):
        runner.run_study(study, tmp_path / "other", executor=pool)
    assert not (tmp_path / "other").exists()
    name = study.part[0].algorithm
    text = (tmp_path / "out" / "study.toml").read_text().replace(name, "here:000000000000")
    with pytest.raises(ValueError, match="which lived in the process that ran it alone: expected module:NAME"):
        spec.parse(text, source="x", folder=tmp_path, default_name="x")


# --- one of each kind, in a study ---

KINDS = {
    "noise": '[mixture]\nd = 3\nnoise = ["gaussian", "own_values:NOISE"]\n[stream]\nn = 200\nrate = 0.05\nstart = 0.1',
    "schedule": '[mixture]\nd = 3\n[stream]\nn = 200\nrate = ["own_values:SCHEDULE", 0.05]\nstart = 0.1',
    "transformation": '[mixture]\nd = 3\n[stream]\nn = 200\nrate = "own_values:MOMENTUM"\nstart = 0.1',
    "layout": '[mixture]\nk = 3\nd = 3\nlayout = "own_values:LAYOUT"\n[stream]\nn = 200\nrate = 0.05\nstart = 0.1',
    "page": 'report = "own_values:PAGE"\n[mixture]\nd = 3\n[stream]\nn = 200\nrate = 0.05\nstart = 0.1',
}


@pytest.mark.parametrize("text", KINDS.values(), ids=KINDS)
def test_each_kind_goes_through_a_study(home, text):
    study = study_in(home, text)
    assert runner.run_study(study, home / "out", spec_folder=home).left == 0
    stored = ownership.load(home / "out", trust=True)
    assert write_report(home / "out", stored).status == 0
    assert (home / "out" / "code" / "own_parts.py").read_text() == PARTS
    digests = {digest for cell in spec.cells(study, home) for name, digest in cell.sources}
    assert len(digests) == (0 if "report" in text else 1)


def test_a_noise_changes_the_draws_and_keeps_what_its_variance_decides(home):
    study = spec.changed(study_in(home, KINDS["noise"]), runs=400)
    runner.run_study(study, home / "out", spec_folder=home)
    rows = write_report(home / "out", study, home).results.final()
    gaussian, own = rows
    assert (gaussian["noise"], own["noise"]) == ("gaussian", "own_values:NOISE")
    assert gaussian["error_sq_ok_mean"] != own["error_sq_ok_mean"]
    assert abs(own["twin_gap"]) < 4  # of a twin's exact mean, which needs no more than the variance
    assert gaussian["law_error_sq"] is not None
    assert own["law_error_sq"] is None  # laws of overlap are of normal noise


def test_a_page_from_outside_is_a_page(home):
    study = study_in(home, KINDS["page"])
    assert isinstance(page_of(study), Page)
    wrong = study.model_copy(update={"report": "own_values:NOISE"})
    with pytest.raises(ValueError, match=r"report 'own_values:NOISE' is a Noise, expected a Page"):
        page_of(wrong)


def test_a_value_of_another_kind_is_refused():
    for kind in ("algorithm", "noise", "layout"):
        with pytest.raises(ValueError, match=f"{kind} 'jgmm.rates:paper' is a function, expected jgmm"):
            named.load(kind, "jgmm.rates:paper")
    assert isinstance(named.load("noise", "uniform"), Noise)
    assert isinstance(named.load("layout", "box"), Layout)
    assert named.step_size("polynomial", (1.0, 0.5, 2.0)) == steps.polynomial(1.0, 0.5, 2.0)
    assert named.load("noise", "gaussian").pair is lanes.normal_pair


OF_NUMBERS = """
theorem = "none"
[mixture]
d = 3
[stream]
n = [200, 400]
rate = 0.05
start = 0.1
[[part]]
name = "own"
algorithm = "own_values:SHORTER"
numbers = { less = [0, 0.1, 0.2] }
[[part]]
name = "lloyd"
"""


def test_own_numbers_tell_apart_what_is_compared_on_the_same_streams(home):
    study = study_in(home, OF_NUMBERS)
    runner.run_study(study, home / "out", spec_folder=home)
    written = write_report(home / "out", study)
    mine = "own_values:SHORTER 0.05 less"
    assert {(pair.first, pair.second) for pair in written.pairs} == {
        (f"{mine} 0", f"{mine} 0.1"),
        (f"{mine} 0", f"{mine} 0.2"),
        (f"{mine} 0", "lloyd 0.05"),
    }
    assert all((pair.ratio == 1) == pair.second.startswith("lloyd") for pair in written.pairs)  # 0 less is Lloyd
    assert {row["numbers"] for row in written.results.final()} == {"less=0", "less=0.1", "less=0.2", ""}


def test_no_power_is_claimed_in_an_algorithms_own_number(home):
    study = study_in(home, OF_NUMBERS.replace("[0, 0.1, 0.2]", "[0.1, 0.2, 0.4]").replace("[200, 400]", "200"))
    runner.run_study(study, home / "out", spec_folder=home)
    write_report(home / "out", study)
    assert not (home / "out" / "fits.csv").read_text().splitlines()[1:]


def test_a_fault_in_code_from_outside_is_told_where_it_is_in_a_line(home, capsys):
    path = home / "own.toml"
    path.write_text("algorithm = 'own_values:BROKEN'\n[mixture]\nd = 3\n[stream]\nn = 9\nrate = 0.1\nstart = 0.1")
    assert cli.main(["run", str(path), "--out", str(home / "out")]) == 2
    line = OWN.splitlines().index('    return pulled(state, sample.x[None] * (1 - params["less"]), won, move)') + 1
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == f"jgmm: {home / 'own_values.py'}:{line}, in shorter: KeyError: 'less'"
    )


def test_a_fault_of_ours_is_nobody_elses():
    with pytest.raises(ZeroDivisionError) as caught:
        named.load("algorithm", "lloyd").estimates(1 / 0)
    assert outside.blame(caught.value) is None
