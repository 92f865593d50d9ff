"""`[seeding]` of a spec: the sizes of Algorithm 2. Needs no JAX."""

from typing import Annotated, Literal

from jgmm.study.fields import Axis, Count, NonEmpty, about
from jgmm.study.strict import Table


class SeedingSpec(Table):
    """`[seeding]`: "seed" stands for the course project's size."""

    n: Annotated[
        list[Literal["seed"] | Count],
        Axis,
        NonEmpty,
        about('Samples N0 of Algorithm 2; "seed" is int(k^3 d^3 ln(k d)), at least 1000.', "[3000, 30000]", "samples"),
    ] = ["seed"]
    block: Annotated[
        list[Literal["seed"] | Count],
        Axis,
        NonEmpty,
        about(
            'Samples in a block of the power iteration; "seed" is int(d ln d), at least k.', "[100, 1000]", "samples"
        ),
    ] = ["seed"]
    graph_points: Annotated[
        list[Literal["seed"] | Count],
        Axis,
        NonEmpty,
        about(
            'Samples that the nearest-neighbour graph joins; "seed" is int(10 k ln k), at least 10.',
            "[80, 320]",
            "samples",
        ),
    ] = ["seed"]
    neighbors: Annotated[
        list[Count],
        Axis,
        NonEmpty,
        about("Nearest neighbours that each graph point is joined to.", "[1, 3]", "points"),
    ] = [3]
    method: Annotated[
        list[Literal["block", "oja"]],
        Axis,
        NonEmpty,
        about("Power iteration by blocks, or Oja's rule.", '["block", "oja"]'),
    ] = ["block"]
