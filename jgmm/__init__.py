"""jgmm: batched Monte-Carlo simulation of streaming algorithms for mixtures of Gaussians.

Modules load on first use, so that `jgmm --help` and a bad spec need no JAX.
"""

import importlib

MODULES = ["em", "labelled", "lanes", "lloyd", "machine", "metrics", "mixture", "pca", "rates", "seeding", "soft"]
MODULES += ["stream", "theory", "tiling", "trials"]
STUDY = {"Study": "jgmm.study.spec", "run_study": "jgmm.study.runner", "report": "jgmm.study.report"}
__all__ = [*MODULES, *STUDY]


def __getattr__(name: str):
    if name in MODULES:
        return importlib.import_module(f"jgmm.{name}")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("jgmm")
    if name == "report":
        return importlib.import_module("jgmm.study.report").write
    if name in STUDY:
        return getattr(importlib.import_module(STUDY[name]), name)
    raise AttributeError(f"module 'jgmm' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
