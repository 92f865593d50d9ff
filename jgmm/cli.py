"""The command line. `--help` needs only the standard library, a bad spec no JAX: the rest is imported when needed."""

import argparse
import importlib
import math
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import jgmm
from jgmm import process

if TYPE_CHECKING:
    from jgmm.study.spec import Study


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit status: 0 done, 1 our bug, 2 bad input, 3 unfinished, 130 interrupted."""
    with process.Stopper() as stopper, process.outputs() as output:
        status = _status(parser().parse_args(argv), stopper)
        output.flush()
        if output.fault and not status:
            print(f"jgmm: standard output: {output.fault}", file=sys.stderr)
            return 2
        return status


def _status(arguments: argparse.Namespace, stopper: process.Stopper) -> int:
    try:
        return stopper.watch(lambda: COMMANDS[arguments.command](arguments, stopper))
    except process.Stopped:
        print("jgmm: stopped before anything was computed", file=sys.stderr)
        return stopper.status
    except Exception as error:
        if place := importlib.import_module("jgmm.outside").blame(error):  # no bug of ours
            lines = [f"{place}: {' '.join(f'{type(error).__name__}: {error}'.split())}"]
        elif isinstance(error, ValueError):
            lines = str(error).splitlines()
        elif isinstance(error, OSError):
            lines = [process.fault(error)]
        else:
            raise
        for line in lines:
            print(f"jgmm: {line}", file=sys.stderr)
        return 2


def run(arguments: argparse.Namespace, stopper: process.Stopper) -> int:
    """`jgmm run`: simulate what is missing, then report."""
    spec = importlib.import_module("jgmm.study.spec")
    study = spec.load(arguments.spec, trust=arguments.trust)
    out = arguments.out or Path("results") / (study.name + _suffix(arguments.share))
    changes = {"seed": arguments.seed, "x64": arguments.x64 or None, "precision": arguments.precision}
    changes |= {"runs": arguments.runs, "max_runs": arguments.max_runs, "dimension": arguments.dimension}
    study = spec.changed(study, **{key: value for key, value in changes.items() if value is not None})
    if arguments.runs is not None and not arguments.fresh:
        _check_not_fewer(out, arguments.runs)
    spec.cells(study)  # every fault of the spec, before JAX starts
    if arguments.executor is not None:
        executors = importlib.import_module("jgmm.commands.executors")
        executors.parse(arguments.executor)
        executors.leave_memory()
    _start_jax(arguments, study.x64)
    stopper.check()
    command = importlib.import_module("jgmm.commands.run")
    how = command.How(
        fresh=arguments.fresh,
        back_end=arguments.back_end,
        executor=arguments.executor,
        keep_programs=not arguments.no_cache,
        share=arguments.share,
    )
    if arguments.dry_run:
        return importlib.import_module("jgmm.commands.dry_run").dry_run(study, out, spec_folder=Path(), how=how)
    return command.run(study, out, spec_folder=Path(), how=how, stopper=stopper)


def _suffix(share: tuple[int, int] | None) -> str:
    """What a share's own folder has behind the study's name."""
    return "" if share is None else f"-{share[0]}-of-{share[1]}"


def _check_not_fewer(out: Path, runs: int) -> None:
    """Raises ValueError if a study with more runs lies there."""
    if (out / "study.toml").is_file():
        stored = importlib.import_module("jgmm.study.ownership").runs(out)
        if stored > runs:
            raise ValueError(f"--runs is {runs}, but {out} holds {stored}: expected at least these, or --fresh")


def report(arguments: argparse.Namespace, stopper: process.Stopper) -> int:
    """`jgmm report`: summary, figures and report again, from the stored cells."""
    written = importlib.import_module("jgmm.report.write").write_report(arguments.dir, _stored(arguments))
    for note in written.ignored:
        print(f"jgmm: {note}", file=sys.stderr)
    if written.twins and not written.twins.right:
        print(f"jgmm: {written.twins.sentence}", file=sys.stderr)
    print(arguments.dir / "report.html")
    return written.status


def show(arguments: argparse.Namespace, stopper: process.Stopper) -> int:
    """`jgmm show`: one run of one cell again, with its trajectory."""
    study = _stored(arguments)
    cells = importlib.import_module("jgmm.study.spec").named_cells(study, arguments.dir)
    if arguments.cell not in cells:
        raise ValueError(f"cell is {arguments.cell!r}, expected one of {', '.join(cells)}")
    if not 0 <= arguments.run_id < study.runs:
        raise ValueError(f"--run is {arguments.run_id}, expected 0 to {study.runs - 1}")
    _start_jax(arguments, study.x64)
    command, cell = importlib.import_module("jgmm.commands.show"), cells[arguments.cell]
    command.show(study, cell, arguments.run_id, arguments.dir, back_end=arguments.back_end)
    return 0


def merge(arguments: argparse.Namespace, stopper: process.Stopper) -> int:
    """`jgmm merge`: join the folders of one study, and report when nothing is missing."""
    command = importlib.import_module("jgmm.commands.merge")
    return command.merge(arguments.dirs, arguments.out, trust=arguments.trust, stopper=stopper)


def presets(arguments: argparse.Namespace, stopper: process.Stopper) -> int:
    """`jgmm presets`: their names, a line each; with a name, that preset's TOML."""
    spec = importlib.import_module("jgmm.study.spec")
    if arguments.name is not None:
        print(spec.preset(arguments.name), end="")
        return 0
    for name, line in spec.presets().items():
        print(f"{name:12} {line}")
    return 0


def _stored(arguments: argparse.Namespace) -> "Study":
    """The study whose folder this is. Raises ValueError if it is none, or names code that is not trusted."""
    return importlib.import_module("jgmm.study.ownership").load(arguments.dir, trust=arguments.trust)


def _start_jax(arguments: argparse.Namespace, x64: bool) -> None:
    """Start JAX. Raises ValueError, a line, where it cannot."""
    importlib.import_module("jgmm.commands.prepare").start_jax(x64=x64, keep_programs=not arguments.no_cache)


EXAMPLES = """examples:
  jgmm presets                         the studies that come with the package
  jgmm run theorem1 --dry-run          what it would take; nothing is written
  jgmm run theorem1 --runs 64          a quick look, into results/theorem1
  jgmm presets theorem1 > mine.toml    a template for a study of your own
  jgmm report results/theorem1         rebuild the report from the stored runs

jgmm COMMAND --help says what a command takes."""
EXAMPLES_OF_RUN = """examples:
  jgmm run theorem1                    compute missing runs, then report
  jgmm run theorem1 --runs 1e3         go on to 1000 runs of each cell
  jgmm run mine.toml --out tries/1     your own study, into a folder you choose
  jgmm run mine.toml --precision 0.01  go on to standard errors below 1 %
  jgmm run mine.toml --dry-run         samples, memory, files and time
  jgmm run mine.toml --share 3/16      a sixteenth; jgmm merge joins them

Stop it with Ctrl-C: the same command goes on from the runs that are stored."""
EXAMPLES_OF_MERGE = """examples:
  jgmm merge results/theorem1-*-of-16 --out results/theorem1

The folders may overlap, and hold other numbers of runs. Results are those of
one command, byte for byte."""
COMMANDS = {"run": run, "merge": merge, "report": report, "show": show, "presets": presets}


class _Parser(argparse.ArgumentParser):
    """argparse, but a fault is one line."""

    def error(self, message: str):
        told = message if len(message) < 500 else f"{message[:300]} ... {message[-100:]}"
        self.exit(2, f"jgmm: {_escaped(told)} (see {self.prog} --help)\n")


def _escaped(text: str) -> str:
    """The text without a character that a terminal obeys."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class _Version(argparse.Action):
    """--version, which is looked up when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *given: object) -> None:
        print(f"jgmm {jgmm.__version__}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = _Parser(
        prog="jgmm",
        description="Monte-Carlo studies of streaming Gaussian mixtures.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "run",
        help="run a study",
        epilog=EXAMPLES_OF_RUN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("spec", type=_text, metavar="SPEC", help="a preset's name or a TOML file")
    command.add_argument("--runs", type=_count, help="independent runs of each cell")
    command.add_argument("--seed", type=_seed, help="a whole number; the same seed gives the same results")
    command.add_argument("--out", type=_path, metavar="DIR", help="where to write (default: results/NAME)")
    command.add_argument("--fresh", action="store_true", help="replace what a study left in the folder")
    command.add_argument("--precision", type=_positive, metavar="P", help="add runs until relative errors are below P")
    command.add_argument("--max-runs", type=_count, metavar="R", help="the most runs that --precision may add up to")
    what = "who computes: processes:N, dask:tcp://HOST:PORT (a running scheduler), dask:slurm:JOBS (or pbs, sge, ...)"
    command.add_argument("--executor", type=_text, metavar="E", help=what)
    what = (
        "compute share I of N (from 1/N to N/N), in a folder of its own (default: results/NAME-I-of-N); see jgmm merge"
    )
    command.add_argument("--share", type=_share, metavar="I/N", help=what)
    command.add_argument("--dry-run", action="store_true", help="say what it would take, and write nothing")
    command.add_argument("--x64", action="store_true", help="compute in float64")
    what = "stream in all dimensions, or in few with the same law (auto: where d is large)"
    command.add_argument("--dimension", choices=("auto", "direct", "reduced"), help=what)
    _add_trust(command)
    _add_jax_options(command)
    command = commands.add_parser(
        "merge",
        help="join the folders of one study, as of its shares, and report when nothing is missing",
        epilog=EXAMPLES_OF_MERGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("dirs", type=_path, nargs="+", metavar="DIR", help="a folder to read")
    what = "where to write: a new folder, one of these, or one with the same study"
    command.add_argument("--out", type=_path, required=True, metavar="DIR", help=what)
    _add_trust(command)
    command = commands.add_parser("report", help="rebuild summary, figures and report from the stored cells")
    command.add_argument("dir", type=_path, metavar="DIR")
    _add_trust(command)
    command = commands.add_parser("show", help="replay one run with its trajectory")
    command.add_argument("dir", type=_path, metavar="DIR")
    command.add_argument("cell", metavar="CELL")
    command.add_argument("--run", type=_run_id, required=True, dest="run_id", metavar="I")
    _add_trust(command)
    _add_jax_options(command)
    command = commands.add_parser("presets", help="list the presets, or print one")
    command.add_argument("name", nargs="?", type=_text, metavar="NAME", help="a preset whose TOML is printed")
    return parser


def _add_trust(command: argparse.ArgumentParser) -> None:
    what = "import the modules that the stored study names, which runs their code"
    command.add_argument("--trust", action="store_true", help=what)


def _add_jax_options(command: argparse.ArgumentParser) -> None:
    what = "what streams the samples: cpu, gpu, scan (XLA's loops), or auto (default)"
    command.add_argument("--back-end", choices=("auto", "cpu", "gpu", "scan"), default="auto", help=what)
    command.add_argument("--no-cache", action="store_true", help="neither read nor keep compiled programs")


def _whole(text: str, *, low: int, high: int) -> int:
    """The whole number that a text is: "1000", or "1e3"."""
    try:
        value = int(text)
    except ValueError:
        value = _whole_float(text, otherwise=low - 1)
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{_cut(text)} given, expected a whole number from {low} to {high}")
    return value


def _whole_float(text: str, *, otherwise: int) -> int:
    try:
        value = float(text)
    except ValueError:
        return otherwise
    return int(value) if value.is_integer() else otherwise


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{_cut(text)} given, expected a positive number")
    return value


def _share(text: str) -> tuple[int, int]:
    """The share that a text is: "3/16" is the third of sixteen."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{_cut(text)} given, expected I/N with I from 1 to N, as 3/16")
    return int(number), int(count)


def _text(text: str) -> str:
    if not text or not text.isprintable() or len(text) > 4000:
        raise argparse.ArgumentTypeError(f"{_cut(text)} given, expected a name without control characters")
    return text


def _path(text: str) -> Path:
    return Path(_text(text))


def _cut(text: str) -> str:
    return repr(text) if len(text) < 60 else f"{text[:60]!r}..."


_count = partial(_whole, low=1, high=2**31 - 1)
_seed = partial(_whole, low=0, high=2**32 - 1)
_run_id = partial(_whole, low=0, high=2**31 - 1)


if __name__ == "__main__":
    sys.exit(main())
