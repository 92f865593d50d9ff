"""What a folder keeps when a spec goes on with its study: values that refine has added, and what its runs store.

A claim is a way to judge what is stored, so it may change. What a claim is about may be measured for its sake
(`measured`): then a spec goes on whose claim is about something that the runs store, and they store the same on.
"""

from collections.abc import Mapping
from typing import Any

from jgmm.study import measured
from jgmm.study.spec import Study

Table = Mapping[str, Any]  # a part, as study.toml holds it


def going_on(study: Study, stored: Mapping[str, Any]) -> Study:
    """The study as it goes on from a stored one (a study.toml's table)."""
    return measuring_as(refined_as(study, stored), stored)


def refined_as(study: Study, stored: Mapping[str, Any]) -> Study:
    """The study with the rounds of `refined` of a study.toml where these go further than its own."""
    rounds = {table["name"]: table.get("refined", []) for table in stored["part"]}
    parts = [
        part.model_copy(update={"refined": further})
        if part.refine is not None and (further := rounds.get(part.name, []))[: len(part.refined)] == part.refined
        else part
        for part in study.part
    ]
    return study.model_copy(update={"part": parts})


def measuring_as(study: Study, stored: Mapping[str, Any]) -> Study:
    """The study with the measures of a study.toml that it does not ask for, where that has all that it asks for."""
    tables = {table["name"]: table for table in stored["part"]}
    parts = []
    for part in study.part:
        table = tables.get(part.name)
        own, old = asked(part.model_dump(exclude_none=True)), asked(table) if table else []
        if more := [name for name in old if name not in own] if set(own) <= set(old) else []:
            stream = part.stream.model_copy(update={"measure": [*part.stream.measure, *more]})
            part = part.model_copy(update={"stream": stream})
        parts.append(part)
    return study.model_copy(update={"part": parts})


def asked(part: Table) -> list[str]:
    """The measures that a part asks for, or that its quantity and its claim are about."""
    about = [_measure(part, quantity) for quantity in (part.get("quantity"), _claimed(part)) if quantity]
    return list(dict.fromkeys([*part.get("stream", {}).get("measure", []), *(name for name in about if name)]))


def apart_from_claims(new: Table, old: Table) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both parts without their claims; and without what they measure, where that is the same.

    Raises ValueError where the new claim is about what the runs of the old part do not store.
    """
    stores, on = asked(old), _claimed(new)
    if on and (needs := _measure(new, on)) and needs not in stores and on != new.get("quantity"):
        raise ValueError(f"its runs store no {needs}, and the claim of part {new['name']!r} is now on {on!r}")
    same = set(asked(new)) == set(stores)
    return _judged_otherwise(new, same), _judged_otherwise(old, same)


def _judged_otherwise(part: Table, same: bool) -> dict[str, Any]:
    left = {key: value for key, value in part.items() if key != "claim"}
    if same and "stream" in left:
        left["stream"] = {key: value for key, value in left["stream"].items() if key != "measure"}
    return left


def _measure(part: Table, quantity: str) -> str | None:
    """The measure that a quantity is of; None of one that all runs store."""
    return quantity if ":" in quantity else measured.of_quantity(quantity, min(part["mixture"]["k"]))


def _claimed(part: Table) -> str | None:
    """The quantity that the part's claim is on; None where nothing is claimed."""
    claim = part.get("claim", {})
    return claim.get("on", measured.ALWAYS[0]) if claim.get("bound") else None
