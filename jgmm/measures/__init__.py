"""The measures by name: what a run may store beside its squared error. To add one: a function, and a line here."""

from jgmm.measures import centres, heldout, readouts, spans
from jgmm.measures.record import Measure, Seen, begin

__all__ = ["MEASURES", "Measure", "Seen", "begin"]

MEASURES = {
    "component_sq": Measure(
        centres.component_sq,
        "Squared distance of each component from the estimate matched to it (of fewer estimates: the nearest), the"
        " heaviest first.",
        each="error_sq_",
    ),
    "holds": Measure(
        centres.holds,
        "How many estimates are nearest to each component, the heaviest first.",
        each="holds_",
    ),
    "from_means_sq": Measure(
        centres.from_means_sq, "Sum over components of the squared distance to the nearest estimate."
    ),
    "from_estimates_sq": Measure(
        centres.from_estimates_sq, "Mean over estimates of the squared distance to the nearest component."
    ),
    "from_structure_sq": Measure(
        centres.from_structure_sq,
        "Sum over estimates of the squared distance to the middle of the components that it is the nearest to (to none:"
        " to its nearest component).",
    ),
    "subspace_error_sq": Measure(
        spans.subspace_error_sq,
        "Sum of the squared sines of the angles between the span of the estimates and that of the means.",
        needs="span",
    ),
    "mislabelled": Measure(
        heldout.mislabelled,
        "Share of held-out samples whose nearest estimate stands for another component than theirs.",
        needs="heldout",
    ),
    "log_likelihood_gap": Measure(
        heldout.log_likelihood_gap,
        "Mean over held-out samples of the log-likelihood of the truth less that of the estimates.",
        needs="heldout",
    ),
    "weights_sq": Measure(
        readouts.weights_sq, "Sum over matched pairs of the squared error of the weight.", needs="weights"
    ),
    "scales_sq": Measure(
        readouts.scales_sq, "Sum over matched pairs of the squared error of the standard deviation.", needs="scales"
    ),
}
