"""Whether a cell's stream goes on in all dimensions or, with the same law, in a reduced one (`engine.reduction`).

    direct     in all of them
    reduced    in as many coordinates as it takes; refused, with the reason, where that cannot be
    auto       reduced where that can be and d is more than FEWER times its coordinates, else direct

Algorithm 2, where streams start by it, goes the same way as the stream.
The stream costs about as much as a direct one in twice its coordinates: turning axes takes as long as a sample in them.
"""

from jgmm import named
from jgmm.study.cell import Cell

FEWER = 2


def settled(cell: Cell, wanted: str) -> Cell:
    """The cell with the coordinates of its stream. Raises ValueError where a reduced dimension is asked for in vain."""
    if wanted == "direct" or (cell.start_only and cell.seeding is None):
        return cell
    why = _obstacle(cell)
    coordinates = 0 if why else cell.rank + (cell.k if cell.start_only else 1 + _vectors(cell))
    if not why:
        why = _too_few(cell, coordinates)
    if wanted == "reduced" and why:
        raise ValueError(f"dimension is 'reduced', but {why}: expected 'direct' or 'auto'")
    if why or (wanted == "auto" and cell.d <= FEWER * coordinates):
        return cell
    return cell.model_copy(update={"reduced": coordinates})


def _too_few(cell: Cell, coordinates: int) -> str | None:
    """That a cell's dimension leaves too few beyond its coordinates, if it does."""
    if not cell.start_only and cell.d < coordinates - 1 + named.at("jgmm.radius:LEAST"):
        return f"d = {cell.d} is fewer than its {coordinates} coordinates and 2 more"
    if cell.seeding is not None:
        twice = cell.rank + 2 * cell.k
        if cell.d < twice + named.at("jgmm.engine.reduced_power:SPARE"):
            return f"d = {cell.d} is fewer than the {twice} coordinates of Algorithm 2's blocks and 2 more"
    return None


def _obstacle(cell: Cell) -> str | None:
    """Why a cell's dimension cannot be reduced, whatever it is."""
    if cell.seeding is not None and cell.seeding.method != "block":
        return f"Oja's rule is simulated in all dimensions: method is {cell.seeding.method!r}"
    if cell.head:
        return "a start from data is made in all dimensions"
    if cell.covariance or cell.dwell or cell.drift:
        return "samples are not independent and spherical about means that stay"
    if not cell.disturbed.gaussian:
        return f"only Gaussian noise is the same in all directions: noise is {cell.noise!r}"
    return None if cell.start_only else _obstacle_to_stream(cell)


def _obstacle_to_stream(cell: Cell) -> str | None:
    """Why a cell's stream cannot go on in turning axes."""
    if cell.batch > 1:
        return f"a step of several samples is not made in turning axes: batch is {cell.batch}"
    if cell.measures:
        return f"what is measured beside errors is measured in all dimensions: measures are {list(cell.measures)}"
    if cell.average:
        return "an average of iterates is not held in turning axes: average is not 0"
    if cell.displacement:
        return "displacements are stored in the axes of the means: displacement is true"
    if cell.fitted is not None:
        return "there are estimates of a number of their own"
    return named.at("jgmm.engine.reduction:refusal")(cell.record, cell.step_size)


def _vectors(cell: Cell) -> int:
    return named.at("jgmm.engine.reduction:num_vectors")(cell.step_size, cell.estimates, twin=cell.has_twin)
