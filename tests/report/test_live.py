"""The numbers that the page's script shows are those that a figure shows."""

import json

import numpy as np
import pytest
from made_cells import FLOOR, LINE, MAP, curves_of, made, results, some_zero, usual

from jgmm.report import drawing, figures, live


def drawn(text, kind=usual):
    found = results(text, kind)
    with drawing.style():
        return dict(figures.draw_all(found, curves_of(found))), found


def test_lines_marks_bars_and_names_are_those_of_a_plot_by_hand():
    picture, (axes,) = drawing.figure()
    axes.plot([1, 10], [2.0, np.nan], "o", color="#123456", label="marks")
    axes.plot([1, 10], [3.0, 4.0], "--", color="#654321")
    axes.plot([], [], "--", color="#000000", label="a law")
    axes.errorbar([1.0], [2.0], [[0.5], [1.0]], fmt="none", ecolor="#123456", capsize=2)
    axes.axvline(5.0)
    axes.set(xscale="log", title="by hand", xlabel="N", ylabel="error")
    (panel,) = live.panels(picture)
    assert (panel["title"], panel["x"], panel["y"]) == ("by hand", "N", "error")
    assert (panel["x_log"], panel["y_log"]) == (True, False)
    marks, law = panel["lines"]
    assert (marks["name"], marks["colour"], marks["points"]) == ("marks", "#123456", [(1.0, 2.0)])
    assert (marks["marks"], marks["joined"], marks["dashed"]) == (True, False, False)
    assert (law["name"], law["points"]) == ("a law", [(1.0, 3.0), (10.0, 4.0)])
    assert (law["marks"], law["joined"], law["dashed"]) == (False, True, True)
    assert panel["bars"] == [(1.0, 1.5, 3.0, "#123456")]
    assert live.words([panel]) == "by hand: marks, 2 at N 1."
    json.dumps([panel], allow_nan=False)


def test_the_points_of_a_studys_figure_are_its_means():
    made_figures, found = drawn(LINE)
    panel, _ = live.panels(made_figures["main-n"].figure)
    points = [tuple(point) for line in panel["lines"] if line["marks"] for point in line["points"]]
    assert points == [(row["n"], pytest.approx(row["error_sq_ok_mean"])) for row in found.final()]
    assert len(panel["bars"]) == len(points)
    assert live.words([panel]).startswith("main: error against horizon N: k=2 d=3 C=4, from 0.")


def test_a_map_has_no_lines():
    made_figures, _ = drawn(MAP)
    assert live.panels(made_figures["main-phase"].figure) == []
    assert live.words([]) == ""


def edge_marks(axes):
    """Where marks stand on the lower edge."""
    return [x for line in axes.get_lines() if line.get_marker() == "v" for x in line.get_xdata()]


def test_an_error_of_0_and_a_floor_that_is_not_above_0_have_a_mark_that_the_caption_explains():
    made_figures, found = drawn(LINE, some_zero)
    picture, caption = made_figures["main-n"]
    assert edge_marks(picture.axes[0]) == [row["n"] for row in found.final() if row["error_sq_ok_mean"] == 0] != []
    assert drawing.ZERO in caption

    def sunk(cell, seed):
        """The floor of every second cell is not seen: its displacements cancel."""
        item = made(cell, 64, seed=seed)
        signs = np.where(np.arange(64) % 2, 1.0, -1.0)[:, None]
        return item._replace(displacement=item.displacement * 0 + signs) if seed % 2 else item

    made_figures, found = drawn(FLOOR, sunk)
    picture, caption = made_figures["main-floor"]
    assert edge_marks(picture.axes[0]) == [r["separation"] for r in found.final() if r["floor_measured"] <= 0] == [4.0]
    assert "triangles on the lower edge: 1 floors that are not measured above 0" in caption
    assert drawing.ZERO not in caption
