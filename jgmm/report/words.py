"""What a mixture, an algorithm and a start are called on the page. What depends on an algorithm is asked here alone."""

from jgmm.study.spec import Cell


def mixture(cell: Cell) -> str:
    """How a cell's data are drawn."""
    layouts = {
        "simplex": "means at the corners of a regular simplex about the origin",
        "symmetric": "means at +m and -m",
        "box": f"means uniform in a box of side {cell.side:g}, redrawn in every run until they are far enough apart",
        "symmetric-box": f"a mean uniform in a box of side {cell.side:g} and its mirror image, redrawn in every run",
    }
    return layouts.get(cell.layout, f"means given by {cell.layout}")


def method(cell: Cell) -> str:
    """What a cell's algorithm does, its step size in full, and where it starts."""
    what = algorithm(cell)
    if cell.average:
        what += f", the estimate the mean of the last {cell.average:.0%} of the iterates"
    if cell.seeding is None:
        where = "the true means" if cell.start in ("truth", 0.0) else f"each mean moved {cell.start} sigma at random"
        return f"{what}; start: {where}"
    power = "Oja's rule, orthonormalised every B"
    if cell.seeding.method == "block":
        power = "block power iteration, blocks of B"
    graph = f"a {cell.seeding.neighbors}-nearest-neighbour graph of k0 projected points"
    return f"{what}; seeding: {power} samples, then {graph}"


def algorithm(cell: Cell) -> str:
    """What the algorithm does with a sample, and its step size."""
    if cell.start_only:
        return "seeding alone" if cell.seeding else "the start alone"
    step = step_size(cell)
    return {
        "lloyd": f"streaming Lloyd, each sample moves the nearest centre, step {step}",
        "em": f"streaming EM, mu <- mu + eta (tanh(beta <x, mu>/sigma^2) x - mu), beta = {cell.beta}, step {step}",
        "soft": f"soft updates, mu_i <- mu_i + eta p_i (x - mu_i), beta = {cell.beta}, step {step}",
        "oracle": "labelled oracle, the mean of each component's own samples",
    }[cell.algorithm]


def step_size(cell: Cell) -> str:
    """The step size's formula, or its number."""
    formulas = {
        "paper": "3 k ln(3N)/N" if free_centres(cell) else "3 ln(N)/N",
        "seed": "3 k log2(3N)/N",
        "best": "the best constant for the horizon",
        "1/n": "1/n_i, n_i the samples that centre i has won, its start among them",
        "given": f"{cell.rate:g}" if cell.rate else "",
    }
    return formulas.get(cell.rate_name, cell.rate_name)


def free_centres(cell: Cell) -> bool:
    """Whether a cell's algorithm keeps a centre for each component (EM keeps one for a symmetric pair)."""
    return cell.algorithm != "em"
