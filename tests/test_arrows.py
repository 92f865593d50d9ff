"""The house's rules, read from syntax trees: who may import whom, how long a file may be, and that records are asked.

    cli, course_project > commands > terminal > results > report > study > start > engine > algorithms, noise
    > contract > others

A module imports what stands below its level or in its own package, wherever in the file the import is written and also
if only a type checker sees it. A name in a table ("jgmm.algorithms.lloyd:LLOYD") is no import. theory and stats stand
aside: all may import them, they import next to nothing.

A study and its report never ask for an algorithm, a layout, a noise, a step size or a theorem by its name or number:
what depends on it stands in its record. Tests and benchmarks use no private names of jgmm.
"""

import ast
import functools
import graphlib
import re
from pathlib import Path

import pytest

import jgmm
from jgmm.algorithms import ALGORITHMS
from jgmm.mixture import LAYOUTS
from jgmm.noise import NOISES
from jgmm.steps import STEP_SIZES

LEVELS = [
    {"cli", "course_project"},
    {"commands"},
    {"terminal"},
    {"results"},
    {"report"},
    {"study"},
    {"start"},
    {"engine"},
    {"algorithms", "noise"},
    {"contract"},
]  # from the top; what is not named is at the bottom
ASIDE = {"theory": {"ordered", "rates"}, "stats": set()}  # and what of jgmm they may import
FROM_ALL = {"doors", "ordered", "process"}  # import nothing that anybody could object to
LONGEST = 350  # lines
GENERATORS = {
    "engine/threads.py"
}  # which emit the instructions of a loop in the order in which they run: may be longer


def sources() -> dict[str, str]:
    """The modules of jgmm by path below jgmm/."""
    root = Path(jgmm.__file__).parent
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*.py"))}


def dotted(path: str) -> str:
    """ "study/run.py" as "jgmm.study.run"."""
    return ".".join(["jgmm", *Path(path).with_suffix("").parts]).removesuffix(".__init__")


@functools.cache
def import_statements(text: str) -> list[ast.Import | ast.ImportFrom]:
    """Those of a module, at any depth."""
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]


def imports(modules: dict[str, str]) -> dict[str, set[str]]:
    """What each module imports: modules of jgmm by dotted name, all others by their first name."""
    names = {dotted(path) for path in modules}

    def module(name: str) -> str:
        if not name.startswith("jgmm"):
            return name.partition(".")[0]
        return name if name in names else name.rpartition(".")[0]

    def imported(path: str, text: str):
        package = path.split("/")[:-1]
        for node in import_statements(text):
            if isinstance(node, ast.Import):
                yield from (module(alias.name) for alias in node.names)
            if isinstance(node, ast.ImportFrom):
                above = ["jgmm", *package[: len(package) + 1 - node.level]] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                yield from (module(f"{source}.{alias.name}") for alias in node.names)

    return {dotted(path): set(imported(path, text)) for path, text in modules.items()}


def room(name: str) -> str:
    """The package or module directly in jgmm that this module is, or lies in; nothing for jgmm itself."""
    return name.split(".")[1] if "." in name else ""


def level(name: str) -> int:
    """0 at the top."""
    return next((i for i, rooms in enumerate(LEVELS) if room(name) in rooms), len(LEVELS))


def upward(modules: dict[str, str]) -> list[str]:
    """Imports that are not allowed, "from -> to"."""

    def allowed(source: str, target: str) -> bool:
        if room(source) == room(target):
            # A study's folder is below the study.
            below = "jgmm.study.folder"
            return room(source) != "study" or not source.startswith(below) or target.startswith(below)
        if room(source) in ASIDE:
            return room(target) in ASIDE[room(source)]
        same = level(source) == level(target)
        return (
            room(target) in {*ASIDE, *FROM_ALL}
            or level(source) < level(target)
            or (same and level(source) == len(LEVELS))
        )

    return [
        f"{source} -> {target}"
        for source, targets in imports(modules).items()
        for target in sorted(targets)
        if target.startswith("jgmm") and not allowed(source, target)
    ]


def circles(modules: dict[str, str]) -> list[str]:
    """A circle of imports, if there is one."""
    try:
        list(graphlib.TopologicalSorter(imports(modules)).static_order())
    except graphlib.CycleError as circle:
        return circle.args[1]
    return []


def with_jax(modules: dict[str, str]) -> list[str]:
    """Modules of theory and stats from which imports lead to JAX."""
    graph = imports(modules)
    sees = {"jax", "jaxlib"}
    while more := {name for name, targets in graph.items() if targets & sees} - sees:
        sees |= more
    return sorted(name for name in graph if name in sees and room(name) in ASIDE)


def too_long(modules: dict[str, str]) -> list[str]:
    """Files of more lines than a file may have, and exceptions that are none."""
    long = {path for path, text in modules.items() if text.count("\n") > LONGEST}
    return sorted(long ^ GENERATORS)


STORED = {
    "study/cell.py: {'polynomial': 'schedule', 'adam': 'adam'}": "keys of what IDs are made of",
    "study/faults.py: {'seeding': SeedingSpec, 'em': EMSpec}": "tables of a spec, one of which is called [em]",
}  # what decides nothing
NAMES = {*ALGORITHMS, *LAYOUTS, *NOISES, *STEP_SIZES}


def by_name(modules: dict[str, str]) -> list[str]:
    """Places in study/ and report/ where a record's name, or a theorem's number, decides."""

    def names(node: ast.AST) -> bool:
        return any(
            isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value in NAMES for n in ast.walk(node)
        )

    def numbers(node: ast.Compare) -> bool:
        sides = [node.left, *node.comparators]
        asked = any(getattr(side, "attr", getattr(side, "id", None)) == "theorem" for side in sides)
        return asked and any(
            isinstance(n, ast.Constant) and isinstance(n.value, int) for side in sides for n in ast.walk(side)
        )

    def decides(node: ast.AST) -> bool:
        match node:
            case ast.Compare():
                return names(node) or numbers(node)
            case ast.Call(func=ast.Attribute(attr="startswith" | "endswith")):
                return any(map(names, node.args))
            case ast.Dict():
                return any(key is not None and names(key) for key in node.keys)
            case ast.match_case():
                return names(node.pattern)
        return False

    faults = [
        f"{path}: {ast.unparse(node)}"
        for path, text in modules.items()
        if path.startswith(("study/", "report/"))
        for node in ast.walk(ast.parse(text))
        if decides(node)
    ]
    return sorted(set(faults) ^ STORED.keys())


def private(modules: dict[str, str]) -> list[str]:
    """Uses, and patches, of names of jgmm that begin with an underscore."""
    public = re.compile(r"[^_]|__|_(asdict|fields|replace|make)$")  # of a NamedTuple's, too
    faults = []
    for path, text in modules.items():
        nodes = list(ast.walk(ast.parse(text)))
        statements = (node for node in import_statements(text) if isinstance(node, ast.ImportFrom))
        aliases = [alias for node in statements if (node.module or "").startswith("jgmm") for alias in node.names]
        ours = {alias.asname or alias.name for alias in aliases}
        names = [alias.name for alias in aliases]
        for node in nodes:
            match node:
                case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in ours:
                    names.append(name)
                case ast.Call(args=[ast.Name(id=owner), ast.Constant(value=str(name)), *_]) if owner in ours:
                    names.append(name)
        faults += [f"{path}: {name}" for name in names if not public.match(name)]
    return faults


RULES = [upward, circles, with_jax, too_long, by_name]


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_this_rule(rule):
    faults = rule(sources())
    assert faults == []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (upward, "report/planted.py", "import jgmm.terminal"),
        (upward, "algorithms/planted.py", "def f():\n    from jgmm import start"),
        (upward, "contract.py", "if TYPE_CHECKING:\n    from jgmm.engine.run import Record"),
        (upward, "terminal.py", "from jgmm.commands import run_study"),
        (upward, "study/folder/planted.py", "from jgmm.study import spec"),
        (upward, "study/folder/planted.py", "from .. import spec"),
        (upward, "theory/planted.py", "from jgmm import steps"),
        (upward, "stats/planted.py", "from jgmm import ordered"),
        (upward, "mixture.py", "from jgmm.contract import Numbers"),
        (circles, "lanes.py", "from jgmm import mixture"),
        (with_jax, "stats/planted.py", "import jax.numpy as jnp"),
        (with_jax, "rates.py", "from jax import lax"),
        (by_name, "study/planted.py", "if cell.algorithm == 'lloyd': pass"),
        (by_name, "study/planted.py", "if cell.layout in ('symmetric', 'simplex'): pass"),
        (by_name, "study/planted.py", "words = {'adam': 'Kingma and Ba'}"),
        (by_name, "study/planted.py", "if layout.endswith('box'): pass"),
        (by_name, "report/planted.py", "match name:\n    case 'gaussian': pass"),
        (by_name, "report/planted.py", "if study.theorem != 1: pass"),
        (too_long, "engine/planted.py", "\n" * 351),
        (too_long, "engine/threads.py", "\n"),
    ],
)
def test_a_planted_fault_is_found(rule, path, text):
    before, after = rule(sources()), rule({**sources(), path: text})
    assert set(after) - set(before)


def test_tests_and_benchmarks_use_no_private_names():
    root = Path(__file__).parents[1]
    modules = {
        path.relative_to(root).as_posix(): path.read_text()
        for folder in ("tests", "benchmarks", "examples")
        for path in sorted((root / folder).rglob("*.py"))
    }
    faults = private(modules)
    assert faults == []


@pytest.mark.parametrize("use", ["cli._cache()", "setattr(cli, '_cache', 1)", "from jgmm.cli import _cache"])
def test_a_planted_private_name_is_found(use):
    assert private({"planted.py": f"from jgmm import cli\n{use}"}) == ["planted.py: _cache"]
