r"""What a step computes of counts alone, for a block of samples at once: vectors are then of samples, not of runs.

    eta_t = scale / (t + shift)^power, t = t_0, t_0 + 1, ...      one vector for so many t, in place of one for each t

A count is an integer of the state that is the same for all runs and to which every sample adds the same number. Where
all runs of a strip have the same parameters, what depends on counts and on these alone is the same for all of them. The
operations are those of the list, and so are the bits.
"""

from collections.abc import Callable
from typing import NamedTuple

import llvmlite.ir as ir
import numpy as np

from jgmm.engine.blocks import Blocks, Layout
from jgmm.engine.emit import AGAIN, TYPES, Values, counted, loop, number
from jgmm.engine.operations import Node, ordered
from jgmm.engine.program import Piece


class Ahead(NamedTuple):
    """A step in two: values that are computed for a block of samples, and the rest, whose inputs ("ahead", i) they are.

    counts: what a sample adds to a leaf's count, by the leaf's number.
    """

    values: list[Node]
    counts: dict[int, int]
    rest: Piece


def ahead(where: Layout) -> Ahead:
    """A program's step in two."""
    program, step = where.program, where.program.step.results
    counts = {name[1]: added for name, node in step.items() if (added := _added(name, node)) is not None}
    counts = {n: added for n, added in counts.items() if program.leaves[n].scalar}
    if not counts:
        return Ahead([], {}, program.step)
    order, _, cost = counted(step.values())
    known: dict[int, bool] = {}  # what is the same for all runs, and whether a count is in it
    wanted: dict[int, Node] = {}
    for node in order:
        if node.op == "input":
            same, counting = _same(node, counts, where), node.data[0] == "leaf" and node.data[1] in counts
        else:
            same = node.op not in ("total", "repeat", "item") and all(id(arg) in known for arg in node.args)
            counting = any(known.get(id(arg)) for arg in node.args)
        if same:
            known[id(node)] = counting
            continue
        for arg in node.args:
            if known.get(id(arg)) and cost[id(arg)] > AGAIN and arg.dtype == program.dtype:
                wanted[id(arg)] = arg
    values = list(wanted.values())
    return Ahead(values, counts, Piece(_with_inputs(step, values)))


def _same(node: Node, counts: dict[int, int], where: Layout) -> bool:
    """Whether an input is the same for all runs of a strip: a count, or a parameter."""
    kind, *which = node.data
    return kind == "leaf" and node.tag is None and (which[0] in counts or f"leaf{which[0]}" in where.flat)


def _added(name: tuple, node: Node) -> int | None:
    """What a sample adds to an integer of the state; None where that is not all that it does to it."""
    if node.op != "add" or not node.dtype.startswith("int"):
        return None
    itself = [arg for arg in node.args if arg.op == "input" and arg.data == name]
    numbers = [arg for arg in node.args if arg.op == "number"]
    return int(numbers[0].number()) if itself and numbers else None


def _with_inputs(results: dict[tuple, Node], values: list[Node]) -> dict[tuple, Node]:
    """The same results, of inputs in the place of these values."""
    new = {id(node): Node("input", (), node.dtype, ("ahead", i), None, 0) for i, node in enumerate(values)}
    for node in ordered(results.values()):
        if id(node) not in new:
            args = tuple(new[id(arg)] for arg in node.args)
            same = all(a is b for a, b in zip(args, node.args, strict=True))
            new[id(node)] = node if same else Node(node.op, args, node.dtype, node.data, node.tag, node.depth)
    return {name: new[id(node)] for name, node in results.items()}


def rows(where: Layout) -> int:
    """Rows of scratch that hold the values of a block, one value's behind the other's."""
    return max(1, len(ahead(where).values) * _each(where))


def _each(where: Layout) -> int:
    """Rows of one value, each of so many samples as a vector has numbers."""
    return -(-where.block // where.width)


def compute(blocks: Blocks, found: Ahead, samples: ir.Value) -> None:
    """The values for the next so many samples, into the scratch."""
    if not found.values:
        return
    b, where = blocks.b, blocks.where
    _, uses, cost = counted(found.values)

    def some(row: ir.Value, _: list) -> tuple:
        source, values = _source(blocks, found.counts, row), Values(uses, cost, everything=True)
        for i, node in enumerate(found.values):
            blocks.keep(blocks.e.get(node, source, values), "ahead", b.add(row, number(i * _each(where))))
        return ()

    loop(b, b.sdiv(b.add(samples, number(where.width - 1)), number(where.width)), some)


def _source(blocks: Blocks, counts: dict[int, int], row: ir.Value) -> Callable:
    """Inputs for the samples of a row: parameters, and counts as they will be there."""
    b, width = blocks.b, blocks.where.width

    def get(name: tuple) -> ir.Value:
        _, n, index = name
        leaf = blocks.program.leaves[n]
        value = blocks.load(f"leaf{n}", int(np.ravel_multi_index(index, leaf.shape)) if index else 0)
        if n not in counts:
            return value
        kind = TYPES[leaf.dtype]
        first = b.mul(row, number(width))
        first = first if kind == first.type else b.trunc(first, kind)
        t = b.add(blocks.everywhere(first), ir.Constant(value.type, list(range(width))))
        return b.add(value, b.mul(t, blocks.e.constant(counts[n], leaf.dtype)))

    return get


def value(blocks: Blocks, i: int, t: ir.Value) -> ir.Value:
    """Value i for sample t of the block, for every run."""
    b, where = blocks.b, blocks.where
    numbers = b.bitcast(blocks.scratch["ahead"], TYPES[where.program.dtype].as_pointer())
    place = b.add(t, number(i * _each(where) * where.width))
    return blocks.everywhere(b.load(b.gep(numbers, [place], inbounds=True)))
