"""The example in `examples/your_algorithm`, through everything that an algorithm of jgmm's own goes through."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import mixture
from jgmm import start as starts
from jgmm.algorithms.lloyd import LLOYD
from jgmm.engine import build, gpu, scan, together
from jgmm.study import ownership, spec
from jgmm.study import run as runner

KEY = jax.random.key(5)
EXAMPLE = Path(__file__).parents[2] / "examples" / "your_algorithm"


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


@pytest.fixture(scope="module")
def study():
    return spec.changed(spec.load(str(EXAMPLE / "study.toml")), runs=40)


def test_its_misspecified_mixtures_seeds_and_samples_are_those_of_the_preset():
    """All cells of the example stand beside three of the preset that differ in the algorithm alone."""
    ours, presets = (spec.load(source) for source in (str(EXAMPLE / "misspecified.toml"), "misspecified"))
    assert (ours.seed, ours.runs) == (presets.seed, presets.runs)

    def drawn(cell):
        return (*cell.start_fields(), cell.n, cell.rate, cell.checkpoints)

    beside = [drawn(cell) for cell in spec.cells(presets)]
    own = [drawn(cell) for cell in spec.cells(ours, EXAMPLE)]
    assert len(set(own)) == len(own) == 24
    assert sorted(beside, key=str) == sorted(3 * own, key=str)


@pytest.fixture(scope="module")
def trimmed(study):
    """The value that the example's file defines."""
    return spec.cells(study)[0].record


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    """The study's folder, as `jgmm run` leaves it."""
    out = tmp_path_factory.mktemp("example") / "out"
    small = spec.changed(study, runs=16)
    assert runner.run_study(small, out, spec_folder=EXAMPLE).computed == 16 * len(spec.cells(study))
    assert runner.run_study(study, out, spec_folder=EXAMPLE).reused == 16 * len(spec.cells(study))
    return out


def rows_of(folder, study, reach, n):
    (name,) = (
        name
        for name, cell in spec.named_cells(study, EXAMPLE).items()
        if (cell.n, dict(cell.numbers).get("reach")) == (n, reach)
    )
    table = pq.read_table(folder / "cells" / f"{name}.parquet")
    return {column: table[column].to_numpy() for column in ("samples", "error_sq", "twin_error_sq", "twin_mean_sq")}


def test_the_grid_has_its_number_as_an_axis(study):
    cells = spec.cells(study)
    assert {dict(cell.numbers)["reach"] for cell in cells if cell.part == "trimmed"} == {1.0, 1.5, 3.0}
    assert all(cell.has_twin for cell in cells)
    assert {cell.sources for cell in cells if cell.part == "lloyd"} == {()}


def test_a_study_that_grew_holds_the_bytes_of_a_fresh_one(study, folder, tmp_path):
    runner.run_study(study, tmp_path / "fresh", spec_folder=EXAMPLE)
    grown, fresh = ({p.name: p.read_bytes() for p in (f / "cells").iterdir()} for f in (folder, tmp_path / "fresh"))
    assert grown == fresh


def test_with_a_wide_reach_it_is_lloyd_and_with_a_narrow_one_it_is_not(study, folder):
    lloyd = rows_of(folder, study, None, 1000)
    assert_array_equal(rows_of(folder, study, 3.0, 1000)["error_sq"], lloyd["error_sq"])
    assert (rows_of(folder, study, 1.0, 1000)["error_sq"] != lloyd["error_sq"]).any()


def test_its_twin_is_lloyds_and_on_its_exact_mean(study, folder):
    own, lloyd = rows_of(folder, study, 1.0, 4000), rows_of(folder, study, None, 4000)
    for column in ("twin_error_sq", "twin_mean_sq"):
        assert_array_equal(own[column], lloyd[column])
    gap = (own["twin_error_sq"] - own["twin_mean_sq"])[own["samples"] == 4000]
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(gap))


def begun(runs):
    """A batch of the example's algorithm, and its starts."""
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(3, 4, separation=6.0))
    return batch, starts.offset_start(KEY, batch, 0.3)


def test_a_loop_in_numpy_does_the_same(trimmed):
    batch, begin = begun(2)
    record = jgmm.run(batch, trimmed, begin, steps=0.1, checkpoints=[50], reach=1.0)
    _, samples = scan.draw(batch.words, batch.mixture, 50)
    for run in range(2):
        centres = begin[..., run].astype(float)
        for x in np.asarray(samples)[..., run].T:
            gaps = ((centres - x) ** 2).sum(axis=1)
            j = gaps.argmin()
            if gaps[j] <= 1.0**2 * 4:
                centres[j] += 0.1 * (x - centres[j])
        assert_allclose(record.centres[..., run], centres, atol=1e-5)


def test_its_program_compiles_for_a_gpu(trimmed):
    batch, begin = begun(4)
    ready = together.ready(batch, trimmed, begin, steps=0.1, twin=True)
    made = build.program(ready.kernel, ready.state, ready.params, batch.mixture)
    assert ".visible .entry" in gpu.ptx(made)


def command(*arguments, **more):
    call = [sys.executable, "-m", "jgmm.cli", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, **more)


@pytest.mark.slow
def test_a_folder_is_opened_on_trust_alone_and_says_so(folder, tmp_path):
    there = shutil.copytree(folder, tmp_path / "theirs")
    for arguments in (["report", there], ["show", there, "x", "--run", "0"], ["run", there / "study.toml"]):
        told = command(*arguments, cwd=tmp_path)
        assert told.returncode == 2
        assert "names code of its own (trimmed:TRIMMED): expected --trust" in told.stderr
        assert len(told.stderr.strip().splitlines()) == 1
    told = command("report", there, "--trust", cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""})
    assert told.returncode == 0, told.stderr
    page = (there / "report.html").read_text()
    assert "trimmed Lloyd: each sample moves the nearest centre, unless it is far from it, reach = 1" in page


def test_other_source_is_another_algorithm(study, folder, tmp_path):
    for name in ("study.toml", "trimmed.py"):
        shutil.copy(EXAMPLE / name, tmp_path / name)
    (tmp_path / "trimmed.py").write_text((tmp_path / "trimmed.py").read_text().replace("** 2 * np", "** 3 * np"))
    code = "from jgmm.study import spec; print(*spec.named_cells(spec.load('study.toml')))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    here = [name for name, cell in spec.named_cells(study, EXAMPLE).items() if cell.part == "trimmed"]
    lloyd = [name for name, cell in spec.named_cells(study, EXAMPLE).items() if cell.part == "lloyd"]
    assert not set(told.stdout.split()) & set(here)
    assert set(lloyd) < set(told.stdout.split())


def test_the_value_itself_is_the_same_algorithm(trimmed):
    same = jgmm.Study(algorithm=trimmed, mixture={"k": 3, "d": 4}, stream={"n": 100, "start": 0.1})
    assert same.part[0].algorithm == "trimmed:TRIMMED"
    assert jgmm.Study(algorithm=LLOYD).part[0].algorithm == "lloyd"


def test_the_folder_keeps_its_source(folder):
    assert (folder / "code" / "trimmed.py").read_bytes() == (EXAMPLE / "trimmed.py").read_bytes()
    with pytest.raises(ValueError, match="names code of its own"):
        ownership.load(folder)
    assert ownership.load(folder, trust=True).name == "trimmed"
