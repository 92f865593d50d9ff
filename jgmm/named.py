"""What a spec names: an algorithm, a layout, a noise, a step size, a measure; jgmm's by name, yours as "module:NAME".

Tables are found by their place, so that nothing here needs JAX until a name is loaded.
"""

import importlib
from typing import Any

from jgmm import doors, outside

TABLES = {
    "algorithm": "jgmm.algorithms:ALGORITHMS",
    "layout": "jgmm.mixture:LAYOUTS",
    "noise": "jgmm.noise:NOISES",
    "step size": "jgmm.steps:STEP_SIZES",
    "measure": "jgmm.measures:MEASURES",
}
KINDS = {  # what a table's values are; of a step size `jgmm.steps.of` takes more than one kind
    "algorithm": "jgmm.contract:Algorithm",
    "layout": "jgmm.mixture:Layout",
    "noise": "jgmm.contract:Noise",
    "measure": "jgmm.measures:Measure",
}


def load(kind: str, name: str) -> Any:
    """The value that has this name among those of its kind: "lloyd", or "my_module:MINE".

    Raises ValueError for a kind or name that there is not, a module that cannot be imported, or another kind's value.
    """
    if not isinstance(kind, str) or kind not in TABLES:
        raise doors.bad("kind", kind, f"one of {', '.join(TABLES)}")
    table = at(TABLES[kind])
    if not isinstance(name, str) or (name not in table and ":" not in name):
        raise doors.bad(kind, name, f"one of {', '.join(table)}, or module:NAME")
    if name not in table:
        value = outside.load(name, kind)
    else:
        value = at(table[name]) if isinstance(table[name], str) else table[name]
    if kind in KINDS and not isinstance(value, wanted := at(KINDS[kind])):
        raise ValueError(f"{kind} {name!r} is a {type(value).__name__}, expected {wanted.__module__}.{wanted.__name__}")
    return value


def step_size(name: str, numbers: tuple[float, ...] = ()) -> Any:
    """The step size of this name: of a rule of jgmm's with these numbers (none: its defaults), or one from outside.

    What is neither is a formula in t (`jgmm.expressed`), the numbers those of its parts that do not depend on t.
    """
    if name not in at(TABLES["step size"]) and ":" not in name:
        return at("jgmm.expressed:step_size")(name, numbers)
    rule = load("step size", name)
    if ":" in name:
        return at("jgmm.steps:of")(rule)
    values = numbers or tuple(default for _, default in rule.numbers)
    pairs = zip(rule.numbers, values, strict=True)
    return at("jgmm.steps:StepSize")(rule, {key: value for (key, _), value in pairs})


def name_of(value: Any) -> str:
    """The name of a value that is of any kind: jgmm's own, where a table has it."""
    for kind in TABLES:
        for own, entry in at(TABLES[kind]).items():
            if (at(entry) if isinstance(entry, str) else entry) is value:
                return own
    return outside.name(value)


def at(place: str) -> Any:
    """The value at a place in jgmm, "module:NAME"."""
    module, _, value = place.partition(":")
    return getattr(importlib.import_module(module), value)
