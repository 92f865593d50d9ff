"""What a study's report shows and says, from cells made by hand: no stream is run here."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from jgmm import terminal
from jgmm.commands.closing import print_closing
from jgmm.report import comparison, csv_files, drawing, figures
from jgmm.report.headline import table_of_cells
from jgmm.report.results import Results
from jgmm.report.write import publish
from jgmm.study import grid, settings, spec
from jgmm.study import summary as analysis
from jgmm.study.folder import records, seal
from jgmm.study.read import CellData


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


def study(text, **changes):
    return spec.parse(text, source="odd", folder=Path(), default_name="odd").model_copy(update=changes)


def made(cell, runs=16, *, error=None, ok=None, seed=0):
    """A stored cell: chi-square errors about `error` at every checkpoint (its mean), runs that are not `ok` failed."""
    draws = np.random.default_rng(seed)
    samples = np.array([0, *cell.checkpoints]) if cell.checkpoints else np.array([cell.n])
    shape = (runs, len(samples))
    error = (1.0 / np.maximum(samples, 10)) if error is None else error
    sq = (error * draws.chisquare(4, shape) / 4).astype(np.float32)
    good = np.isfinite(sq).all(axis=1) & (np.ones(runs, bool) if ok is None else np.asarray(ok))
    with np.errstate(over="ignore", invalid="ignore"):
        values = {"error_sq": sq, "error_sum": np.sqrt(sq * cell.k), "error_max": np.sqrt(sq)}
    lost = np.zeros(shape, np.float32)
    lost[~good] = 1
    seeded = cell.seeding is not None
    width = cell.k * min(cell.k - 1, cell.d)
    return CellData(
        cell=cell,
        id=cell.identifier(0, False),
        samples=samples,
        values={**values, "lost": lost},
        twin=None,
        ok=good,
        realised_separation=np.full(runs, cell.separation if cell.k > 1 else np.inf),
        largest_mean=np.full(runs, cell.separation),
        components=np.where(good, cell.k, 1).astype(np.float32) if seeded else None,
        displacement=draws.normal(0.1, 0.1, (runs, width)) if cell.displacement else None,
        twin_displacement=None,
        example=None,
    )


def cells_of(text, **how):
    return [made(cell, seed=index, **how) for index, cell in enumerate(spec.cells(study(text)))]


# --- the terminal ---

WIDE = """
[mixture]
k = [2, 3]
d = 10
scales = ["equal"]
layout = "simplex"
separation = 12.0
[stream]
n = [1000000, 16777216]
rate = [0.0123456, 0.0123457]
start = 0.5
checkpoints = 1
"""


def results(data):
    return Results(study(LINE), data, [row for item in data for row in analysis.summarize(item)])


def headline(text, **how):
    data = cells_of(text, **how)
    return table_of_cells(results(data))


def printed(width, table):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    how = {"dropped": table.dropped, "wrapped": table.wrapped}
    terminal.table(console, table.columns, table.rows, **how)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_a_table_fits_any_terminal_with_its_numbers_whole_or_its_columns_said(width):
    table = headline(WIDE, error=np.array([0.1, 123.456]))
    said = printed(width, table)
    lines = said.splitlines()
    assert all(cell_len(line) <= width for line in lines if "│" in line or "┃" in line)
    gone = said[said.index("left out") :] if "left out" in said else ""
    if width == 20:
        assert "no table" in said
        return
    body = [[text.strip() for text in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert len(body) == len(table.rows)  # no row is folded into two
    named = [text.strip() for text in next(line for line in lines if "┃" in line).split("┃")[1:-1]]
    told = re.split("; |: |, ", " ".join(gone.split()))
    for index, name in enumerate(table.columns):
        assert (name in named) != (name in told), name
        if name in named:
            assert [row[named.index(name)] for row in body] == [row[index] for row in table.rows]
    assert "error_sq" in named
    assert "kept" in named


def test_columns_that_do_not_vary_go_first():
    said = printed(80, headline(WIDE))
    assert "1000000" in said
    assert "16777216" in said
    assert "cell, " in said[said.index("left out") :]
    assert "0.0123456" in said


def test_words_break_between_words_and_only_there():
    rows = [("a quantity with a long name", "1234567", "its remark has 12345678 and more words than there is room for")]
    console = Console(width=50, file=io.StringIO())
    terminal.table(console, ("quantity", "value", "remark"), rows, dropped=(), wrapped=("quantity", "remark"))
    said = console.file.getvalue()
    assert all(cell_len(line) <= 50 for line in said.splitlines())
    assert "1234567" in said
    assert "12345678" in said


@pytest.mark.parametrize(
    "text", ["[/]", "[bold]x", "\x1b[31mred", "two\nlines", "\u202egnp.exe", "\udcff", ":smile:\\"]
)
def test_nothing_that_a_path_or_a_reason_holds_is_obeyed(text):
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system=None)
    terminal.say(console, text)
    said = console.file.getvalue()
    assert said == terminal.clean(text) + "\n"
    said.encode()
    assert not set(said[:-1]) & set("\x1b\n\r\u202e")
    terminal.table(console, ("name",), [(text,)], dropped=())
    assert terminal.clean(text) in console.file.getvalue()


# --- every axis in every name ---


AXES = {
    "k": [2, 3],
    "d": [3, 4],
    "sigma": [1.0, 2.0],
    "weights": [[0.5, 0.5], [0.6, 0.4]],
    "scales": [[1.0, 1.0], [1.0, 0.5]],
    "separation": [4.0, 5.0],
    "noise": ["gaussian", "uniform"],
    "start": [0.1, 0.2],
    "n": [1000, 2000],
    "rate": ["paper", 0.01],
    "average": [0.0, 0.5],
    "beta": [1.0, 2.0],
    "seeding.n": [300, 400],
    "seeding.block": [10, 20],
    "seeding.graph_points": [20, 30],
    "seeding.neighbors": [3, 4],
    "seeding.method": ["block", "oja"],
}
COLUMNS = {"seeding.n": "seeding_n"}  # of summary.csv, where they are not the axis's last word


def along(axis):
    """Two cells that differ along an axis."""
    seeded = axis.startswith("seeding")
    tables = {
        "mixture": {"layout": "simplex", "d": 3},
        "stream": {"n": 1000, "checkpoints": 1, "start": "seeding" if seeded else 0.1},
        "seeding": {"n": 300, "block": 10, "graph_points": 20} if seeded else {},
        "em": {},
    }
    table = "seeding" if seeded else "em" if axis == "beta" else "mixture" if axis in MIXTURE else "stream"
    tables[table][axis.rpartition(".")[2]] = AXES[axis]
    algorithm = "soft" if axis == "beta" else "lloyd"
    found = spec.cells(spec.Study(name="odd", part=[{"algorithm": algorithm, **tables}]))
    return [made(cell, seed=index) for index, cell in enumerate(found)]


MIXTURE = set(spec.MixtureSpec.model_fields)


def test_every_axis_of_a_spec_has_a_heading_and_an_example_here():
    axes = {axis for name in ("lloyd", "soft") for axis in grid.axes(spec.Part(algorithm=name))}
    assert axes == set(AXES) <= set(settings.HEADINGS)


@pytest.mark.parametrize("axis", AXES)
def test_an_axis_that_varies_is_a_column_and_in_every_name(axis):
    data = along(axis)
    assert len(data) == 2
    assert axis in settings.varying(item.cell for item in data)
    rows = [row for item in data for row in analysis.summarize(item)]
    table = table_of_cells(Results(study(LINE), data, rows))
    heading = settings.HEADINGS[axis]
    column = [row[table.columns.index(heading)] for row in table.rows]
    assert len(set(column)) == 2
    assert table.dropped.index(heading) > table.dropped.index("law")
    names = {settings.words(item.cell, settings.varying(i.cell for i in data)) for item in data}
    assert len(names) == 2
    assert all(f"{heading}=" in name for name in names)
    assert len({settings.where(item.cell) for item in data}) == 2  # in sentences, too
    summary = COLUMNS.get(axis, axis.rpartition(".")[2])
    told = {(row[summary], row["rate_name"]) if axis == "rate" else row[summary] for row in rows}
    assert len(told) == 2


def test_equal_weights_and_scales_are_one_place_whatever_k_and_sigma_are():
    data = cells_of("[mixture]\nk = [2, 3]\nsigma = [1.0, 2.0]\nlayout = 'simplex'\n[stream]\nn = 1000\nstart = 0.1")
    assert settings.varying(item.cell for item in data) == ["k", "sigma"]


# --- csv ---


@pytest.mark.parametrize("text", ["=HYPERLINK(1).npy", "+1", "-1+1", "@SUM(1)", "\t=1"])
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe_and_numbers_stay(text, tmp_path):
    assert csv_files.harmless(text) == f"'{text}"
    assert csv_files.harmless(-1.5) == -1.5
    assert csv_files.harmless("plain = text") == "plain = text"


# --- odd cells ---

LINE = """
[mixture]
k = 2
d = 3
layout = "simplex"
separation = 4.0
[stream]
n = [100, 200, 400]
rate = 0.05
start = 0.1
checkpoints = 1
"""
FLOOR = """
theorem = 1
[mixture]
k = 2
d = 3
layout = "simplex"
separation = [3.0, 4.0, 5.0]
[stream]
n = 400
rate = 0.05
start = 0.1
checkpoints = 1
displacement = true
"""
ON_THE_WAY = LINE.replace("n = [100, 200, 400]", "n = 400").replace("checkpoints = 1", "checkpoints = 5")
MAP = """
[stream]
n = 0
[mixture]
k = 2
d = 3
layout = "simplex"
separation = [4.0, 6.0, 9.0]
[seeding]
n = 300
block = 10
graph_points = [20, 30, 40]
"""
SAME = """
theorem = "none"
[mixture]
k = 2
d = 3
layout = "symmetric"
separation = 4.0
[stream]
n = [100, 400]
start = 0.1
checkpoints = 1
[[part]]
name = "lloyd"
stream = { rate = ["paper", 0.05] }
[[part]]
name = "soft"
algorithm = "soft"
[[part]]
name = "em"
algorithm = "em"
[[part]]
name = "oracle"
algorithm = "oracle"
"""
ONE = LINE.replace("n = [100, 200, 400]", "n = 400")
AVERAGED = ONE + "average = [0.0, 0.25, 0.5]"
STUDIES = {"line": LINE, "floor": FLOOR, "way": ON_THE_WAY, "map": MAP, "same": SAME, "averaged": AVERAGED, "one": ONE}


def none_good(cell, seed):
    return made(cell, seed=seed, ok=np.zeros(16, bool))


def not_finite(cell, seed):
    return made(cell, seed=seed, error=np.inf)


def some_not_finite(cell, seed):
    item = made(cell, 64, seed=seed)
    item.values["error_sq"][::3] = np.inf
    item.values["error_sq"][::5] = np.nan
    return item._replace(ok=np.isfinite(item.values["error_sq"]).all(axis=1))


def zero(cell, seed):
    return made(cell, seed=seed, error=0.0)


def some_zero(cell, seed):
    return made(cell, seed=seed, error=None if seed % 2 else 0.0)


def huge(cell, seed):
    return made(cell, seed=seed, error=1e37)


def few_good(cell, seed):
    return made(cell, seed=seed, ok=np.arange(16) < 1 + seed % 3)


def other_runs(cell, seed):
    return made(cell, 4 + 12 * (seed % 3), seed=seed)


def equal_runs(cell, seed):
    item = made(cell, seed=seed)
    return item._replace(values={name: np.ones_like(values) for name, values in item.values.items()})


def with_twin(cell, seed):
    item = made(cell, seed=seed)
    sq = item.values["error_sq"].astype(float)
    return item._replace(twin={"twin_error_sq": sq, "twin_mean_sq": np.broadcast_to(sq.mean(axis=0), sq.shape)})


def failed_with_twin(cell, seed):
    twin = np.full(none_good(cell, seed).values["error_sq"].shape, np.nan)
    return none_good(cell, seed)._replace(twin={"twin_error_sq": twin, "twin_mean_sq": twin})


def usual(cell, seed):
    return made(cell, 64, seed=seed)


def one_run(cell, seed):
    return made(cell, 1, seed=seed)


def two_runs(cell, seed):
    return made(cell, 2, seed=seed)


KINDS = [usual, one_run, two_runs, few_good, none_good, not_finite, some_not_finite, zero, some_zero, huge, other_runs]
KINDS += [equal_runs, with_twin, failed_with_twin]


def published(folder, text, kind, **changes):
    asked = study(text, runs=1, **changes)
    data = [kind(cell, seed) for seed, cell in enumerate(spec.cells(asked))]
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(seal.text(""))
    return publish(folder, asked, data, [])


@pytest.fixture
def laid_out(monkeypatch):
    """Figures are laid out and kept, not painted: that takes most of a report's time."""
    figures = {}

    def save(made, path):
        made.draw_without_rendering()
        records.write_figure(path, lambda file: file.write(PIXEL))
        figures[path.stem] = made
        return path

    monkeypatch.setattr(drawing, "save", save)
    return figures


PIXEL = bytes.fromhex("89504e470d0a1a0a")


QUICK = (few_good, none_good, not_finite, some_zero)
ODD = [pytest.param(kind, id=kind.__name__, marks=() if kind in QUICK else pytest.mark.slow) for kind in KINDS]


@pytest.mark.parametrize("kind", ODD)
def test_no_cell_is_odd_enough_to_fail_a_report(kind, tmp_path, capsys, laid_out):
    for name, text in STUDIES.items():
        folder = tmp_path / name
        written = published(folder, text, kind)
        page = (folder / "report.html").read_text(encoding="utf-8")
        for column in ("± nan", "nan ±", ">nan<", "nan to", "[nan", ">inf<", ">None<", "None ±", "± None"):
            assert column not in page, (name, column)
        assert "nan" not in (folder / "summary.csv").read_text()
        print_closing(written)
        said = capsys.readouterr().out
        assert "nan" not in re.sub(r"\w*nan\w+|\w+nan\w*", "", said), name
        for word in written.left_out:
            assert word in " ".join(said.split())
            assert word.replace("'", "&#39;") in page


# --- figures ---


def boxes(made):
    """Where the legends, the ticks' labels and other texts of a figure are, in pixels, and the figure's own box."""
    made.draw_without_rendering()
    renderer = made._get_renderer()
    legends = [one.get_window_extent(renderer) for one in made.legends]
    ticks = [
        [label.get_window_extent(renderer) for label in axes.get_xticklabels() if label.get_text()]
        for axes in made.axes
    ]
    texts = [[text.get_window_extent(renderer) for text in axes.texts] for axes in made.axes]
    return made.bbox, legends, ticks, texts


def inside(outer, inner):
    across = outer.x0 - 1 <= inner.x0 and inner.x1 <= outer.x1 + 1
    return across and outer.y0 - 1 <= inner.y0 and inner.y1 <= outer.y1 + 1


RATES = [f"{0.01 + 0.002 * i:.3f}" for i in range(27)]


def test_a_part_is_named_where_another_has_the_same_algorithm_and_step():
    text = ONE.replace("rate = 0.05\n", "") + '[[part]]\nname = "a"\n[[part]]\nname = "b"\n[[part]]\nname = "c"\n'
    data = cells_of('theorem = "none"\n' + text + "stream = { rate = 0.05 }")
    assert comparison.names(data) == ["a: lloyd paper", "b: lloyd paper", "lloyd 0.05"]
    assert comparison.names(data[1:]) == ["lloyd paper", "lloyd 0.05"]


@pytest.mark.parametrize("count", [3, 8, 30])
def test_a_comparison_of_any_number_of_settings_can_be_read(count, tmp_path, laid_out):
    rates = ", ".join(RATES[: max(count - 3, 0)] or ['"paper"'])
    text = SAME.replace('"paper", 0.05', rates)
    if count == 3:
        text = text[: text.index('[[part]]\nname = "oracle"')]
    written = published(tmp_path / "out", text, usual)
    made = laid_out["comparison"]
    whole, legends, _, (texts,) = boxes(made)
    assert all(inside(whole, box) for box in (*legends, *texts))
    assert not any(a.overlaps(b) for i, a in enumerate(texts) for b in texts[:i])
    named = sum(len(one.get_texts()) for one in made.legends) - 1 + len(texts)  # less that of the Cramér-Rao bound
    assert named == min(count, comparison.LABELLED)
    (caption,) = (caption for path, caption in written.figures if path.stem == "comparison")
    assert ("24 of 30 settings shown" in caption) == (count == 30)


TICKS = """
[mixture]
k = 4
d = 3
layout = "simplex"
separation = 4.0
weights = [[0.25, 0.25, 0.25, 0.25], [0.4, 0.3, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1]]
[stream]
n = [1000000, 1048576, 1100000, 2000000, 2097152, 3000000]
rate = 0.05
start = 0.1
checkpoints = 1
"""


def test_ticks_do_not_collide_and_long_legends_are_not_cut(tmp_path, laid_out):
    published(tmp_path / "out", TICKS, usual)
    whole, legends, ticks, _ = boxes(laid_out["main-n"])
    assert legends
    assert all(inside(whole, box) for box in legends)
    for labels in ticks:
        assert len(labels) >= 2
        assert not any(a.overlaps(b) for i, a in enumerate(labels) for b in labels[:i])


def test_an_average_of_0_has_its_place_on_a_logarithmic_axis(tmp_path, laid_out):
    published(tmp_path / "out", AVERAGED, usual)
    (axes,) = laid_out["main-average"].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.25", "0.5"]
    low, high = axes.get_xlim()
    assert low < 0 < high
    drawn = [list(line.get_xdata()) for line in axes.get_lines() if len(line.get_xdata()) == 3]
    assert [0.0, 0.25, 0.5] in drawn


def captions(written):
    return {path.stem: caption for path, caption in written.figures}


def test_a_caption_promises_what_is_drawn_and_no_theorem_where_there_is_none(tmp_path, laid_out):
    told = captions(published(tmp_path / "with", FLOOR, usual))["main-floor"]
    assert "Theorem 1" in told
    labels = [text.get_text() for text in laid_out["main-floor"].legends[0].get_texts()]
    assert any("Theorem 1" in label for label in labels)
    told = captions(published(tmp_path / "none", FLOOR.replace("theorem = 1", 'theorem = "none"'), usual))["main-floor"]
    assert "Theorem" not in told
    labels = [text.get_text() for text in laid_out["main-floor"].legends[0].get_texts()]
    assert not any("Theorem" in label for label in labels)
    told = captions(published(tmp_path / "way", ON_THE_WAY, usual))["main-samples"]
    assert "law" not in told
    told = captions(published(tmp_path / "twin", ON_THE_WAY.replace("4.0", "30.0"), with_twin))["main-samples"]
    assert "lines: law" in told


def test_points_over_few_runs_are_open_and_have_no_interval_they_cannot_have(tmp_path, laid_out):
    told = captions(published(tmp_path / "out", LINE, few_good))["main-n"]
    (axes,) = laid_out["main-n"].axes
    dots = [line for line in axes.get_lines() if line.get_marker() == "o" and len(line.get_xdata())]
    assert dots
    assert all(line.get_markerfacecolor() == "none" for line in dots)
    assert "open: fewer than 8 good runs" in told
    assert "95 %" not in told
    assert not axes.containers
    told = captions(published(tmp_path / "usual", LINE, usual))["main-n"]
    assert "open" not in told
    assert "95 %" in told


def test_what_a_reader_of_matplotlibrc_has_set_changes_nothing(tmp_path):
    import matplotlib as mpl

    def drawn(folder):
        written = published(folder, ONE + "average = [0.0, 0.25, 0.5]", usual)
        return {path.name: path.with_suffix(".svg").read_bytes() for path, _ in written.figures}

    usual_ones = drawn(tmp_path / "usual")
    own = {"text.usetex": True, "font.family": "serif", "savefig.bbox": "tight", "axes.facecolor": "black"}
    own |= {"figure.facecolor": "black", "lines.linewidth": 9.0, "axes.xmargin": 0.4}
    with mpl.rc_context(own):
        assert drawn(tmp_path / "own") == usual_ones
        assert mpl.rcParams["text.usetex"]


def test_no_two_figures_have_one_name_on_any_disk():
    parts = ["a", "a-seeding", "A", "a-n", "comparison", "x" * 300, "x" * 301]
    found = figures.names(parts)
    assert found["a", "n"] == "a-n"  # as always, where nothing is in its way
    lower = [name.casefold() for name in found.values()]
    assert len(set(lower)) == len(lower) == len(parts) * (len(settings.HEADINGS) + len(figures.OF_PART))
    assert "comparison" not in lower
    assert max(map(len, lower)) < 220
    assert found == figures.names(parts)


# --- the page ---


def test_what_others_wrote_is_escaped_on_the_page(tmp_path, laid_out):
    evil = "<script>alert(1)</script>"
    asked = study(LINE, runs=1, aim=f'"{evil}')
    cells = [cell.model_copy(update={"layout": "=a'><b>.npy"}) for cell in spec.cells(asked)]
    data = [made(cell, seed=seed) for seed, cell in enumerate(cells)]
    folder = tmp_path / f"{evil[:8]} 'x\udcff\n"
    folder.mkdir()
    (folder / "study.toml").write_text(seal.text(""))
    written = publish(folder, asked, data, [evil])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>.npy" not in page
    assert "=a&#39;&gt;&lt;b&gt;.npy" in page
    assert page.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">')
    assert evil in written.ignored
    summary = (folder / "summary.csv").read_text(encoding="utf-8")
    assert "\"'=a'><b>.npy\"" in summary
    assert ',"=a' not in summary


@pytest.mark.parametrize(("kind", "why"), [(none_good, "no cell has a good run"), (zero, "is exactly 0")])
def test_a_figure_of_nothing_is_a_word_instead(kind, why, tmp_path, laid_out):
    written = published(tmp_path / "out", LINE, kind)
    assert not written.figures
    assert not laid_out
    assert any(
        word.startswith("no figure of main, error against horizon N") and why in word for word in written.left_out
    )
    assert any(word.startswith("no exponent of main in N") for word in written.left_out)
