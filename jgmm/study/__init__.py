"""Studies: from a spec to stored runs, a summary and verdicts.

A study passes through these modules, from above:

    spec        reads TOML and checks it: `schema` (a study), `parts` (its parts), `fields`, `plain`, `shared`, `faults`
    grid        axes as cells; `resolve` computes what a spec leaves open: `step`, `seeding_sizes`, `means`
    cell        one setting of everything, and its identifier
    run         computes what a folder lacks: `preflight` checks first, `missing` and `inventory` say what is lacking,
                `plan` cuts it into tasks, `share` among commands, `executors` has them computed
    work        computes one task: `keys`, `mixtures`, `starts`, `packs`; `replay` a few runs alone
    folder/     files: written whole, sealed by digests, locked; `ownership` whose folder it is, `merge` joins folders
    read        stored cells as arrays
    summary     a row for each checkpoint; `pairs` of algorithms, `checks` of twins, `expected` laws
    verdicts/   what is concluded; `curves`, `regime`
"""
