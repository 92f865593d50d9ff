"""The page: its words, and that nothing on it is obeyed."""

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import prose
import pytest
from made_cells import LINE, made, published, results, study, with_twin
from matplotlib.figure import Figure

from jgmm.commands.closing import print_closing
from jgmm.report import figures
from jgmm.report.write import publish
from jgmm.study import spec
from jgmm.study.folder import seal
from jgmm.study.verdicts import Finding, Verdict

EVERYTHING = """
aim = "To say a little of everything."
[[part]]
name = "line"
theorem = 1
mixture = { k = 2, d = 3, layout = "simplex", separation = 12.0 }
stream = { n = [1000, 4000, 16000], start = 0.1, checkpoints = 3 }
[[part]]
name = "floor"
theorem = 2
mixture = { k = 2, d = 3, layout = "simplex", separation = [3.0, 4.0, 5.0] }
stream = { n = 4000, rate = 0.05, start = 0.1, checkpoints = 1, displacement = true }
[[part]]
name = "steps"
mixture = { k = 2, d = 3, layout = "box", side = 100.0, separation = 4.0, weights = [0.7, 0.3] }
stream = { n = 1000, rate = ["1/n", "best", { adam = 0.01 }], start = 0.1, checkpoints = 1 }
[[part]]
name = "oracle"
algorithm = "oracle"
mixture = { k = 2, d = 3, layout = "symmetric-box", side = 100.0, separation = 4.0 }
stream = { n = 1000, start = "truth", checkpoints = 1 }
[[part]]
name = "averaged"
algorithm = "soft"
mixture = { k = 2, d = 3, layout = "simplex", separation = 12.0 }
stream = { n = 1000, start = 0.1, average = 0.5, checkpoints = 1 }
[[part]]
name = "em"
algorithm = "em"
mixture = { k = 2, d = 3, separation = 4.0 }
stream = { n = [1000, 4000, 16000], start = 0.1, checkpoints = 1 }
[[part]]
name = "starts"
mixture = { k = 2, d = 3, layout = "simplex", separation = [4.0, 9.0, 16.0] }
stream = { n = 0 }
seeding = { n = 300, block = 10, graph_points = [20, 30, 40] }
[[part]]
name = "after"
mixture = { k = 2, d = 3, layout = "simplex", separation = 9.0 }
stream = { n = 1000, checkpoints = 1 }
seeding = { n = 300, block = 10, graph_points = 20, method = "oja" }
"""


def various(cell, seed):
    """Cells with twins where there may be one, and of a start some runs that failed."""
    if cell.seeding is not None:
        return made(cell, 40, seed=seed, ok=[run % 10 > 0 for run in range(40)])
    return with_twin(cell, seed) if cell.has_twin else made(cell, 40, seed=seed)


@pytest.fixture
def unpainted(monkeypatch):
    """Figures are made, and not painted: that takes most of a report's time."""
    monkeypatch.setattr(Figure, "savefig", lambda made, file, **how: file.write(b"not painted"))


def test_the_words_of_the_page_and_of_the_terminal(tmp_path, unpainted, capsys):
    folder = tmp_path / "out"
    written = published(folder, EVERYTHING, various)
    text = prose.page_text((folder / "report.html").read_text(encoding="utf-8"))
    print_closing(written)
    said = capsys.readouterr().out
    prose.check(Path(__file__).parent / "page.txt", prose.words(text, DIR=folder))
    prose.check(Path(__file__).parent / "closing.txt", prose.words(said, DIR=folder))


def test_what_others_wrote_is_escaped_on_the_page(tmp_path, unpainted):
    evil = "<script>alert(1)</script>"
    asked = study(LINE, runs=1, aim=f'"{evil}')
    cells = [cell.model_copy(update={"layout": "=a'><b>.npy"}) for cell in spec.cells(asked)]
    data = [made(cell, seed=seed) for seed, cell in enumerate(cells)]
    folder = tmp_path / f"{evil[:8]} 'x\udcff\n"
    folder.mkdir()
    (folder / "study.toml").write_text(seal.text(""))
    written = publish(folder, asked, data, [evil])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert evil not in page
    assert re.findall("<script[^>]*>", page)[-1] == "<script>"  # ours
    assert set(re.findall("<script[^>]*>", page)[:-1]) <= {'<script type="application/json">'}
    assert "<b>.npy" not in page
    assert "=a&#39;&gt;&lt;b&gt;.npy" in page
    assert page.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">')
    assert evil in written.ignored
    summary = (folder / "summary.csv").read_text(encoding="utf-8")
    assert "\"'=a'><b>.npy\"" in summary
    assert ',"=a' not in summary


class Outline(HTMLParser):
    """What a page is made of: its tags in order with their attributes, and the text of its headings."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.headings, self._in_heading = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append([int(tag[1]), ""])
            self._in_heading = True

    def handle_endtag(self, tag):
        self._in_heading = self._in_heading and not re.fullmatch("h[1-6]", tag)

    def handle_data(self, data):
        if self._in_heading:
            self.headings[-1][1] += data

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def outline(tmp_path_factory):
    """The page of the study that has everything, with its pictures."""
    folder = tmp_path_factory.mktemp("page") / "out"
    published(folder, EVERYTHING, various)
    return Outline((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_begins_with_the_verdict_and_one_figure_and_its_headings_are_in_order(outline):
    levels = [level for level, _ in outline.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    seconds = [text for level, text in outline.headings if level == 2]
    assert seconds[:4] == ["The verdicts", "The other figures", "What the verdict rests on", "Cells"]
    names = [tag for tag, _ in outline.tags]
    assert names.count("main") == names.count("nav") == 1
    order = [(tag, attributes.get("id")) for tag, attributes in outline.tags]
    lead = order.index(("figure", "figure-line-n"))
    assert order.index(("section", "verdicts")) < lead < order.index(("section", "figures"))
    assert [tag for tag, _ in order[:lead]].count("figure") == 0
    assert outline.all("html") == [{"lang": "en"}]


def test_links_of_the_contents_lead_somewhere_and_nothing_comes_from_a_network(outline):
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [attributes["href"] for attributes in outline.all("a")]
    assert len(links) > 5
    assert {link.removeprefix("#") for link in links} <= set(ids)
    for attributes in outline.all("img", "source"):
        assert next(value for key, value in attributes.items() if key.startswith("src")).startswith("data:image/")
    assert not outline.all("link")
    assert all("src" not in attributes for attributes in outline.all("script"))


def test_every_head_of_a_table_has_a_scope_and_every_picture_says_what_is_seen(outline):
    heads = outline.all("th")
    assert len(heads) > 50
    assert {attributes.get("scope") for attributes in heads} == {"col", "row"}
    assert len(outline.all("thead")) == len(outline.all("table")) > 3
    pictures = outline.all("img")
    assert len(pictures) == len(outline.all("figure")) > 5
    assert all(len(attributes["alt"].split()) > 8 for attributes in pictures)


def test_the_figure_that_leads_is_that_of_the_finding_that_decides():
    def finding(part, axis, kind, gap):
        values = {"setting": "", "measured": 1.0, "bound": 1.0, "low": gap, "high": gap, "detail": ""}
        return Finding(theorem="1", part=part, axis=axis, kind=kind, gap=gap, **values)

    def leading(*findings, made=("line-n", "line-k", "line-floor", "starts-phase")):
        one = Verdict("1", "consistent", "", "", 0.025, 1, list(findings), [])
        return figures.leading([one], results(EVERYTHING), [(Path(f"{name}.png"), "") for name in made])

    looser = finding("line", "exp(-C^2)", "loose", -1.5)
    tight, loose = finding("line", "N", "tight", -0.01), finding("line", "k", "loose", -0.9)
    assert leading(tight, loose) == leading(loose, tight) == "line-k"
    assert leading(loose, looser) == leading(looser, loose) == "line-floor"
    assert leading(tight) == "line-n"
    assert leading(finding("line", "(1/k)", "tight", 0.01)) == "line-k"  # of what falls with k
    assert leading(loose, tight, made=["other", "line-n"]) == "line-n"
    assert leading(finding("line", "exp(-C^2)", "loose", -0.1)) == "line-floor"
    assert leading(finding("starts", "success", "fails", 2.0)) == "starts-phase"
    assert leading(made=["a", "comparison"]) == "comparison"
    assert leading(made=["a", "b"]) == "a"
    assert leading(made=[]) is None
