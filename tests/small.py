"""A small study of every kind of part, for tests of what it stores and compiles."""

import jgmm
from jgmm.study import spec

PAIR = {"mixture": {"k": 2, "d": 2}}
SHORT = {"n": [400, 900], "start": 0.2, "checkpoints": 2}
SEEDED = {
    "mixture": {"k": 2, "d": 3, "layout": "box", "side": 100.0},
    "seeding": {"n": 200, "block": 40, "graph_points": 24},
}
PARTS = [
    {"name": "lloyd", **PAIR, "stream": {**SHORT, "displacement": True}},
    {"name": "em", "algorithm": "em", **PAIR, "stream": SHORT},
    {"name": "soft", "algorithm": "soft", **PAIR, "stream": SHORT},
    {"name": "oracle", "algorithm": "oracle", **PAIR, "stream": SHORT},
    {"name": "steps", **PAIR, "stream": {**SHORT, "rate": ["1/n", {"scale": 1.0, "power": 0.7, "shift": 5.0}]}},
    {"name": "averaged", **PAIR, "stream": {**SHORT, "average": 0.5}},
    {"name": "seeded", **SEEDED, "stream": {"n": [400, 900], "checkpoints": 2}},
    {"name": "start", **SEEDED, "stream": {"n": 0}},
]
FEW = [PARTS[0], PARTS[6]]  # a plain and a seeded part, where each process compiles anew

SPEC = """
runs = 16
[mixture]
k = 2
d = 2
[stream]
n = 200
rate = 0.02
start = 0.2
"""


def study(runs=100, parts=PARTS, **more):
    return jgmm.Study(name="tiny", runs=runs, part=parts, **more)


def bytes_of(folder):
    """Each cell file's bytes."""
    return {path.name: path.read_bytes() for path in sorted((folder / "cells").iterdir())}


def same(folder, fresh, parts=PARTS):
    """Asserts that a folder has these parts' cells, byte for byte as the `fresh` folder has them, and no tiles."""
    names = {f"{cell.identifier(0, False)}.parquet" for cell in spec.cells(study(parts=parts))}
    assert bytes_of(folder) == {name: data for name, data in bytes_of(fresh).items() if name in names}
    assert not list((folder / "tiles").iterdir())
