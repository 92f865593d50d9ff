"""What the parts of a study share: tables and keys that stand above them, merged into each part that they mean
something to.
"""

from collections.abc import Mapping

from jgmm.study import shown
from jgmm.study.parts import TABLES, Part

REFINING = {"refine", "refine_cells", "refined"}
# Keys of a spec that its parts may share.
SHARED = {*TABLES, *REFINING, "numbers", "algorithm", "theorem", "quantity", "together"}


def split(table: Mapping) -> tuple[dict, list, dict]:
    """Keys that a spec's parts share, each part's own tables, and the study's keys.

    Raises ValueError if `part` is no list of tables.
    """
    shared = {key: value for key, value in table.items() if key in SHARED}
    own = table.get("part", [{}])
    if not isinstance(own, list) or not all(isinstance(part, dict) for part in own):
        raise ValueError(f"part is {shown.value(own)}, expected [[part]] tables")
    return shared, own, {key: value for key, value in table.items() if key not in SHARED}


def merge(shared: dict, part: dict) -> dict:
    """A part's tables laid over the shared ones."""
    merged = dict(shared)
    for key, value in part.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both_tables else value
    return merged


def of_use(parts: list[Part], shared: dict, own: list[dict]) -> list[Part]:
    """The parts without shared keys that mean nothing to them.

    shared, own: the tables that they were merged of. Raises ValueError, a line each, for keys of a part's own that mean
    nothing to it, and shared ones that mean nothing to any part.
    """
    for name in TABLES:  # every part may have one of its own in place of it
        if name in shared and not isinstance(shared[name], Mapping):
            raise ValueError(f"{name} is {shown.value(shared[name])}, expected a table")
    idle = [part.idle() for part in parts]
    faults = [
        f"part {part.name!r}: {_left_out(part, key, reasons)}"
        for part, table, reasons in zip(parts, own, idle, strict=True)
        for key in sorted(_keys(table) & part.written() & set(reasons))
    ]
    faults += [
        _left_out(parts[0], key, idle[0])
        for key in sorted(_keys(shared))
        if all(key in reasons for reasons in idle) and any(key in part.written() for part in parts)
    ]
    if faults:
        raise ValueError("\n".join(faults))
    return [part.without(set(reasons) & part.written()) for part, reasons in zip(parts, idle, strict=True)]


def _keys(tables: dict) -> set[tuple[str, str]]:
    """The keys in a spec's tables, by table and key."""
    return {(name, key) for name in TABLES for key in tables.get(name, {})}


def _left_out(part: Part, place: tuple[str, str], reasons: dict[tuple[str, str], str]) -> str:
    """That a key means nothing, with its value and the reason."""
    table, key = place
    value = getattr(getattr(part, table), key)
    given = shown.value(value[0] if isinstance(value, list) and len(value) == 1 else value)
    return f"{table}.{key} is {given}: {reasons[place]}: expected it left out"
