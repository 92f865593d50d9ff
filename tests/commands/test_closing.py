"""What a run ends with says what the page says, on a terminal of any width."""

import io
import re
from html import unescape

import pytest
from made_cells import made, published
from matplotlib.figure import Figure
from rich.console import Console

from jgmm import terminal
from jgmm.commands.closing import print_closing

STUDY = """
[[part]]
name = "line"
theorem = 1
mixture = { k = 2, d = 3, layout = "simplex", separation = 12.0 }
stream = { n = [1000, 4000, 16000], start = 0.1, checkpoints = 1 }
[[part]]
name = "starts"
mixture = { k = 2, d = 3, layout = "simplex", separation = [4.0, 9.0] }
stream = { n = 0 }
seeding = { n = 300, block = 10, graph_points = [20, 30] }
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **how: file.write(b"not painted"))
    return published(tmp_path / "out", STUDY, lambda cell, seed: made(cell, 64, seed=seed))


def closing(written, monkeypatch, width):
    """What is printed on a terminal of so many columns."""
    console = Console(width=width, file=io.StringIO(), highlight=False)
    monkeypatch.setattr(terminal, "standard_output", lambda **how: console)
    print_closing(written)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_sentence_fits_and_no_number_is_broken(written, monkeypatch, width):
    said = closing(written, monkeypatch, width)
    assert all(len(line) <= width for line in said.splitlines())
    flat = " ".join(said.split())
    for verdict in written.verdicts:
        for number in re.findall(r"\d[\d.]*\d", verdict.sentence):
            assert number in flat


def test_the_terminal_has_the_sentences_of_the_page(written, monkeypatch, tmp_path):
    flat = " ".join(closing(written, monkeypatch, 80).split())
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    typeset = {"&mu;": "mu", "&sigma;": "sigma", "&radic;": "sqrt", "&Sigma;": "sum", "<sub>0": "0", "<sub>": "_"}
    for sign, plain in typeset.items():
        page = page.replace(sign, plain)
    shown = re.search('<section id="verdicts">(.*?)<figure', page, re.DOTALL)[1]
    texts = re.findall(r'<p class="headline">(.*?)</p>|<dd>([^<].*?)</dd>|<li>(.*?)</li>', shown, re.DOTALL)
    sentences = [unescape(re.sub("<[^>]*>", "", "".join(each))) for each in texts]
    assert len(sentences) >= 6
    for sentence in sentences:
        assert re.sub(r"\W", "", sentence) in re.sub(r"\W", "", flat), sentence


def test_what_varies_is_shown_at_80_columns(written, monkeypatch):
    said = closing(written, monkeypatch, 80)
    (heads,) = (line for line in said.splitlines() if "error_sq" in line and "┃" in line)
    shown = {text.strip() for text in heads.split("┃")}
    assert {"C", "N", "k0", "error_sq", "kept"} <= shown


def test_sentences_stand_beside_their_name_which_is_said_once():
    console = Console(width=40, file=io.StringIO())
    terminal.listed(console, "found", ["In k loose: measured k^2.01, variance term k^3.", "In N\x1b tight."])
    assert console.file.getvalue().splitlines() == [
        "  found       In k loose: measured",
        "                k^2.01, variance term",
        "                k^3.",
        "              In N\\x1b tight.",
    ]
    terminal.listed(console, "tried", [])
    assert "tried" not in console.file.getvalue()
