"""What JAX is told before it starts, and the programs that are kept."""

import subprocess
import sys

import jax
import pytest

from jgmm.engine import machine


def test_it_is_too_late_once_jax_has_started():
    assert len(jax.devices()) == 2
    with pytest.raises(RuntimeError, match="jax_num_cpu_devices"):
        machine.prepare(devices=3)


def test_the_cache_is_where_the_user_says_or_among_their_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    assert machine.cache_folder() == tmp_path
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    here = machine.cache_folder()
    assert here.parts[-3:-1] == ("jgmm", "xla")
    monkeypatch.setattr(machine.platform, "machine", lambda: "another")  # a home may be shared
    assert machine.cache_folder().parent == here.parent
    assert machine.cache_folder() != here


SPEC = """
runs = 16
[mixture]
k = 2
d = 2
[stream]
n = 200
"""

# Programs that were compiled, not found in the cache.
COUNT = """
import sys
import jax.monitoring
asked, hits = [], []
jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: asked.append(event))
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event))
from jgmm import cli
assert cli.main(sys.argv[1:]) == 0
asked = asked.count("/jax/core/compile/backend_compile_duration")
print("compiled", asked, asked - hits.count("/jax/compilation_cache/cache_hits"))
"""


@pytest.mark.slow
def test_a_second_start_compiles_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "small.toml").write_text(SPEC)

    def compiled(out, *options):
        call = [sys.executable, "-c", COUNT, "run", "small.toml", "--out", out, *options]
        told = subprocess.run(call, cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True).stdout
        asked, missed = next(line for line in told.splitlines() if line.startswith("compiled")).split()[1:]
        return int(asked), int(missed)

    asked, missed = compiled("off", "--no-cache")
    assert asked == missed > 0
    assert not (tmp_path / "cache").exists()
    assert compiled("cold")[1] > 0
    assert compiled("warm") == (asked, 0)
    cells = [next((tmp_path / out / "cells").iterdir()).read_bytes() for out in ("off", "cold", "warm")]
    assert cells[0] == cells[1] == cells[2]
