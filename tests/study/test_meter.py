"""A meter counts the samples of all tasks, tells who listens, and stops who counts."""

import pytest

from jgmm.process import Stopped
from jgmm.study.meter import Meter


def test_samples_are_counted_over_all_rounds_of_tasks():
    told = []
    meter = Meter(lambda *now: told.append(now))
    meter.cells = (0, 2)
    meter.expect(100)
    meter.begin("a")
    meter(60)
    meter(40)
    meter.cells = (1, 2)
    meter.expect(50)  # of the next round
    meter.begin("b")
    meter(50)
    first, second = "0 of 2 cells; a", "1 of 2 cells; b"
    assert told == [(first, 0, 100), (first, 60, 100), (first, 100, 100), (second, 100, 150), (second, 150, 150)]


def test_whoever_counts_stops_when_asked_or_when_another_has_failed():
    asked = iter([False, True])
    meter = Meter(stop=lambda: next(asked))
    meter(1)
    with pytest.raises(Stopped):
        meter(1)
    meter = Meter()
    meter.begin("a")
    meter.halted = True
    with pytest.raises(Stopped):
        meter.begin("b")
    assert meter.done == 0
