"""What is wrong with a spec, said in its writer's words: pydantic's errors as lines that name keys and values."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from jgmm.study import limits, shown
from jgmm.study.claim_spec import ClaimSpec
from jgmm.study.fields import listed_lists
from jgmm.study.parts import TABLES, EMSpec, MixtureSpec, Part, SeedingSpec, StreamSpec

WORDS = {  # of pydantic, and what we say in their place
    "Value error, ": "",
    "Input should be": "expected",
    "less than or equal to": "at most",
    "greater than or equal to": "at least",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid string": "a text",
    "a valid list": "a list",
    "List should have": "expected",
    "String should": "expected to",
    "Value should": "expected to",
    " after validation": "",
}


def told(error: ValidationError, table: dict, keys: Iterable[str]) -> str:
    """A line for each of the first faults of a spec, and how many more there are. As `lines`."""
    said = lines(error, table, keys)
    more = [f"and {len(said) - limits.FAULTS} more"] if len(said) > limits.FAULTS else []
    return "\n".join([*said[: limits.FAULTS], *more])


def lines(error: ValidationError, table: dict, keys: Iterable[str]) -> list[str]:
    """A line for each key at fault, with what any of its forms would expect; beyond those told, only counted.

    table: the spec that was refused. keys: those that a spec may have above its parts.
    """
    messages: dict[str, list[str]] = {}  # by place in the spec
    for item in error.errors(include_url=False, include_context=False):
        place = _place(item["loc"], table)
        said = messages.setdefault(place, [])
        if len(messages) > limits.FAULTS:
            continue
        if item["type"] in ("model_type", "dict_type") and said:
            continue  # that it is no table either
        message = _message(str(item["msg"]), item["type"], item["input"], place, keys)
        if said and message not in said:
            message = f" or {message.rpartition(': ')[2].strip().removeprefix('expected ')}"
        if message not in said:
            said.append(message)
    # A table that fits no form is told by what is wrong inside it.
    inside = {place.rpartition(".")[0] for place in messages if "." in place}
    names = _names(table)
    texts = (f"{_in_words(place, names)}{''.join(said)}" for place, said in messages.items() if place not in inside)
    return [line.strip() for text in texts for line in text.split("\n")]


def _names(table: Mapping) -> list[str | None]:
    """The names of a spec's parts; None for one that has no name, or shares it."""
    parts = table.get("part")
    parts = parts if isinstance(parts, list) else []
    names = [part.get("name") if isinstance(part, Mapping) else None for part in parts]
    return [name if isinstance(name, str) and names.count(name) == 1 else None for name in names]


def _in_words(place: str, names: list[str | None]) -> str:
    """A place in a part with that part's name for its number."""
    found = re.match(r"part\.(\d+)(?:\.(?=.)|$)", place)
    if not found or int(found[1]) >= len(names) or (name := names[int(found[1])]) is None:
        return place
    inside = place[found.end() :]
    return f"part {shown.value(name)}" + (f": {inside}" if inside else "")


def _message(theirs: str, kind: str, value: Any, place: str, keys: Iterable[str]) -> str:
    """What stands behind a place: pydantic's message in our words, with the value."""
    for words, ours in WORDS.items():
        theirs = theirs.replace(words, ours)
    theirs = re.sub(r"a valid dictionary or instance of \w+", "a table", theirs)
    if kind == "extra_forbidden":
        return f": unknown key{_near(place, keys)}"
    if kind == "value_error":
        return f" {theirs}"
    return f" is {shown.value(value)}: {theirs}"


def _place(loc: tuple, table: dict) -> str:
    """Where in the spec a fault lies, as its writer would say it: no names of types, no 0 for a value alone.

    loc: pydantic's path through the resolved study, which also has steps for types and for lists made of one value.
    """
    path: list = []
    value: Any = table
    in_lists = False  # one list of weights is a list of such lists by the time it is checked
    for step in _own_or_shared(list(loc), table):
        if path[-1:] in (["weights"], ["scales"]) and not in_lists and listed_lists(value) != value:
            in_lists = True
        elif (isinstance(value, Mapping) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        ):
            path.append(step)
            value = value[step]
    if loc and not path:
        path = [loc[-1]]
    return ".".join(map(shown.key, path))


def _own_or_shared(steps: list, table: dict) -> list:
    """A path into a part, or without the part where what is at fault stands above all parts."""
    own_tables = table.get("part", [{}])
    if len(steps) < 3 or steps[0] != "part" or not isinstance(own_tables, list):
        return steps
    index, name, *inner = steps[1:]
    own = own_tables[index] if index < len(own_tables) and isinstance(own_tables[index], dict) else {}
    if name not in own:
        return steps[2:]
    is_own = not isinstance(own[name], dict) or not inner or inner[0] in own[name]
    return steps if is_own else steps[2:]


def _near(place: str, keys: Iterable[str]) -> str:
    """A hint at the key that was meant: in its own table, or the table that has one of this name.

    keys: those that a spec may have above its parts.
    """
    *above, key = place.split(".")
    models: dict[str, type[BaseModel]] = {"mixture": MixtureSpec, "stream": StreamSpec}
    models |= {"seeding": SeedingSpec, "em": EMSpec}
    models["claim"] = ClaimSpec
    top_level = [*Part.model_fields, *keys]
    table = next((name for name in reversed(above) if name in TABLES), None)
    fields = [*models[table].model_fields] if table else top_level
    near = difflib.get_close_matches(key, fields, n=1)
    if near:
        return f", expected {near[0]!r}?"
    elsewhere = [f"{name}.{key}" for name, model in models.items() if key in model.model_fields]
    if table and key in top_level:
        elsewhere.append(key)
    if not elsewhere:
        close = {name: difflib.get_close_matches(key, model.model_fields, n=1) for name, model in models.items()}
        elsewhere = [f"{name}.{other}" for name, others in close.items() for other in others]
    return f", expected {' or '.join(elsewhere)}?" if elsewhere else ""
