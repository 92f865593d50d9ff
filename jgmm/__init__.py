"""jgmm: batched Monte-Carlo simulation of streaming algorithms for mixtures of Gaussians.

Modules load on first use, so that `jgmm --help` and a bad spec need no JAX.
"""

import importlib

PLACES = {
    **{
        name: f"jgmm.{name}"
        for name in ("algorithms", "errors", "lanes", "mixture", "rates", "start", "steps", "theory")
    },
    "labelled": "jgmm.theory.labelled",
    "machine": "jgmm.engine.machine",
    "batch": "jgmm.engine.runs:batch",
    "run": "jgmm.engine.run:run",
    "log_checkpoints": "jgmm.engine.run:log_checkpoints",
    "Algorithm": "jgmm.contract:Algorithm",
    "Study": "jgmm.study.spec:Study",
    "run_study": "jgmm.results.run:run_study",
    "open": "jgmm.results.opened:open",
    "Opened": "jgmm.results.opened:Opened",
    "merge": "jgmm.study.merge:merge",
    "write_report": "jgmm.report.write:write_report",
}
__all__ = [name for name in PLACES if name != "open"]  # a star takes no built-in's name


def __getattr__(name: str):
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("jgmm")
    if name in PLACES:
        module, _, value = PLACES[name].partition(":")
        found = importlib.import_module(module)
        return getattr(found, value) if value else found
    raise AttributeError(f"module 'jgmm' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *PLACES])
