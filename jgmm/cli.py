"""The command line. `--help` needs only the standard library, a bad spec no JAX: the rest is imported when needed."""

import argparse
import importlib
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jgmm.study.spec import Study


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit status: 0 done, 1 our bug, 2 bad input, 3 unfinished, 130 interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        return COMMANDS[arguments.command](arguments)
    except ValueError as error:
        for line in str(error).splitlines():
            print(f"jgmm: {line}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has left
        sys.stderr.close()
        return 0
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        print(f"jgmm: {what}{error.strerror or error}; finished tiles are stored", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("jgmm: interrupted; finished tiles are stored, the same command goes on from them", file=sys.stderr)
        return 130


def run(arguments: argparse.Namespace) -> int:
    """`jgmm run`: simulate what is missing, then report."""
    spec = _spec()
    study = spec.load(arguments.spec)
    folder = Path(arguments.spec).parent if study.name not in spec.presets() else Path()
    out = arguments.out or Path("results") / study.name
    changes = {"seed": arguments.seed, "x64": arguments.x64 or None, "precision": arguments.precision}
    changes |= {"runs": arguments.runs, "max_runs": arguments.max_runs}
    study = study.model_copy(update={key: value for key, value in changes.items() if value is not None})
    if study.max_runs is not None and study.max_runs < study.runs:
        raise ValueError(f"max_runs is {study.max_runs}, expected at least runs = {study.runs}")
    if arguments.runs is not None and not arguments.fresh:
        _check_not_fewer(out, arguments.runs)
    spec.cells(study, folder)  # every fault of the spec, before JAX starts
    _start_jax(arguments, study.x64)
    command = importlib.import_module("jgmm.study.command")
    if arguments.dry_run:
        return command.dry_run(study, out, spec_folder=folder, kernel=arguments.kernel)
    return command.run(study, out, spec_folder=folder, fresh=arguments.fresh, kernel=arguments.kernel)


def _check_not_fewer(out: Path, runs: int) -> None:
    """Raises ValueError if a study with more runs lies there."""
    if (out / "study.toml").is_file():
        there = _spec().load(str(out / "study.toml")).runs
        if there > runs:
            raise ValueError(f"--runs is {runs}, but {out} holds {there}: expected at least these, or --fresh")


def report(arguments: argparse.Namespace) -> int:
    """`jgmm report`: summary, figures and report again, from the stored cells."""
    written = importlib.import_module("jgmm.study.report").write(arguments.dir, _stored(arguments.dir))
    for note in written.ignored:
        print(f"jgmm: {note}", file=sys.stderr)
    if written.twins and not written.twins.right:
        print(f"jgmm: {written.twins.sentence}", file=sys.stderr)
    print(arguments.dir / "report.html")
    return written.status


def show(arguments: argparse.Namespace) -> int:
    """`jgmm show`: one run of one cell again, with its trajectory."""
    study = _stored(arguments.dir)
    known = _spec().named_cells(study, arguments.dir)
    if arguments.cell not in known:
        raise ValueError(f"cell is {arguments.cell!r}, expected one of {', '.join(known)}")
    if not 0 <= arguments.run_id < study.runs:
        raise ValueError(f"--run is {arguments.run_id}, expected 0 to {study.runs - 1}")
    _start_jax(arguments, study.x64)
    command, cell = importlib.import_module("jgmm.study.command"), known[arguments.cell]
    command.show(study, cell, arguments.run_id, arguments.dir, kernel=arguments.kernel)
    return 0


def presets(arguments: argparse.Namespace) -> int:
    """`jgmm presets`: their names, a line each."""
    for name, line in _spec().presets().items():
        print(f"{name:12} {line}")
    return 0


def _spec():
    return importlib.import_module("jgmm.study.spec")


COMMANDS = {"run": run, "report": report, "show": show, "presets": presets}


class _Parser(argparse.ArgumentParser):
    """argparse, but a fault is one line."""

    def error(self, message: str):
        self.exit(2, f"jgmm: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="jgmm", description="Monte-Carlo studies of streaming Gaussian mixtures.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help="run a study")
    command.add_argument("spec", metavar="SPEC", help="a preset's name or a TOML file")
    command.add_argument("--runs", type=_count, help="independent runs of each cell")
    command.add_argument("--seed", type=_seed, help="a whole number; the same seed gives the same results")
    command.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: results/NAME)")
    command.add_argument("--fresh", action="store_true", help="replace what a study left in the folder")
    command.add_argument("--precision", type=_positive, metavar="P", help="add runs until relative errors are below P")
    command.add_argument("--max-runs", type=_count, metavar="R", help="the most runs that --precision may add up to")
    command.add_argument("--dry-run", action="store_true", help="say what it would take, and write nothing")
    command.add_argument("--x64", action="store_true", help="compute in float64")
    _add_jax_options(command)
    command = commands.add_parser("report", help="rebuild summary, figures and report from the stored cells")
    command.add_argument("dir", type=Path, metavar="DIR")
    command = commands.add_parser("show", help="replay one run with its trajectory")
    command.add_argument("dir", type=Path, metavar="DIR")
    command.add_argument("cell", metavar="CELL")
    command.add_argument("--run", type=int, required=True, dest="run_id", metavar="I")
    _add_jax_options(command)
    commands.add_parser("presets", help="list the presets")
    return parser


def _add_jax_options(command: argparse.ArgumentParser) -> None:
    kernel = "how samples are streamed: fused (one launch for many, on a GPU), scan, or auto (default)"
    command.add_argument("--kernel", choices=("auto", "fused", "scan"), default="auto", help=kernel)
    command.add_argument("--no-cache", action="store_true", help="neither read nor keep compiled programs")


def _whole(low: int, what: str):
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value < 2**31:
            raise argparse.ArgumentTypeError(f"{text!r} given, expected {what}")
        return value

    return parse


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} given, expected a positive number")
    return value


_count = _whole(1, "a whole number of at least 1")
_seed = _whole(0, "a whole number of at least 0")


def _stored(folder: Path) -> "Study":
    """The study whose folder this is. Raises ValueError if it is none."""
    path = folder / "study.toml"
    if not path.is_file():
        raise ValueError(f"{folder} holds no study.toml: expected the folder of a study")
    return _spec().load(str(path))


def _start_jax(arguments: argparse.Namespace, x64: bool) -> None:
    """JAX as `machine.prepare` sets it up; --no-cache keeps no compiled programs."""
    machine = importlib.import_module("jgmm.machine")
    machine.prepare(cache=None if arguments.no_cache else machine.cache_folder())
    importlib.import_module("jax").config.update("jax_enable_x64", x64)


if __name__ == "__main__":
    sys.exit(main())
