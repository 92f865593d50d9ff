"""Figures can be read, and their captions promise what is drawn."""

import json

import matplotlib as mpl
import pytest
from made_cells import (
    AVERAGED,
    FLOOR,
    LINE,
    MAP,
    ON_THE_WAY,
    ONE,
    SAME,
    curves_of,
    few_good,
    none_good,
    published,
    results,
    usual,
    with_twin,
    zero,
)
from matplotlib.figure import Figure

from jgmm.report import axes, comparison, drawing, figures
from jgmm.study import settings


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


def drawn(text, kind=usual):
    """The figures of a study whose cells are of this kind, by name, not painted; or why there is none."""
    found = results(text, kind)
    with drawing.style():
        return {name: each for name, each in figures.draw_all(found, curves_of(found)) if each is not None}


def test_a_part_is_named_where_another_has_the_same_algorithm_and_step():
    text = ONE.replace("rate = 0.05\n", "") + '[[part]]\nname = "a"\n[[part]]\nname = "b"\n[[part]]\nname = "c"\n'
    data = results('theorem = "none"\n' + text + "stream = { rate = 0.05 }").data
    assert comparison.names(data) == ["a: lloyd paper", "b: lloyd paper", "lloyd 0.05"]
    assert comparison.names(data[1:]) == ["lloyd paper", "lloyd 0.05"]


@pytest.mark.parametrize("count", [3, 8, 30])
def test_a_comparison_of_any_number_of_settings_can_be_read(count):
    rates = ", ".join(RATES[: max(count - 3, 0)] or ['"paper"'])
    text = SAME.replace('"paper", 0.05', rates)
    if count == 3:
        text = text[: text.index('[[part]]\nname = "oracle"')]
    made, caption = drawn(text)["comparison"]
    whole, legends, _, (texts,) = boxes(made)
    assert all(inside(whole, box) for box in (*legends, *texts))
    assert not any(a.overlaps(b) for i, a in enumerate(texts) for b in texts[:i])
    named = sum(len(one.get_texts()) for one in made.legends) - 1 + len(texts)  # less that of the Cramér-Rao bound
    assert named == min(count, comparison.LABELLED)
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


def test_ticks_do_not_collide_and_long_legends_are_not_cut():
    whole, legends, ticks, _ = boxes(drawn(TICKS)["main-n"].figure)
    assert legends
    assert all(inside(whole, box) for box in legends)
    for labels in ticks:
        assert len(labels) >= 2
        assert not any(a.overlaps(b) for i, a in enumerate(labels) for b in labels[:i])


def test_panels_side_by_side_stand_below_each_other_in_a_narrow_version(tmp_path, monkeypatch):
    saved = {}

    def lay_out(figure, file, **how):
        figure.draw_without_rendering()
        whole, legends, ticks, _ = boxes(figure)
        places = [axes.get_position() for axes in figure.axes]
        saved[len(saved)] = (whole.width, whole, legends, ticks, places)

    monkeypatch.setattr(Figure, "savefig", lay_out)
    picture = drawn(TICKS)["main-n"].figure
    assert len(picture.axes) == 2
    drawing.save(picture, tmp_path / "a-n.png")
    assert {path.name for path in tmp_path.glob("a-n.*")} == {"a-n.png", "a-n.svg", "a-n.narrow.svg", "a-n.json"}
    (wide, _, _, _, side_by_side), _, (narrow, whole, legends, ticks, below) = saved.values()
    assert narrow == wide / 2 < 4.6 * 110
    assert side_by_side[0].x1 < side_by_side[1].x0
    assert below[0].y0 > below[1].y1
    assert legends
    assert all(inside(whole, box) for box in legends)
    assert not any(a.overlaps(b) for labels in ticks for i, a in enumerate(labels) for b in labels[:i])


def test_a_figure_of_one_panel_has_no_narrow_version(tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **how: file.write(b"not painted"))
    drawing.save(drawn(MAP)["main-phase"].figure, tmp_path / "a.png")
    assert not (tmp_path / "a.narrow.svg").exists()
    assert json.loads((tmp_path / "a.json").read_text()) == []


@pytest.mark.parametrize(
    ("value", "text"), [(4096, "4096"), (0.25, "0.25"), (1048576, "1.05e6"), (1e-5, "1e-5"), (3e12, "3e12"), (0, "0")]
)
def test_a_tick_is_short(value, text):
    assert axes.tick(value) == text


def test_an_average_of_0_has_its_place_on_a_logarithmic_axis():
    (panel,) = drawn(AVERAGED)["main-average"].figure.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0", "0.25", "0.5"]
    low, high = panel.get_xlim()
    assert low < 0 < high
    lines = [list(line.get_xdata()) for line in panel.get_lines() if len(line.get_xdata()) == 3]
    assert [0.0, 0.25, 0.5] in lines


def test_a_caption_promises_what_is_drawn_and_no_theorem_where_there_is_none():
    made, caption = drawn(FLOOR)["main-floor"]
    assert "Theorem 1" in caption
    assert any("Theorem 1" in text.get_text() for text in made.legends[0].get_texts())
    made, caption = drawn(FLOOR.replace("theorem = 1", 'theorem = "none"'))["main-floor"]
    assert "Theorem" not in caption
    assert not any("Theorem" in text.get_text() for text in made.legends[0].get_texts())
    assert "law" not in drawn(ON_THE_WAY)["main-samples"].caption
    assert "lines: law" in drawn(ON_THE_WAY.replace("4.0", "30.0"), with_twin)["main-samples"].caption


def test_points_over_few_runs_are_open_and_have_no_interval_they_cannot_have():
    made, caption = drawn(LINE, few_good)["main-n"]
    (axes,) = made.axes
    dots = [line for line in axes.get_lines() if line.get_marker() == "o" and len(line.get_xdata())]
    assert dots
    assert all(line.get_markerfacecolor() == "none" for line in dots)
    assert "open: fewer than 8 good runs" in caption
    assert "95 %" not in caption
    assert not axes.containers
    caption = drawn(LINE)["main-n"].caption
    assert "open" not in caption
    assert "95 %" in caption


@pytest.mark.parametrize(("kind", "why"), [(none_good, "no cell has a good run"), (zero, "is exactly 0")])
def test_a_figure_of_nothing_is_a_word_instead(kind, why):
    (word,) = drawn(LINE, kind).values()
    assert word.startswith("no figure of main, error against horizon N")
    assert why in word


def test_a_map_has_the_share_of_each_setting_where_it_stands():
    axes = drawn(MAP)["main-phase"].figure.axes[0]
    shares = axes.get_images()[0].get_array()
    xs, ys = ([float(t.get_text()) for t in labels] for labels in (axes.get_xticklabels(), axes.get_yticklabels()))
    shown = {(x, y): shares[j, i] for i, x in enumerate(xs) for j, y in enumerate(ys)}
    name = {"separation C": "separation", "graph points k0": "seeding.graph_points"}
    found = results(MAP)
    for item, row in zip(found.data, found.final(), strict=True):
        place = dict(item.cell.axes)
        assert shown[place[name[axes.get_xlabel()]], place[name[axes.get_ylabel()]]] == row["theorem3_passed"]
    assert len(set(shown.values())) > 3


def test_what_a_reader_of_matplotlibrc_has_set_changes_nothing(tmp_path):
    def painted(folder):
        written = published(folder, AVERAGED)
        return {path.name: path.with_suffix(".svg").read_bytes() for path, _ in written.figures}

    usual_ones = painted(tmp_path / "usual")
    own = {"text.usetex": True, "font.family": "serif", "savefig.bbox": "tight", "axes.facecolor": "black"}
    own |= {"figure.facecolor": "black", "lines.linewidth": 9.0, "axes.xmargin": 0.4}
    with mpl.rc_context(own):
        assert painted(tmp_path / "own") == usual_ones
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


OVERSPECIFIED = ONE.replace("k = 2", "k = 1").replace("separation = 4.0", "").replace("400", "[100, 200, 400]")
CLAIM = '[claim]\nbound = "d*sigma**2/n"\n'


@pytest.mark.parametrize(
    ("text", "upright", "lines"),
    [
        ('theorem = "none"\n' + LINE, "squared error, sum over centres", "lines: labelled oracle"),
        ('algorithm = "em"\n' + OVERSPECIFIED + CLAIM, "squared error", "claimed bound (constants = 1), mean of all"),
        ('algorithm = "oja"\n' + LINE + CLAIM, "sum of squared sines of angles", "claimed bound (constants = 1); bars"),
    ],
)
def test_axes_and_lines_are_called_what_they_are_for_the_algorithm(text, upright, lines):
    made, caption = drawn(text)["main-n"]
    assert made.axes[0].get_ylabel() == upright
    assert f"mean {upright.split(',')[0]} against" in caption
    assert lines in caption


def test_a_comparison_speaks_of_em_and_of_the_oracle_where_they_are():
    assert "oracle of k centres is at k; an EM estimate uses both halves" in drawn(SAME)["comparison"].caption
    spans = SAME.replace('"lloyd"', '"a"\nalgorithm = "oja"').replace('"paper", 0.05', "0.01, 0.02, 0.05")
    caption = drawn(spans[: spans.index('[[part]]\nname = "soft"')])["comparison"].caption
    assert caption.startswith("On the same streams: N times the squared sine of one angle over sigma^2 d; bars")


def test_a_legend_has_the_signs_of_a_formula():
    assert drawing.formulas("lloyd 3*k*log(n)/n**2") == "lloyd 3·k·log(n)/n^2"


@pytest.mark.parametrize("size", [50000.0, 100000.0, 6.4e6])
def test_an_axis_of_one_size_has_room_on_both_sides(size):
    panel = Figure().subplots()
    axes.scale_x(panel, [size])
    panel.plot([size], [1.0], "o")
    low, high = panel.get_xlim()
    assert low < 0.9 * size
    assert high > 1.1 * size
