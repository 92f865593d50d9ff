"""A folder opened from Python: frames, arrays, figures and comparisons of what is stored, and nothing written."""

import shutil
import sys

import folders
import numpy as np
import pytest
from made_cells import FLOOR, LINE, MAP, SAME, made, results, results_of, study, usual
from matplotlib import pyplot
from numpy.testing import assert_allclose

import jgmm
from jgmm.results import arrays, compared, notebook, page
from jgmm.results.opened import Opened
from jgmm.study import ownership, spec
from jgmm.study.folder import records, seal


@pytest.fixture
def strict():
    """pandas and xarray promote as NumPy does."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return folders.finished(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def folder(kept, tmp_path):
    return shutil.copytree(kept, tmp_path / "study")


def opened(text, folder="nowhere", kind=usual, **changes):
    """A folder's value whose cells are made by hand."""
    found = results(text, kind, **changes)
    value = Opened(folder, found.study)
    value.results = found
    return value


def cell_errors(errors, **changes):
    """A cell of one checkpoint whose runs have these errors."""
    (cell,) = spec.cells(study(LINE.replace("[100, 200, 400]", "100"), **changes))
    item = made(cell, len(errors))
    at_end = np.stack([np.ones(len(errors)), errors], axis=1).astype(np.float32)
    return item._replace(values={**item.values, "error_sq": at_end})


# --- a folder ---


def test_to_open_a_folder_and_to_read_all_of_it_writes_nothing(folder):
    before = folders.bytes_of(folder)
    found = jgmm.open(str(folder))
    found.summary(), found.cells(), found.verdicts(), found.fits(), found.to_xarray(), found._repr_html_()
    assert folders.bytes_of(folder) == before


def test_the_summary_is_that_of_the_file(folder):
    pandas = pytest.importorskip("pandas")
    frame = jgmm.open(folder).summary()
    stored = pandas.read_parquet(folder / "summary.parquet")
    pandas.testing.assert_frame_equal(frame, stored)


def test_verdicts_and_fits_are_those_of_the_files(folder):
    found = jgmm.open(folder)
    for frame, file in ((found.verdicts(), "verdicts.csv"), (found.fits(), "fits.csv")):
        lines = (folder / file).read_text().splitlines()
        assert len(frame) == len(lines) - 1
        assert set(lines[0].split(",")) <= set(frame.columns)


def test_cells_have_their_axes_and_their_last_means():
    frame = opened(LINE).cells()
    assert list(frame["n"]) == [100, 200, 400]
    assert list(frame["separation"]) == [4.0] * 3
    last = opened(LINE).results.final()
    assert list(frame.index) == [row["cell"] for row in last]
    assert list(frame["error_sq_ok_mean"]) == [row["error_sq_ok_mean"] for row in last]


def test_without_pandas_a_line_says_what_to_install(folder, monkeypatch):
    found = jgmm.open(folder)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"^pandas is not installed, .*: pip install 'jgmm\[pandas\]'$"):
        found.cells()
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"pip install 'jgmm\[xarray\]'$"):
        found.to_xarray()


@pytest.mark.parametrize(("folder", "message"), [(3, "folder is 3, expected a path"), ("no", "no holds no study.toml")])
def test_what_is_no_study_s_folder_is_refused(folder, message):
    with pytest.raises(ValueError, match=message):
        jgmm.open(folder)


def test_runs_that_are_missing_are_told_and_shown(folder):
    for path in (folder / "cells").iterdir():
        path.unlink()
    found = jgmm.open(folder)
    with pytest.raises(ValueError, match="holds 0 of 4 runs"):
        found.summary()
    assert "holds 0 of 4 runs" in found._repr_html_()


def test_a_star_takes_no_name_of_python_s_own():
    assert "open" not in jgmm.__all__
    assert "open" in dir(jgmm)


# --- running ---


def test_what_a_run_returns_is_what_was_done_and_the_folder(tmp_path, monkeypatch):
    folders.make_up(monkeypatch)
    done = jgmm.run_study(folders.tiny(), str(tmp_path / "out"))
    assert (done.computed, done.reused, done.left) == (4, 0, 0)
    assert len(done.cells()) == 1
    assert "4 computed, 0 reused, 0 left" in str(done)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = done.nothing_of_the_kind
    with pytest.raises(AttributeError, match="computed"):
        _ = jgmm.open(tmp_path / "out").computed


def test_a_verdict_read_off_a_run_is_a_look_and_one_of_an_opened_folder_is_none(tmp_path, monkeypatch):
    folders.make_up(monkeypatch)
    out = tmp_path / "out"
    looks = []
    for runs in (4, 8):
        done = jgmm.run_study(folders.tiny(runs), out)
        assert list(jgmm.open(out).verdicts()["look"]) == [len(looks) + 1]
        looks += list(done.verdicts()["look"])
    assert looks == [1, 2]
    assert [look["runs"] for look in records.looks(out)] == [4, 8]


# --- arrays ---


def test_a_grid_is_an_array_over_the_axes_that_vary():
    found = opened(MAP)
    data = found.to_xarray()
    assert dict(data.sizes) == {"separation": 3, "seeding.graph_points": 3, "samples": 1}
    row = found.results.final()[5]
    there = data.sel({"separation": row["separation"], "seeding.graph_points": row["graph_points"]}).squeeze()
    assert_allclose([there["error_sq"], there["error_sq_se"]], [row["error_sq_ok_mean"], row["error_sq_ok_se"]])


def test_an_axis_that_another_decides_is_a_coordinate_along_it():
    walked = LINE.replace("separation = 4.0", "separation = [4.0, 5.0, 6.0]")
    data = opened('together = ["n", "separation"]\n' + walked).to_xarray()
    assert dict(data.sizes) == {"separation": 3, "samples": 4}
    assert list(data["n"].values) == [100, 200, 400]
    assert data["n"].dims == ("separation",)


def test_parts_that_differ_in_their_algorithm_alone_are_an_axis_of_algorithms():
    data = opened(SAME.replace('rate = ["paper", 0.05]', 'rate = "paper"')).to_xarray()
    assert "algorithm" in data.sizes
    assert data["part"].dims == ("algorithm",)


def test_what_no_cell_has_is_nan():
    data = opened(LINE).to_xarray()
    assert np.isfinite(data["error_sq"].sel(n=200, samples=200))
    assert np.isnan(data["error_sq"].sel(n=200, samples=400))


# --- figures ---


def test_means_are_drawn_on_the_caller_s_axes():
    found = opened(LINE)
    figure, axes = pyplot.subplots()
    assert found.plot("error_sq", "n", axes) is axes
    means = [row["error_sq_ok_mean"] for row in found.results.final()]
    (drawn,) = [line for line in axes.get_lines() if line.get_marker() == "o" and len(line.get_xdata()) == 3]
    assert_allclose(drawn.get_xydata(), np.transpose([[100, 200, 400], means]))
    pyplot.close(figure)


@pytest.mark.parametrize(("against", "quantity"), [("samples", "error_max"), ("separation", "error_sum")])
def test_a_figure_of_its_own_has_a_name_on_each_axis(against, quantity):
    axes = opened(FLOOR).plot(quantity, against)
    assert axes.get_ylabel() == quantity
    assert axes.get_xlabel()
    pyplot.close(axes.figure)


def with_states(cell, seed):
    """A cell of three components whose first 4 runs, and one more for each seed, end with a local minimum."""
    item = made(cell, 10, seed=seed)
    counts = np.ones((3, 10, len(item.samples)), np.float32)
    counts[:, : 4 + seed, -1] = np.array([[2], [1], [0]])
    return item._replace(values={**item.values, **{f"holds_{i}": row for i, row in enumerate(counts, 1)}})


STATES = LINE.replace("k = 2", "k = 3") + 'measure = "holds"\n'


def drawn_points(axes):
    line = max(axes.get_lines(), key=lambda line: (line.get_marker() == "o") * len(line.get_xdata()))
    pyplot.close(axes.figure)
    return line.get_xydata()


def test_shares_of_runs_are_drawn_with_exact_intervals():
    found = opened(STATES, kind=with_states)
    assert_allclose(drawn_points(found.plot("2+1+0", "n")), [[100, 0.4], [200, 0.5], [400, 0.6]])
    last = [row["converged"] for row in found.results.final()]
    assert_allclose(drawn_points(found.plot("converged", "n"))[:, 1], last)
    one = opened(STATES.replace("[100, 200, 400]", "100"), kind=with_states)
    axes = one.plot("1+1+1")  # at the start all runs have this state, at the end 6 of 10
    assert axes.get_ylabel() == "share of runs: 1+1+1"
    assert axes.get_yscale() == "linear"
    (bars,) = [drawn for drawn in axes.collections if len(drawn.get_segments()) == 2]
    assert_allclose(bars.get_segments()[1][:, 1], [0.26237808, 0.87844774], rtol=1e-6)  # Clopper and Pearson
    assert_allclose(drawn_points(axes)[:, 1], [1, 0.6])


def test_a_state_that_no_run_of_some_cells_ends_in_has_a_share_of_0_there():
    found = opened(STATES, kind=lambda cell, seed: with_states(cell, seed) if seed else none(cell))
    assert_allclose(drawn_points(found.plot("2+1+0", "n"))[:, 1], [0, 0.5, 0.6])


def none(cell):
    item = with_states(cell, 0)
    return item._replace(values={name: np.ones_like(values) for name, values in item.values.items()})


def test_settings_that_are_not_drawn_are_counted():
    axes = opened(LINE.replace("rate = 0.05", "rate = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08]")).plot(
        against="n"
    )
    assert axes.get_legend().get_title().get_text() == "7 of 8 settings"
    pyplot.close(axes.figure)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"quantity": "errors"}, "quantity is 'errors', expected one of 'error_sq', .*'converged'$"),
        ({"quantity": "law_error_sq"}, "quantity is 'law_error_sq', expected one of 'error_sq'"),
        ({"quantity": "2+0"}, r"quantity is '2\+0', expected one of 'error_sq', .*'converged'$"),
        ({"against": "k"}, "against is 'k', expected one of 'samples', 'n'"),
        ({"axes": 3}, "axes is 3, expected a Axes"),
    ],
)
def test_what_cannot_be_drawn_is_said(given, message):
    with pytest.raises(ValueError, match=message):
        opened(LINE).plot(**given)


def test_a_notebook_shows_the_verdict_and_a_figure_and_obeys_nothing(folder):
    found = opened(FLOOR, folder)
    found.study = found.study.model_copy(update={"name": "<script>"})
    shown = found._repr_html_()
    assert "Theorem 1" in shown
    assert "data:image/svg+xml;base64," in shown
    assert "<script>" not in shown


# --- two folders ---

PAIRS = compared.Pairing(True, "pairs")
APART = compared.Pairing(False, "apart")


def compare(a, b, pairs):
    """Two studies of one cell each, whose runs have these errors."""
    first, second = (results_of(study(LINE, runs=len(x)), [cell_errors(x)]) for x in (a, b))
    (found,) = compared.compare(first, second, "error_sq", pairs)
    return found


def test_by_hand_pairs_differ_by_less_than_their_runs_do():
    a, b = np.array([1.0, 2.0, 3.0, 6.0]), np.array([2.0, 3.0, 4.0, 7.0])
    found = compare(a, b, PAIRS)  # of two centres: an error of one is the half
    assert found[6:12] == pytest.approx((1.5, 0.5400617248673217, 2.0, 0.5400617248673217, 0.5, 0.0), abs=1e-12)
    assert found.correlation == pytest.approx(1.0)
    assert (found.runs, found.pairing, found.axis) == (4, "pairs", "")


def test_by_hand_independent_means_have_the_errors_of_both():
    a, b = np.array([1.0, 3.0]), np.array([2.0, 4.0, 6.0])
    found = compare(a, b, APART)
    se = (0.5, np.sqrt(1 / 3))  # of halves: 1 and 2 with sd 1/sqrt(2) and 1 over 2 and 3 runs
    assert (found.difference, found.ratio) == pytest.approx((1.0, 2.0))
    assert found.difference_se == pytest.approx(np.hypot(*se))
    assert found.ratio_se == pytest.approx(2 * np.hypot(se[0], se[1] / 2))
    assert np.isnan(found.correlation)
    assert found.runs == 5


def test_pairs_are_of_the_runs_that_both_have():
    found = compare(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0]), PAIRS)
    assert (found.runs, found.first_mean) == (2, 0.75)


def test_shares_of_all_runs_are_compared_in_pairs():
    first, second = (results(STATES, kind) for kind in (with_states, lambda cell, seed: with_states(cell, 1 + seed)))
    (found, *_) = compared.compare(first, second, "2+1+0", PAIRS)  # 4 and 5 of 10 runs, the 4 among the 5
    assert found[6:9:2] == pytest.approx((0.4, 0.5))
    assert found.difference == pytest.approx(0.1)
    assert found.difference_se == pytest.approx(0.1)  # of nine 0 and a 1
    assert found.ratio == pytest.approx(1.25)
    failed = first._replace(data=[item._replace(ok=np.arange(10) > 2) for item in first.data])
    assert compared.compare(failed, second, "2+1+0", PAIRS)[0].runs == 10
    assert compared.compare(failed, second, "error_sq", PAIRS)[0].runs == 7
    with pytest.raises(ValueError, match="expected one of 'error_sq', .*'converged', .*'2.1.0'"):
        compared.compare(first, second, "3+0", PAIRS)
    other = results(STATES.replace('measure = "holds"', ""))  # whose runs do not say where they ended
    with pytest.raises(ValueError, match="quantity is '2.1.0', expected one of 'error_sq', .*'converged'$"):
        compared.compare(first, other, "2+1+0", PAIRS)


def test_a_cell_is_compared_with_the_one_that_agrees_or_else_with_all_that_differ_on_one_axis():
    near, far = results(SAME), results(SAME.replace("separation = 4.0", "separation = 5.0"))
    same = compared.matched(near.data, near.data)
    assert [(match.first.id, match.axis) for match in same] == [(item.id, "") for item in near.data]
    others = compared.matched(near.data, far.data)
    assert {match.axis for match in others} == {"separation"}
    assert len(others) == len(near.data)
    lloyd, em = ([item for item in near.data if item.cell.part == part] for part in ("lloyd", "em"))
    by_algorithm = compared.matched(lloyd, em)
    assert {match.axis for match in by_algorithm} == {"algorithm"}
    assert all(match.first.cell.n == match.second.cell.n for match in by_algorithm)


def test_studies_without_a_setting_in_common_are_not_compared():
    with pytest.raises(ValueError, match="agrees with one of"):
        compared.compare(results(LINE), results(MAP), "error_sq", APART)


def test_folders_of_one_seed_are_compared_in_pairs_and_of_two_are_not(folder, tmp_path, monkeypatch):
    folders.make_up(monkeypatch)
    folders.go(tmp_path / "other", runs=4, seed=1)
    same = jgmm.open(folder).compare(folder)
    assert list(same["pairing"]) == ["the same runs in pairs: seed 0"]
    assert list(same["difference_se"]) == [0.0]
    other = jgmm.open(folder).compare(jgmm.open(tmp_path / "other"))
    assert list(other["pairing"]) == ["independent runs: seeds 0 and 1"]
    assert other["difference_se"][0] > 0


def test_folders_are_merged_and_what_is_joined_is_opened(tmp_path, monkeypatch):
    folders.make_up(monkeypatch)
    for number in (1, 2):
        jgmm.run_study(folders.tiny(8), tmp_path / str(number), share=(number, 2))
    joined = jgmm.open(tmp_path / "1").merge([tmp_path / "2"], tmp_path / "whole")
    assert list(joined.cells()["runs"]) == [8]
    with pytest.raises(ValueError, match="others is '2', expected a list of folders"):
        joined.merge("2", tmp_path / "whole")
    assert ownership.runs(tmp_path / "whole") == 8


# --- progress ---


class Handle:
    def __init__(self, shown):
        self.shown = shown

    def update(self, text, *, raw):
        self.shown.append(text["text/plain"])


@pytest.fixture
def shown(monkeypatch):
    """What a notebook shows: a shell with a kernel, whose display keeps the texts."""
    display = pytest.importorskip("IPython.display")
    texts = []

    def keep(text, *, raw, display_id):
        texts.append(text["text/plain"])
        return Handle(texts)

    monkeypatch.setattr(display, "display", keep)
    monkeypatch.setattr("builtins.get_ipython", lambda: type("Shell", (), {"kernel": 1}), raising=False)
    return texts


def test_a_notebook_shows_one_line_now_and_then_and_its_end(shown, monkeypatch):
    assert notebook.in_notebook()
    clock = iter([0.0, 0.0, 0.1, 1.0, 1.01])
    monkeypatch.setattr(notebook.time, "perf_counter", lambda: next(clock))
    line = notebook.Line()
    for done in (0, 1e6, 2e6, 4e6):
        line("1 of 2 cells; lloyd", done, 4e6)
    assert shown == [
        "1 of 2 cells; lloyd: 0 of 4 M samples, 0 M/s, compiling",
        "1 of 2 cells; lloyd: 2 of 4 M samples, 2 M/s, 1 s left",
        "1 of 2 cells; lloyd: 4 of 4 M samples, 4 M/s, 0 s left",
    ]


def test_a_study_shows_its_progress_in_a_notebook_and_nowhere_else(shown, tmp_path, monkeypatch):
    jgmm.run_study(folders.tiny(2), tmp_path / "a")
    assert shown
    assert shown[-1].startswith("0 of 1 cells; ")
    shown.clear()
    monkeypatch.setattr("builtins.get_ipython", lambda: type("Terminal", (), {}))
    jgmm.run_study(folders.tiny(2), tmp_path / "b")
    assert not shown


# --- what no other test would see ---


def test_a_folder_that_names_code_of_its_own_is_opened_with_trust_alone(folder):
    path = folder / "study.toml"
    path.write_text(
        seal.text(seal.read_text(path).replace('algorithm = "lloyd"', 'algorithm = "no_such_module:THING"'))
    )
    with pytest.raises(ValueError, match="names code of its own .*expected --trust"):
        jgmm.open(folder)
    with pytest.raises(ValueError, match="trust is 'yes', expected"):
        jgmm.open(folder, trust="yes")


def test_fits_have_the_falls_of_floors_too():
    frame = opened(
        FLOOR, kind=lambda cell, seed: made(cell, 64, seed=seed, error=np.exp(-(cell.separation**2) / 8))
    ).fits()
    assert "exp(C^2)" in set(frame["axis"])


def test_runs_of_one_seed_that_other_generators_drew_are_no_pairs(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    text = seal.read_text(other / "study.toml")
    assert "canary" in text
    (other / "study.toml").write_text(seal.text(text.replace("canary = [", "canary = [\n    7,", 1)))
    found = compared.pairing((folder, other), (0, 0))
    assert found == (False, "independent runs: other versions drew them")


def test_a_pair_counts_where_both_of_its_runs_are_good():
    first = results(LINE.replace("[100, 200, 400]", "100"))
    second = first._replace(data=[item._replace(ok=np.arange(64) > 3) for item in first.data])
    assert [compared.compare(*both, "error_sq", PAIRS)[0].runs for both in ((first, second), (second, first))] == [
        60
    ] * 2


def test_a_cell_that_has_its_own_partner_has_no_other():
    first, second = (results(LINE.replace("[100, 200, 400]", n)).data for n in ("[100, 200]", "[100, 400]"))
    found = [(match.first.cell.n, match.second.cell.n) for match in compared.matched(first, second)]
    assert found == [(100, 100), (200, 400)]


def test_axes_and_series_go_by_size_however_a_spec_lists_them():
    found = opened(LINE.replace("[100, 200, 400]", "[400, 100, 200]"))
    assert list(found.to_xarray()["n"].values) == [100, 200, 400]
    assert list(drawn_points(found.plot(against="n"))[:, 0]) == [100, 200, 400]


def test_axes_that_are_walked_together_are_one_series():
    walked = LINE.replace("separation = 4.0", "separation = [3.0, 4.0, 5.0]")
    found = opened(f'together = ["n", "separation"]\n{walked}')
    assert len(found.results.data) == 3
    assert len(drawn_points(found.plot(against="n"))) == 3


def test_cells_in_one_place_and_arrays_without_end_are_refused(monkeypatch):
    found = opened(LINE)
    first = found.results.data[0]
    twice = results_of(found.study, [first, first])
    with pytest.raises(ValueError, match="two cells have the same value on every axis"):
        arrays.dataset(twice)
    monkeypatch.setattr(arrays, "MOST", 8)
    with pytest.raises(ValueError, match="the cells span 3 x 4 places, expected at most 8e.00"):
        found.to_xarray()


def test_laws_and_bounds_are_of_the_squared_error_alone():
    def named(quantity):
        axes = opened(LINE).plot(quantity, "n")
        pyplot.close(axes.figure)
        return {text.get_text() for text in axes.get_legend().get_texts()}

    assert named("error_max") < named("error_sq")


def test_a_text_that_may_be_anybodys_is_no_markup():
    assert page.paragraph("a <b> & c") == "<p>a &lt;b&gt; &amp; c</p>"
