"""What a mixture, an algorithm and a start are called on the page: mostly what their records say."""

from collections.abc import Iterable

from jgmm import outside
from jgmm.study import expected, settings
from jgmm.study.spec import Cell


def mixture(cell: Cell) -> str:
    """How a cell's data are drawn."""
    layout, noise = cell.placed, cell.disturbed
    where = f"means given by {cell.layout}" if layout is None else layout.words.format(side=cell.side)
    more = [] if noise.gaussian else [noise.words + "".join(f", {n} = {x:g}" for n, x in cell.noise_numbers)]
    if cell.covariance:
        more.append(f"covariance {settings.covariance(cell.covariance)}")
    if cell.dwell:
        more.append(f"a label stays with probability {cell.dwell:g}")
    if cell.drift:
        more.append(f"all means move {cell.drift:g} sigma a sample")
    return "; ".join([where, *more])


def method(cell: Cell) -> str:
    """What a cell's algorithm does, its step size in full, and where it starts."""
    what = algorithm(cell)
    if cell.batch > 1:
        what += f", a step for every {cell.batch} samples"
    if cell.average:
        what += f", the estimate the mean of the last {cell.average:.0%} of the iterates"
    if cell.seeding is None:
        where = "the true means" if cell.start in ("truth", 0.0) else f"each mean moved {cell.start} sigma at random"
        if cell.head:
            where = f"{cell.start} on the first {cell.head} samples"
        return f"{what}; start: {where}"
    power = "Oja's rule, orthonormalised every B"
    if cell.seeding.method == "block":
        power = "block power iteration, blocks of B"
    graph = f"a {cell.seeding.neighbors}-nearest-neighbour graph of k0 projected points"
    return f"{what}; seeding: {power} samples, then {graph}"


def estimands(cells: Iterable[Cell]) -> list[str]:
    """What these cells estimate."""
    cells = list(cells)
    words = []
    if of_means := [cell for cell in cells if expected.of_means(cell)]:
        up_to_sign = " (for EM, its one mean up to sign)" if any(cell.estimates < cell.k for cell in of_means) else ""
        words.append(f"The means mu_i, under the best one-to-one matching{up_to_sign}")
    if len(of_means) < len(cells):
        words.append("The span of the means")
    if any(cell.displacement for cell in cells):
        words.append("for a floor, the squared length of the mean displacement of the centres")
    return words


def errors(cells: Iterable[Cell]) -> list[str]:
    """The formulas of these cells' squared errors."""
    formulas = {True: "sum_i |mu_i - mu_i*|^2", False: "sum_i sin^2 of the i-th angle between the spans"}
    return list(dict.fromkeys(formulas[expected.of_means(cell)] for cell in cells))


def algorithm(cell: Cell) -> str:
    """What the algorithm does with a sample, and its step size."""
    if cell.start_only:
        return "seeding alone" if cell.seeding else "the start alone"
    record = cell.record
    numbers = "".join(f", {name} = {value}" for name, value in cell.chosen.items())
    return record.words + numbers + ("" if record.own_step else f", step {step_size(cell)}")


def step_size(cell: Cell) -> str:
    """The step size's formula, or its number."""
    formulas = {
        "paper": cell.record.paper_formula,
        "seed": "3 k log2(3N)/N",
        "best": "the best constant for the horizon",
        "given": f"{cell.rate:g}" if cell.rate else "",
    }
    if cell.rate is None and not cell.step.numbers and not outside.named(cell.step.name):
        return cell.step_size.rule.words
    return formulas.get(cell.rate_name, cell.rate_name)
