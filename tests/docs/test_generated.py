"""The reference is what the code says: generated pages are up to date, and every file and column of a study is told."""

import csv
import json
import re

import generate
import pyarrow.parquet as pq
import pytest
import spec_keys

import jgmm
from jgmm.report.write import write_report
from jgmm.study import run as runner
from jgmm.study import spec
from jgmm.study.folder import dictionary

BESIDE = {  # what a key's example needs beside it
    "estimates": "stream.start = 0.5",
    "df": 'mixture.noise = "student"',
    "share": 'mixture.noise = "contaminated"',
    "factor": 'mixture.noise = "contaminated"',
    "drift": "stream.start = 0.1",
    "max_runs": "precision = 0.5",
    "beta": 'algorithm = "em"',
    "side": 'mixture.layout = "box"',
    "k": 'mixture.layout = "simplex"',
    **dict.fromkeys(("name", "source", "regime", "on"), 'claim.bound = "1/n"'),
    "refine": "mixture.separation = [4.0, 5.0, 6.0]",
    "refined": 'refine = "separation"\nmixture.separation = [4.0, 5.0, 6.0]',
    "head": 'stream.start = "first"',
    "together": "mixture.separation = [4.0, 5.0]\nstream.n = [100, 200]",
}


@pytest.fixture(autouse=True)
def strict():
    """A study promotes as NumPy does."""


@pytest.mark.parametrize("page", ["spec.md", "files.md", "limits.md", "extend.md"])
def test_a_committed_page_is_what_the_code_says(page):
    text = (generate.DOCS / page).read_text(encoding="utf-8")
    assert generate.filled(text) == text, "run: python docs/generate.py"
    assert generate.MARKED.search(text)


@pytest.mark.parametrize("path", ["CITATION.cff", "docs/cite.md"])
def test_the_version_that_is_cited_is_the_package_s(path):
    text = (generate.DOCS.parent / path).read_text(encoding="utf-8")
    assert re.findall(r"(?m)^ *version *[:=] \{?(\d[\w.]*)", text) == [jgmm.__version__]


def test_every_section_has_its_place():
    pages = "".join(path.read_text(encoding="utf-8") for path in generate.DOCS.glob("*.md"))
    places = [found[2] for found in generate.MARKED.finditer(pages)]
    assert sorted(set(places)) == sorted(set(generate.SECTIONS))


def test_every_key_says_what_it_means_and_has_an_example():
    parts_and_tables = {"part", *spec_keys.TABLES}
    for name, model in spec_keys.MODELS.items():
        assert set(model.model_fields) - set(spec_keys.keys(name)) == parts_and_tables & set(model.model_fields)


EXAMPLES = [
    (model, key, told["examples"][0])
    for model in spec_keys.MODELS
    for key, told in spec_keys.keys(model).items()
    if (model, key) not in [("mixture", "layout_hash"), ("part", "numbers")]  # of a file; of an algorithm of yours
]


@pytest.mark.parametrize(("model", "key", "example"), EXAMPLES)
def test_the_example_of_a_key_is_a_spec(tmp_path, model, key, example):
    table = f"{model}." if model in spec_keys.TABLES else ""
    text = f"{BESIDE.get(key, '')}\n{table}{key} = {example}"
    assert spec.cells(spec.parse(text, source="example", folder=tmp_path, default_name="example"))


TINY = """
runs = 8
[mixture]
d = 3
[stream]
n = [20, 40, 80]
rate = [0.05, 0.1]
start = 0.2
checkpoints = 1
[[part]]
name = "lines"
[[part]]
name = "measured"
stream = { n = 20, measure = ["component_sq", "holds"] }
[[part]]
name = "stepped"
quantity = "bias"
stream = { n = 20, displacement = true }
[[part]]
name = "seeded"
stream = { n = 40, rate = 0.1, start = "seeding" }
seeding = { n = 200, block = 20, graph_points = 20 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small study, run and reported."""
    out = tmp_path_factory.mktemp("results") / "tiny"
    study = spec.parse(TINY, source="tiny", folder=out.parent, default_name="tiny")
    runner.run_study(study, out)
    write_report(out, study)
    return out


def columns(path):
    """The columns of a stored file, or the keys of its records."""
    if path.suffix == ".parquet":
        return pq.read_schema(path).names
    if path.suffix == ".json":
        return list(json.loads(path.read_text())[0])
    with path.open(newline="") as file:
        return next(csv.reader(file))


@pytest.mark.parametrize("file", [*dictionary.COLUMNS, "summary.csv"])
def test_every_column_that_is_written_is_told_and_no_other(folder, file):
    path = next(folder.glob(file.replace("ID", "*")))
    told = set(dictionary.COLUMNS.get(file, dictionary.SUMMARY_COLUMNS))
    found = columns(path)
    if file.startswith("cells"):  # the measures of a part stand behind
        found = [name for name in found if name not in dictionary.MEASURED_COLUMNS]
    if file.startswith("examples"):
        found = [*[name for name in found if name[0] not in "xu"], "x0, x1, ...", "u0, u1, ..."]
    if file == "looks.json":  # these are there after a run, not after a report alone
        found = [*found, "seconds", "samples"]
    assert set(found) == told


def test_every_file_that_is_written_is_told(folder):
    told = [name + "*" if name.endswith("/") else name.replace("ID", "*") for name in dictionary.FILES]
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert [file for file in files if not any(file.match(name) for name in told)] == []
