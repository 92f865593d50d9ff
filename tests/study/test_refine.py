"""Where to sample next: which interval of an axis is cut, where, and how a study grows by it on what it has stored."""

import math

import folders
import numpy as np
import pyarrow as pa
import pytest
from made_cells import LINE, made, study

from jgmm.report.write import write_report
from jgmm.study import curves, ownership, refine, spec, work
from jgmm.study import run as runner
from jgmm.study.folder import records

SHARES = """
refine = "separation"
refine_cells = 6
[mixture]
k = 2
d = 3
layout = "simplex"
separation = [2.0, 4.0, 8.0, 16.0]
[stream]
n = 400
rate = 0.05
start = [0.1, 0.5]
checkpoints = 1
"""


def item_with(cell, hits, runs=100):
    """A cell of whose runs so many converge."""
    item = made(cell, runs)
    largest = np.full(item.values["error_max"].shape, 1e-3, np.float32)
    largest[hits:] = 10 * cell.separation
    return item._replace(values={**item.values, "error_max": largest})


def curve_of(text, values):
    """The only curve of a study whose cells have these hits."""
    asked = study(text)
    items = [item_with(cell, hits) for cell, hits in zip(spec.cells(asked), values, strict=True)]
    (curve,) = curves.curves(asked, items)
    return curve


ONE_START = SHARES.replace("[0.1, 0.5]", "0.1")


def test_by_hand_the_interval_where_the_share_crosses_its_target_is_halved():
    curve = curve_of(ONE_START, [10, 60, 100, 100])  # of 100, against 95
    assert refine.crossing(curve) == 1
    assert refine.midpoint(curve, 1) == 6.0


def test_of_two_crossings_the_wider_is_halved():
    assert refine.crossing(curve_of(ONE_START, [10, 100, 60, 100])) == 2


def test_a_crossing_that_chance_may_have_made_is_left():
    assert refine.crossing(curve_of(ONE_START, [10, 94, 96, 100])) is None


def errors_curve(text, errors, runs=64):
    """The only curve of a study whose cells have these mean errors, the same draws in each, and all runs converge."""
    asked = study(text)
    cells = spec.cells(asked)
    items = [made(cell, runs, error=error, seed=3) for cell, error in zip(cells, errors, strict=True)]
    (curve,) = [curve for curve in curves.curves(asked, items) if curve.axis == asked.part[0].refine]
    return curve


BENT = 'refine = "n"\n' + LINE.replace("[100, 200, 400]", "[100, 400, 800, 1600]")


def test_by_hand_the_wider_interval_at_the_largest_change_of_the_exponent_is_cut_at_its_geometric_middle():
    curve = errors_curve(BENT, [16.0, 4.0, 4.0, 3.9])  # exponents -1, 0, about 0
    assert refine.bend(curve) == 0
    assert refine.midpoint(curve, 0) == 200
    assert isinstance(refine.midpoint(curve, 0), int)


def test_a_power_has_no_bend():
    assert refine.bend(errors_curve(BENT, [16.0, 4.0, 2.0, 1.0])) is None


@pytest.mark.parametrize(
    ("axis", "values", "middle"),
    [
        ("n", [100, 101, 400], None),
        ("d", [2, 8, 32], 4),
        ("sigma", [0.1, 1.0, 10.0], float(f"{math.sqrt(0.1):.4g}")),
        ("separation", [4.0, 5.0, 6.0], 4.5),
        ("start", [0.0, 0.3, 0.5], 0.15),
    ],
)
def test_the_middle_is_geometric_where_powers_are_claimed_and_of_the_axis_s_kind(axis, values, middle):
    table, key = spec_place(axis)
    text = LINE.replace("[100, 200, 400]", "400")
    old = next(line for line in text.splitlines() if line.startswith(f"{key} =")) if f"\n{key} =" in text else None
    text = text.replace(old, f"{key} = {values}") if old else text.replace(f"[{table}]", f"[{table}]\n{key} = {values}")
    asked = study(text)
    (curve,) = curves.curves(asked, [made(cell) for cell in spec.cells(asked)])
    assert refine.midpoint(curve, 0) == middle


def spec_place(axis):
    return ("stream", axis) if axis in ("n", "start") else ("mixture", axis)


# --- a study ---


def crossing_at(monkeypatch, where):
    """Runs are made up, and converge from a separation on that depends on the start: (start, separation) -> bool."""
    folders.make_up(monkeypatch)

    plain = folders.made_up

    def made_up(cell, low, high):
        table = plain(cell, low, high)
        far = 1e-3 if where(cell.start, cell.separation) else 1e6
        at = table.schema.get_field_index("error_max")
        return table.set_column(at, table.schema.field(at), pa.array(np.full(len(table), far, np.float32)))

    monkeypatch.setattr(folders, "made_up", made_up)


def refined(out):
    (part,) = ownership.load(out).part
    return part.refined


@pytest.fixture
def asked():
    return study(SHARES, runs=100)


def test_the_grid_grows_where_each_curve_crosses_until_the_cells_are_spent(tmp_path, monkeypatch, asked):
    crossing_at(monkeypatch, lambda start, separation: separation > (3.2 if start == 0.1 else 9))
    done = runner.run_study(asked, tmp_path / "out")
    assert refined(tmp_path / "out") == [[3.0, 12.0], [3.5]]  # two starts: each value is two cells
    assert done.computed == 100 * (8 + 6)
    assert done.left == 0


def test_a_rerun_and_one_that_was_stopped_give_the_same(tmp_path, monkeypatch, asked):
    crossing_at(monkeypatch, lambda start, separation: separation > 3.2)
    runner.run_study(asked, tmp_path / "whole")
    assert refined(tmp_path / "whole") == [[3.0], [3.5], [3.25]]
    again = runner.run_study(asked, tmp_path / "whole")
    assert (again.computed, again.reused) == (0, 1400)
    calls = iter(range(18))  # of 28: in the second round

    def stopped_work(*given, **more):
        if next(calls, None) is None:
            raise runner.Stopped
        return folders.made_up_work(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(work, "work", stopped_work)
        with pytest.raises(runner.Stopped):
            runner.run_study(asked, tmp_path / "stopped")
    assert refined(tmp_path / "stopped") == [[3.0]]
    runner.run_study(asked, tmp_path / "stopped")
    whole, stopped = (folders.bytes_of(tmp_path / name) for name in ("whole", "stopped"))
    assert {k: v for k, v in whole.items() if k.startswith("cells/")} == {
        k: v for k, v in stopped.items() if k.startswith("cells/")
    }
    assert refined(tmp_path / "stopped") == refined(tmp_path / "whole")


def test_more_cells_go_on_from_the_values_that_there_are(tmp_path, monkeypatch, asked):
    crossing_at(monkeypatch, lambda start, separation: separation > 3.2)
    out = tmp_path / "out"
    runner.run_study(study(SHARES.replace("refine_cells = 6", "refine_cells = 2"), runs=100), out)
    assert refined(out) == [[3.0]]
    assert runner.run_study(asked, out).reused == 1000
    assert refined(out) == [[3.0], [3.5], [3.25]]


def test_each_round_is_a_look(tmp_path, monkeypatch, asked):
    crossing_at(monkeypatch, lambda start, separation: separation > 3.2)
    out = tmp_path / "out"
    runner.run_study(asked, out)
    written = write_report(out, asked)
    assert len(written.data) == 14  # the report has the cells that were added, whatever study it is given
    assert written.look == 4
    runner.run_study(asked.model_copy(update={"runs": 128}), out)
    assert write_report(out, asked.model_copy(update={"runs": 128})).look == 5
    assert [look["look"] for look in records.looks(out)] == [4, 5]


def test_a_study_that_refines_nothing_is_written_as_before():
    assert "refine" not in str(study(LINE).model_dump(exclude_none=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('refine = "sepration"', "refine is 'sepration', expected an axis of its own: one of .*separation"),
        ('refine = "n"', "refine is 'n', expected an axis of three numbers"),
        ('refine = "separation"\nrefined = [[20.0]]', "refined has 20.0, expected values between"),
        ('refine = "separation"\nrefined = [[5]]', "refined has 5, expected values between"),
        ('refine = "separation"\nrefine_cells = 0', "refine_cells is 0: expected at least 1"),
    ],
)
def test_what_cannot_be_refined_is_said(change, message):
    text = SHARES.replace('refine = "separation"\nrefine_cells = 6', change)
    with pytest.raises(ValueError, match=message):
        spec.cells(study(text))


def test_a_share_of_a_study_that_refines_is_refused(tmp_path, asked):
    with pytest.raises(ValueError, match="share is 1/2 of a study that refines an axis"):
        runner.run_study(asked, tmp_path / "out", share=(1, 2))
