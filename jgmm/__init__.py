"""jgmm: batched Monte-Carlo simulation of streaming algorithms for mixtures of Gaussians.

Modules load on first use, so that `jgmm --help` and a bad spec need no JAX.
"""

import importlib
from importlib.metadata import version

__version__ = version("jgmm")
__all__ = ["em", "lanes", "lloyd", "metrics", "mixture", "pca", "rates", "seeding", "stream", "theory", "trials"]


def __getattr__(name: str):
    if name in __all__:
        return importlib.import_module(f"jgmm.{name}")
    raise AttributeError(f"module 'jgmm' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
