"""jgmm: batched Monte-Carlo simulation of streaming algorithms for mixtures of Gaussians.

Modules load on first use, so that `jgmm --help` and a bad spec need no JAX.
"""

import importlib

MODULES = ["algorithms", "errors", "labelled", "lanes", "machine", "mixture", "rates", "start", "steps", "theory"]
NAMES = {
    "batch": "jgmm.runs:batch",
    "run": "jgmm.engine.run:run",
    "log_checkpoints": "jgmm.engine.run:log_checkpoints",
    "Algorithm": "jgmm.contract:Algorithm",
    "Study": "jgmm.study.spec:Study",
    "run_study": "jgmm.study.runner:run_study",
    "report": "jgmm.study.report:write",
}
__all__ = [*MODULES, *NAMES]


def __getattr__(name: str):
    if name in MODULES:
        return importlib.import_module(f"jgmm.{name}")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("jgmm")
    if name in NAMES:
        module, _, value = NAMES[name].partition(":")
        return getattr(importlib.import_module(module), value)
    raise AttributeError(f"module 'jgmm' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
