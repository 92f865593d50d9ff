r"""Whether a step treats all coordinates alike, each by itself: what dealing them out to shares takes.

Read off the lists of a step in two coordinates. What depends on one of them must be, up to its name, what depends on
the other; what depends on several may do so through sums alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jgmm.engine.operations import MIXED, Node, Operations
from jgmm.engine.program import Leaf


def alike(operations: Operations, pieces: Sequence[Mapping[tuple, Node]], leaves: Sequence[Leaf], dtype: str) -> bool:
    """Whether each coordinate's results are those of any other, given what is that other's.

    operations: all that the pieces (results by name) are made of. Shares add up numbers of this dtype alone.
    """
    totals = [node for node in operations if node.op == "total"]
    if not all(_is_sum(node.args[0]) and node.dtype == dtype for node in totals):
        return False
    forms = _forms(operations, leaves)
    return all(_results_alike(piece, leaves, forms) for piece in pieces)


def _forms(operations: Operations, leaves: Sequence[Leaf]) -> dict[int, int]:
    """Of each node of one coordinate, by id, a number: the same for two that differ in the coordinate alone."""
    forms: dict[int, int] = {}
    numbers: dict[tuple, int] = {}
    for node in operations:
        if node.tag is None or node.tag == MIXED:
            continue
        operands = tuple(forms[id(arg)] if arg.tag is not None else id(arg) for arg in node.args)
        key = (node.op, node.dtype, _without_coordinate(node), operands)
        forms[id(node)] = numbers.setdefault(key, len(numbers))
    return forms


def _without_coordinate(node: Node) -> Any:
    """A node's data; an input's name without its coordinate: ("x", c), ("means", (i, c)), ("leaf", number, (i, c))."""
    if node.op != "input":
        return node.data
    *name, index = node.data
    return (*name, index[0]) if isinstance(index, tuple) else tuple(name)


def _results_alike(piece: Mapping[tuple, Node], leaves: Sequence[Leaf], forms: Mapping[int, int]) -> bool:
    form_of: dict[tuple, int | None] = {}  # of a leaf's row, whatever the coordinate; None where it stays
    for (_, number, index), node in piece.items():
        axis = leaves[number].axis
        if axis is None:
            if node.tag is not None:
                return False
            continue
        if node.tag is not None and node.tag != index[axis]:
            return False
        stays = node.op == "input" and node.data == ("leaf", number, index)
        form = None if stays else forms[id(node)] if node.tag is not None else id(node)
        if form_of.setdefault((number, index[:axis]), form) != form:
            return False
    return True


def _is_sum(node: Node) -> bool:
    """Whether it is 0 + t_0 + t_1 + ..., each term of one coordinate."""
    if node.tag is None:
        return False
    while node.op != "number":
        if node.op == "fma" and node.data[1] == 1:
            terms, before = node.args[:2], node.args[2]
        elif node.op == "add":
            terms, before = node.args[1:], node.args[0]
        else:
            return False
        coordinates = {term.tag for term in terms} - {None}
        if coordinates in ({MIXED}, set()) or len(coordinates) > 1:
            return False
        node = before
    return bool(node.number() == 0)
