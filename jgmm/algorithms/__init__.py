"""The algorithms by name. To add one: a file like those beside this one, and a line here."""

ALGORITHMS = {  # places, not values: a spec names them without JAX
    "lloyd": "jgmm.algorithms.lloyd:LLOYD",
    "em": "jgmm.algorithms.em:EM",
    "soft": "jgmm.algorithms.soft:SOFT",
    "oracle": "jgmm.algorithms.lloyd:ORACLE",
    "medians": "jgmm.algorithms.medians:MEDIANS",
    "em-unbalanced": "jgmm.algorithms.unbalanced:UNBALANCED",
}
