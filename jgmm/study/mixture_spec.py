"""`[mixture]` of a spec: what is sampled. Needs no JAX."""

from typing import Annotated, Literal

from pydantic import Field

from jgmm.study import limits
from jgmm.study.fields import (
    Axis,
    Count,
    CovarianceAxis,
    Label,
    ListAxis,
    NonEmpty,
    NonNegative,
    Positive,
    StepNumbers,
    about,
)
from jgmm.study.strict import Table


class MixtureSpec(Table):
    """`[mixture]`."""

    k: Annotated[
        list[Annotated[Count, Field(le=limits.COMPONENTS)]],
        Axis,
        NonEmpty,
        about("How many components the mixture has.", "[2, 4, 8]", "components"),
    ] = [2]
    d: Annotated[
        list[Annotated[Count, Field(le=limits.DIMENSION)]],
        Axis,
        NonEmpty,
        about("How many coordinates a sample has.", "10", "dimensions"),
    ] = [10]
    sigma: Annotated[
        list[Positive],
        Axis,
        NonEmpty,
        about(
            "Standard deviation of every component in each coordinate, times its entry in scales.",
            "[0.1, 1.0, 10.0]",
            "units of the data",
        ),
    ] = [1.0]
    weights: Annotated[
        list[Literal["equal"] | list[NonNegative]],
        ListAxis,
        NonEmpty,
        about(
            "Probabilities of the components: k numbers with sum 1. A list of such lists is an axis.",
            "[0.7, 0.3]",
            "probabilities",
        ),
    ] = ["equal"]
    scales: Annotated[
        list[Literal["equal"] | list[Positive]],
        ListAxis,
        NonEmpty,
        about(
            "Standard deviations of the components, in multiples of sigma: k numbers. A list of such lists is an axis.",
            "[1.0, 2.0]",
            "sigma",
        ),
    ] = ["equal"]
    layout: Annotated[
        Label,
        about(
            "Where the means lie: a layout of jgmm, module:NAME, or a .npy file of shape (k, d) beside the spec.",
            '"simplex"',
        ),
    ] = "symmetric"
    layout_hash: Annotated[
        Annotated[str, Field(pattern="^[0-9a-f]{12}$")] | None,
        about(
            "Digest of a .npy file's means; jgmm writes it into study.toml, and refuses other means.", '"0123456789ab"'
        ),
    ] = None
    separation: Annotated[
        list[Positive],
        Axis,
        NonEmpty,
        about(
            "Distance C between the two nearest means; of a box the least that is drawn.", "[4.0, 6.0, 8.0]", "sigma"
        ),
    ] = [4.0]
    side: Annotated[
        Positive,
        about("Side of the box that means are drawn from.", "100.0", "units of the data"),
    ] = 1e4
    noise: Annotated[
        list[Label],
        Axis,
        NonEmpty,
        about("How a sample differs from its mean: a noise of jgmm, or module:NAME.", '["gaussian", "student"]'),
    ] = ["gaussian"]
    df: Annotated[
        list[Annotated[float, Field(gt=2, allow_inf_nan=False)]],
        Axis,
        NonEmpty,
        about("Degrees of freedom of Student's noise, above 2, where its variance is finite.", "[3.0, 5.0]"),
    ] = [5.0]
    share: Annotated[
        list[Annotated[float, Field(ge=0, le=1)]],
        Axis,
        NonEmpty,
        about(
            "Probability that a coordinate of contaminated noise, or a whole sample of outliers, is of a wider normal.",
            "0.1",
            "probability",
        ),
    ] = [0.05]
    factor: Annotated[
        list[Positive],
        Axis,
        NonEmpty,
        about("How many times as wide as the other that normal is.", "[3.0, 10.0]"),
    ] = [5.0]
    covariance: Annotated[
        list[Literal["spherical"] | StepNumbers | Annotated[list[Positive], NonEmpty]],
        CovarianceAxis,
        NonEmpty,
        about(
            "Shape of all components: a ladder of standard deviations, so many times as wide along some directions, or"
            " d multiples of sigma.",
            '["spherical", { ratio = 10.0 }, { rank = 2, factor = 3.0 }]',
        ),
    ] = ["spherical"]
    dwell: Annotated[
        list[Annotated[float, Field(ge=0, lt=1)]],
        Axis,
        NonEmpty,
        about(
            "Probability that a sample has the label of the one before; else its label is drawn. 0: all are drawn.",
            "[0.0, 0.9]",
            "probability",
        ),
    ] = [0.0]
    drift: Annotated[
        list[Annotated[float, Field(ge=0, le=1)]],
        Axis,
        NonEmpty,
        about("How far all means move with each sample, in one direction.", "[0.0, 1e-4]", "sigma a sample"),
    ] = [0.0]
