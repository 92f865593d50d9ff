"""Whether a cell's stream goes on in all dimensions or, with the same law, in a reduced one (`engine.reduction`).

    direct     in all of them
    reduced    in as many coordinates as it takes; refused, with the reason, where that cannot be
    auto       reduced where that can be and d is more than FEWER times its coordinates, else direct

The stream costs about as much as a direct one in twice its coordinates: turning axes takes as long as a sample in them.
"""

from jgmm import named
from jgmm.study.cell import Cell

FEWER = 2


def settled(cell: Cell, wanted: str) -> Cell:
    """The cell with the coordinates of its stream. Raises ValueError where a reduced dimension is asked for in vain."""
    if wanted == "direct" or cell.start_only:
        return cell
    why = _obstacle(cell)
    coordinates = 0 if why else 1 + cell.rank + _vectors(cell)
    if not why and cell.d < coordinates - 1 + named.at("jgmm.radius:LEAST"):
        why = f"d = {cell.d} is fewer than its {coordinates} coordinates and 2 more"
    if wanted == "reduced" and why:
        raise ValueError(f"dimension is 'reduced', but {why}: expected 'direct' or 'auto'")
    if why or (wanted == "auto" and cell.d <= FEWER * coordinates):
        return cell
    return cell.model_copy(update={"reduced": coordinates})


def _obstacle(cell: Cell) -> str | None:
    """Why a cell's dimension cannot be reduced, whatever it is."""
    if cell.seeding is not None:
        return "Algorithm 2 is simulated in all dimensions: start is 'seeding'"
    if cell.head:
        return "a start from data is made in all dimensions"
    if cell.batch > 1:
        return f"a step of several samples is not made in turning axes: batch is {cell.batch}"
    if cell.covariance or cell.dwell or cell.drift:
        return "samples are not independent and spherical about means that stay"
    if cell.measures:
        return f"what is measured beside errors is measured in all dimensions: measures are {list(cell.measures)}"
    if cell.average:
        return "an average of iterates is not held in turning axes: average is not 0"
    if cell.displacement:
        return "displacements are stored in the axes of the means: displacement is true"
    if cell.fitted is not None:
        return "there are estimates of a number of their own"
    if not cell.disturbed.gaussian:
        return f"only Gaussian noise is the same in all directions: noise is {cell.noise!r}"
    return named.at("jgmm.engine.reduction:refusal")(cell.record, cell.step_size)


def _vectors(cell: Cell) -> int:
    return named.at("jgmm.engine.reduction:num_vectors")(cell.step_size, cell.estimates, twin=cell.has_twin)
