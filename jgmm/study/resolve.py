"""A point of a grid as a cell: every number that a spec leaves to jgmm computed, every setting checked."""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jgmm import covariance, named, rates
from jgmm.study import claim, dimension, limits, measured, names, settings, shown
from jgmm.study.cell import Cell, sources_of
from jgmm.study.fields import FROM_DATA
from jgmm.study.means import Means
from jgmm.study.parts import Part, StreamSpec
from jgmm.study.seeding_sizes import seeding_sizes
from jgmm.study.step import step_of
from jgmm.theory import THEOREMS, theorem_about

if TYPE_CHECKING:
    from jgmm.contract import Algorithm

OF_NOISES = ("df", "share", "factor")  # axes that mean nothing to a cell of another noise
STREAMED = ("n", "batch", "rate", "estimates", "average")  # axes that mean nothing to a cell without a stream


def cell(part: Part, means: Means | None, point: dict[str, Any], wanted: str = "direct") -> Cell:
    """The cell of a part at a point of its axes. Raises ValueError, naming the part.

    means: of the part's file, if it has one. point: a value for each axis (`grid.axes`). wanted: the study's dimension.
    """
    try:
        return _cell(part, means, point, wanted)
    except ValueError as error:
        raise ValueError(f"part {part.name!r}: {error}") from None


def _cell(part: Part, means: Means | None, point: dict[str, Any], wanted: str) -> Cell:
    k, d, sigma, n, start = point["k"], point["d"], point["sigma"], point["n"], point["start"]
    algorithm = named.load("algorithm", part.algorithm)
    weights, scales = _weights(point, k), _scales(point, k, sigma)
    _check_layout(part, means, k, d)
    if wanted == "direct":
        _check_held(k, d)
    sizes = seeding_sizes(point, k, d) if start == "seeding" else None
    least = min(weight for weight in weights if weight)  # a component of weight 0 has no samples to wait for
    fitted = _fitted(part, point.get("estimates", "own"), algorithm, k, start)
    batch, e = point.get("batch", 1) if n else 1, fitted or algorithm.estimates(k)
    _check_batch(algorithm, batch, n, e)
    head = point["head"] if start in FROM_DATA else 0
    if head and head < e:
        raise ValueError(f"head is {head}: expected at least {e} samples for start {start!r}, one a centre")
    of_one_law = not (point.get("dwell") or point.get("drift") or named.load("noise", point["noise"]).widths)
    if head and not (of_one_law and point.get("covariance", "spherical") == "spherical"):
        raise ValueError(
            f"start is {start!r}, whose head is of independent spherical samples of one width: expected another start"
        )
    offset = start if isinstance(start, float) else None
    horizon = rates.Horizon(n=n // batch, k=fitted or k, d=d, start=offset, weight=least)
    separation = means.closest / max(scales) if means else point.get("separation", part.mixture.separation[0])
    own_numbers = [name for name, _ in algorithm.numbers]
    sampled = _sampled(point, algorithm, d, k)
    numbers = names.of_setting(
        sizes={"k": k, "d": d, "n": n, "e": e, "batch": batch},
        separation=separation if k > 1 else None,
        scales=scales,
        weights=weights,
        start=start,
        seeding=sizes,
        sampled=names.of_samples(sampled["noise_numbers"], sampled["dwell"], sampled["drift"]),
        own={name: float(point[name]) for name in own_numbers if name in point},
    )
    step = step_of(algorithm, point.get("rate"), horizon, numbers)
    average = point.get("average", 0.0) if n else 0.0
    if average and round(horizon.n * (1 - average)) >= horizon.n:
        steps = "n" if batch == 1 else "n / batch"
        raise ValueError(f"average is {average:g}: expected 0, or a share of {steps} = {horizon.n} of a step or more")
    resolved = Cell(
        part=part.name,
        algorithm=part.algorithm,
        theorem=_theorem(part, n, start, fitted),
        claim=part.claim.claim,
        quantity=_quantity(part),
        measures=_measures(part, algorithm, point, fitted),
        heldout=part.stream.heldout if n else 0,
        k=k,
        d=d,
        sigma=sigma,
        weights=weights,
        scales=scales,
        layout=part.mixture.layout,
        layout_hash=means.digest if means else None,
        separation=separation,
        side=part.mixture.side,
        noise=point["noise"],
        **sampled,
        n=n,
        rate=step.value,
        rate_name=step.label,
        step=step.setting,
        average=average,
        batch=batch,
        head=head,
        start=start,
        beta=point.get("beta"),
        numbers=tuple((name, float(point[name])) for name in own_numbers if name in point and name != "beta"),
        fitted=fitted,
        checkpoints=_checkpoints(n, part.stream, batch) if n else (),
        displacement=part.stream.displacement and n > 0,
        seeding=sizes,
        axes=_named_axes(point, step.label),
        sources=sources_of(
            part.algorithm, part.mixture.layout, point["noise"], step.setting.name, *part.stream.measure
        ),
    )
    if resolved.claim is not None:
        claim.check(resolved)
    resolved = dimension.settled(resolved, wanted)
    _check_held(k, resolved.mixture_fields().d)
    return resolved


def _sampled(point: dict[str, Any], algorithm: "Algorithm", d: int, k: int) -> dict[str, Any]:
    """The noise's numbers, the covariance, the dwell and the drift; raises ValueError for what cannot be sampled."""
    family = named.load("noise", point["noise"])
    numbers = tuple((name, float(point.get(name, value))) for name, value in family.numbers)
    named.at("jgmm.noise:told")(family._replace(numbers=numbers), 1)
    of = covariance.named(point.get("covariance", "spherical"))
    if of:
        covariance.of(d, dict(of))
    drift = point.get("drift", 0.0)
    if drift and point["start"] == "seeding":
        raise ValueError(f"drift is {drift:g}: expected a start at or near the truth, not 'seeding'")
    if drift and algorithm.estimates(k) < k:
        raise ValueError(f"drift is {drift:g}: expected 0 for the one mean of a symmetric pair")
    return {"noise_numbers": numbers, "covariance": of, "dwell": point.get("dwell", 0.0), "drift": drift}


def _weights(point: dict[str, Any], k: int) -> tuple[float, ...]:
    """The weight of each component."""
    weights = (1 / k,) * k if point["weights"] == "equal" else tuple(point["weights"])
    if len(weights) != k or not abs(sum(weights) - 1) <= 1e-6:
        raise ValueError(f"weights {shown.value(list(weights))}: expected {k} non-negative numbers with sum 1")
    return weights


def _scales(point: dict[str, Any], k: int, sigma: float) -> tuple[float, ...]:
    """The standard deviation of each component, in the units of the data."""
    scales = (sigma,) * k if point["scales"] == "equal" else tuple(sigma * scale for scale in point["scales"])
    if len(scales) != k:
        raise ValueError(f"scales {shown.value(point['scales'])}: expected {k} positive numbers")
    if not 0 < min(scales) <= max(scales) < math.inf:
        product = f"sigma {sigma:g} times scales {shown.value(point['scales'])}"
        raise ValueError(f"{product}: expected positive numbers that a float holds")
    return scales


def _check_held(k: int, d: int) -> None:
    """Raises ValueError for more numbers in the means of a run than may be held."""
    if k * d > limits.MEANS:
        raise ValueError(f"k d is {k} x {d}: expected at most {limits.MEANS} numbers in the means of a run")


def _check_layout(part: Part, means: Means | None, k: int, d: int) -> None:
    """Raises ValueError for a layout that does not have these sizes, or displacements of means that are redrawn."""
    layout = part.mixture.layout
    if means:
        if means.values.shape != (k, d):
            numbers = " x ".join(map(str, means.values.shape))
            expected = f"expected k x d = {k} x {d}"
            raise ValueError(f"layout is {shown.path(layout)}, but it holds {numbers} numbers: {expected}")
        return
    record = named.load("layout", layout)
    try:
        record.check(k, d)
    except ValueError as error:
        raise ValueError(f"layout is {shown.value(layout)}, but {error}") from None
    if part.stream.displacement and record.drawn:
        raise ValueError(f"displacement is true: expected a layout that is the same in every run, not {layout!r}")


def _fitted(part: Part, estimates: str | int, algorithm: "Algorithm", k: int, start: str | float) -> int | None:
    """How many estimates are fitted, where it is not the algorithm's own number.

    Raises ValueError for a start or a record that needs an estimate for each component.
    """
    if isinstance(estimates, str) or estimates == algorithm.estimates(k):
        return None
    if start == "seeding":
        raise ValueError(f"estimates is {estimates} with start = 'seeding', which finds k = {k}: expected an offset")
    if part.stream.displacement:
        raise ValueError(f"estimates is {estimates} with displacement = true: expected one for each of k = {k}")
    return estimates


def _check_batch(algorithm: "Algorithm", batch: int, n: int, e: int) -> None:
    """Raises ValueError for batches that n is not made of, and for those that the algorithm does not take."""
    if n % batch:
        raise ValueError(f"batch is {batch}: expected a divisor of n = {n}")
    if n:
        named.at("jgmm.batches:check")(algorithm, batch, e)


def _quantity(part: Part) -> str:
    """What figures and fits of the part are about: its own quantity, or else what its claim is on."""
    return part.claim.on if part.claim.bound and part.quantity == "error_sq" else part.quantity


def _measures(part: Part, algorithm: "Algorithm", point: dict[str, Any], fitted: int | None) -> tuple[str, ...]:
    """What a stream's runs store beside errors. Raises ValueError as `measured.asked`."""
    about = list(dict.fromkeys([part.quantity, *([part.claim.on] if part.claim.bound else [])]))
    if measured.BIAS in about and not part.stream.displacement:
        raise ValueError("quantity is 'bias' with displacement = false: expected displacement = true, of which it is")
    if not point["n"]:
        for quantity in about:
            measured.check(quantity, list(measured.ALWAYS), point["k"])
        return ()
    return measured.asked(
        part.stream.measure,
        about,
        record=algorithm,
        algorithm=part.algorithm,
        k=point["k"],
        fitted=fitted,
        heldout=part.stream.heldout,
        gaussian=named.load("noise", point["noise"]).gaussian,
        spherical=not covariance.named(point.get("covariance", "spherical")),
    )


def _theorem(part: Part, n: int, start: str | float, fitted: int | None) -> str | int:
    """The theorem that a cell is held against: the one named, or the one that is about it as it stands."""
    if part.claim.bound:
        return "none"
    if isinstance(part.theorem, int):
        theorem = THEOREMS[part.theorem]
        if theorem.of_start != (n == 0):
            about = "the start alone: expected n = 0" if theorem.of_start else "a stream: expected n above 0"
            raise ValueError(f"theorem is {part.theorem} with n = {n}: it is about {about}, or theorem = 'none'")
        if n and part.algorithm not in theorem.algorithms:
            raise ValueError(
                f"theorem is {part.theorem}: it is about algorithm {theorem.algorithms[0]!r}, not {part.algorithm!r}:"
                " expected that, or theorem = 'none'"
            )
        if part.quantity != "error_sq":
            raise ValueError(f"theorem is {part.theorem} with quantity = {part.quantity!r}: it bounds error_sq alone")
        if fitted is not None:
            raise ValueError(f"theorem is {part.theorem} with estimates = {fitted}: expected k, or theorem = 'none'")
        return part.theorem
    if fitted is not None or part.quantity != "error_sq":
        return "none"
    stream = part.stream
    as_stated = stream.rate == ["paper"] and stream.average == [0.0] and stream.batch == [1]
    if part.theorem == "none" or not (as_stated if n else start == "seeding"):
        return "none"
    about_it = theorem_about(part.algorithm, streams=n > 0, seeded=start == "seeding")
    return "none" if about_it is None else about_it.number


def _named_axes(point: dict[str, Any], rate_name: str) -> tuple[tuple[str, str | int | float], ...]:
    """Where a cell stands on each axis that it uses, as numbers and words."""

    def plain(name: str, value: Any) -> str | int | float:
        if name == "rate" and not isinstance(value, float):
            return rate_name
        if name == "covariance":
            return settings.covariance(covariance.named(value))
        return value if isinstance(value, (str, int, float)) else str(value)

    unused: tuple[str, ...] = () if point["n"] else STREAMED
    unused += () if point["start"] in FROM_DATA else ("head",)
    unused += tuple(set(OF_NOISES) - set(dict(named.load("noise", point["noise"]).numbers)))
    sizes = () if point["start"] == "seeding" else tuple(name for name in point if name.startswith("seeding."))
    own = ("estimates",) if point.get("estimates") == "own" else ()
    return tuple((name, plain(name, value)) for name, value in point.items() if name not in (*unused, *sizes, *own))


def _checkpoints(n: int, stream: StreamSpec, batch: int) -> tuple[int, ...]:
    """The counts of samples at which errors are recorded, rounded up to whole batches; the last is n."""
    return tuple(dict.fromkeys(-(-count // batch) * batch for count in _asked(n, stream)))


def _asked(n: int, stream: StreamSpec) -> tuple[int, ...]:
    """The counts that a spec asks for."""
    if isinstance(stream.checkpoints, list):
        late = [count for count in stream.checkpoints if count > n]
        if late:
            raise ValueError(f"checkpoints hold {late[0]}, expected none beyond n = {n}")
        return tuple(sorted({*stream.checkpoints, n}))
    return _spaced(n, stream.checkpoints, stream.spacing)


@lru_cache(maxsize=256)
def _spaced(n: int, count: int, spacing: str) -> tuple[int, ...]:
    """So many checkpoints up to n, or fewer where two round to the same."""
    indices = range(1, count + 1)
    if spacing == "log":
        return tuple(sorted({round(n ** (i / count)) for i in indices}))
    return tuple(sorted({max(1, n * i // count) for i in indices}))
