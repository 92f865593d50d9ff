"""The algorithms by name. To add one: a file like those beside this one, and a line here."""

ALGORITHMS = {  # places, not values: a spec names them without JAX
    "lloyd": "jgmm.algorithms.lloyd:LLOYD",
    "em": "jgmm.algorithms.em:EM",
    "soft": "jgmm.algorithms.soft:SOFT",
    "oracle": "jgmm.algorithms.lloyd:ORACLE",
    "online-em": "jgmm.algorithms.online:ONLINE",
    "oja": "jgmm.algorithms.basis:OJA",
    "power": "jgmm.algorithms.basis:POWER",
    "medians": "jgmm.algorithms.medians:MEDIANS",
    "em-unbalanced": "jgmm.algorithms.unbalanced:UNBALANCED",
}
