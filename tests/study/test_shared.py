"""Keys that parts share: taken by the parts that they mean something to, refused where they mean something to none."""

from pathlib import Path

import tomli_w

from jgmm.study import parts, spec


def parse(text):
    return spec.parse(text, source="x.toml", folder=Path(), default_name="x")


def test_a_shared_key_may_be_of_use_to_one_part_alone():
    study = parse(
        '[stream]\nn = 1000\nrate = 0.1\nstart = 0.1\n[em]\nbeta = 2\n[[part]]\nname = "a"\nalgorithm = "em"\n'
        '[[part]]\nname = "b"\nalgorithm = "oracle"\n[[part]]\nname = "c"\nstream = { n = 0 }'
    )
    a, b, c = study.part
    assert (a.em.beta, a.stream.rate) == ([2.0], [0.1])
    assert (b.em, b.stream.rate, b.stream.n) == (spec.Study(part=[{}]).part[0].em, ["paper"], [1000])
    assert c.model_dump()["stream"] == {"n": [0], "start": [0.1]}
    assert parse(tomli_w.dumps(study.model_dump(exclude_none=True))) == study


def refusal(part):
    """What is said against a study of this part; None if it is taken."""
    try:
        spec.Study(part=[part])
    except ValueError as error:
        return str(error)
    return None


def test_every_key_is_of_use_somewhere_and_refused_where_it_is_of_none():
    values = {"weights": [[0.5, 0.5]], "checkpoints": 3, "spacing": "linear", "displacement": True, "layout": "box"}
    various = [
        {"algorithm": "lloyd"},
        {"algorithm": "lloyd", "stream": {"start": 0.5}, "mixture": {"layout": "box"}},
        {"algorithm": "em", "stream": {"start": 0.5}},
        {"algorithm": "oracle", "stream": {"start": 0.5, "checkpoints": [5]}},
        {"stream": {"n": 0}},
        {"stream": {"start": "first"}},
        {"stream": {"start": 0.5}, "mixture": {"noise": ["student", "contaminated"]}},
        {"stream": {"start": 0.5}, "claim": {"bound": ["d/n"]}},
        {"algorithm": "lloyd", "mixture": {"k": 1, "layout": "simplex"}, "stream": {"start": 0.5}},
    ]
    used, refused = set(), set()
    for own in various:
        bare = spec.Study(part=[own]).part[0]
        for table in parts.TABLES:
            for key in type(getattr(bare, table)).model_fields:
                if key == "layout_hash" or key in own.get(table, {}):
                    continue
                value = values.get(key, getattr(getattr(bare, table), key))
                with_key = {**own, table: {**own.get(table, {}), key: value}}
                said = refusal(with_key)
                assert f"{table}.{key} is" in (said or f"{table}.{key} is")
                (refused if said else used).add((table, key))
    everything = {(table, key) for table in parts.TABLES for key in type(getattr(bare, table)).model_fields}
    assert used == everything - {("mixture", "layout_hash")}
    streams = {("stream", key) for key in parts.StreamSpec.model_fields if key not in ("n", "start")}
    seedings = {("seeding", key) for key in parts.SeedingSpec.model_fields}
    noises = {("mixture", key) for key in ("df", "share", "factor")}
    claims = {("claim", key) for key in ("name", "source", "regime", "on")}
    assert refused == streams | seedings | noises | claims | {
        ("em", "beta"),
        ("mixture", "side"),
        ("mixture", "separation"),
    }
