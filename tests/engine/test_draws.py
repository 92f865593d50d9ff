"""What is drawn around a stream: normals, offsets and frames of the runs' own, the same on every machine."""

import hashlib
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from jgmm import lanes, mixture, start
from jgmm.engine.runs import batch, normals, run_keys
from jgmm.study.keys import study_keys

KEY = jax.random.key(11)
IDS = np.arange(60, dtype=np.uint32)


def test_normals_are_made_of_the_words_of_the_runs_own_key():
    found = normals(KEY, np.array([4, 9], np.uint32), k=3, d=3)
    for place, run in enumerate((4, 9)):
        words = np.asarray(jax.random.bits(jax.random.fold_in(KEY, run), (2, 5), np.uint32))
        assert_array_equal(found[..., place].ravel(), np.concatenate(lanes.normal_pair(*words))[:9])
    assert found.dtype == np.float32


def test_normals_have_the_normal_law_and_are_apart():
    z = normals(KEY, np.arange(50_000, dtype=np.uint32), k=2, d=3).astype(float)
    n = z.shape[-1]
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (4, 3, 96)):
        assert (abs((z**power).mean(axis=-1) - moment) < 4.5 * np.sqrt(variance / n)).all()
    flat = z.reshape(6, n)
    assert (abs(flat @ flat.T / n - np.diag((flat**2).mean(axis=-1))) < 4.5 / np.sqrt(n)).all()
    assert stats.kstest(flat.ravel(), "norm").pvalue > 1e-4


def made(runs):
    """A batch of these runs with a box each, offsets from its means and first frames."""
    mixed = mixture.box(run_keys(KEY, runs), 3, 4, side=10.0, separation=5.0)
    here = batch(KEY, runs, mixed)
    return here, start.offset_start(KEY, here, 0.5), start.frames(KEY, here)


def test_a_run_starts_the_same_in_any_company():
    whole = made(IDS)
    for some in (slice(1), slice(30, 31), slice(7, 24)):
        for mine, among in zip(jax.tree.leaves(made(IDS[some])), jax.tree.leaves(whole), strict=True):
            assert_array_equal(mine, among[..., some])


def test_offsets_have_their_length_and_frames_are_orthonormal():
    here, starts, frames = made(IDS)
    assert_allclose(np.linalg.norm(starts - here.mixture.means, axis=1), 0.5, rtol=1e-5)  # of means of 10: eps 10 / 0.5
    gram = np.einsum("rdn,sdn->nrs", frames, frames)
    assert_allclose(gram, np.broadcast_to(np.eye(3), gram.shape), atol=1e-6)


def test_every_machine_draws_these_starts():
    here, starts, frames = made(IDS)
    gap, shift = start.oja_rate(here.mixture)
    found = [hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()[:12] for x in (starts, frames, gap, shift)]
    assert found == ["5b9b770c5747", "21a60c19cf04", "32d82ba08e70", "181a3093f70f"]


def test_keys_of_a_study_are_split_of_its_random_seed():
    for seed in (0, 7, 2**32 - 1):
        expected = jax.random.split(jax.random.key(seed), 3)
        assert all(mine == theirs for mine, theirs in zip(study_keys(seed), expected, strict=True))


NOTHING = """
import jax
asked = []
told = lambda event, _, **about: asked.append(about) if event.endswith("backend_compile_duration") else None
jax.monitoring.register_event_duration_secs_listener(told)
import numpy as np
from jgmm import mixture, start
from jgmm.engine.runs import batch, run_keys
from jgmm.study.keys import canary, study_keys
for wide in (False, True):
    with jax.enable_x64(wide):
        keys, ids = study_keys(3), np.arange(70)
        own = run_keys(keys.mixture, ids)
        mixed = mixture.box(own, 3, 4, side=10.0, separation=5.0)
        mixture.symmetric_box(own, 3, side=10.0, separation=5.0)
        mixture.separation(mixture.replicate(mixture.simplex(3, 4, separation=5.0), 7))
        mixture.separation(mixture.symmetric(4, separation=5.0))
        here = batch(keys.lanes, ids, mixed)
        start.offset_start(keys.start, here, 0.5)
        start.frames(keys.start, here)
        start.oja_rate(mixed)
        canary(3)
print(len(asked))
"""


@pytest.mark.parametrize(("planted", "expected"), [("", False), ("jax.random.normal(jax.random.key(0), (3,))", True)])
def test_no_compiler_has_a_hand_in_what_is_drawn(planted, expected):
    """No program is made in a process that draws all that there is; one that is planted is counted."""
    known = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = NOTHING.replace("print(", f"{planted}\nprint(")
    told = subprocess.run([sys.executable, "-c", code], check=True, env=known, stdout=subprocess.PIPE, text=True).stdout
    assert (int(told) > 0) is expected
