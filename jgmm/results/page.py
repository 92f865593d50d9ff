"""A study in a notebook: its verdicts in sentences, and the figure that shows the first of them."""

import base64
import html as markup
import io
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from jgmm.report import drawing, figures
from jgmm.report.drawing import Picture
from jgmm.report.results import Results
from jgmm.study import curves
from jgmm.study.verdicts import Verdict


def html(name: str, folder: Path, said: str) -> str:
    """A study's name and folder, and below them what is said of it: a piece of a page without a network request."""
    return f"<div><p><b>{markup.escape(name)}</b>, {markup.escape(str(folder))}</p>{said}</div>"


def paragraph(text: str) -> str:
    """A text that may be anybody's as a paragraph, of which the page obeys nothing."""
    return f"<p>{markup.escape(text)}</p>"


def conclusion(results: Results, found: list[Verdict]) -> str:
    """The verdicts in sentences, and the figure that shows the first of them."""
    sentences = [verdict.sentence for verdict in found] or ["No theorem is held against it."]
    said = "".join(map(paragraph, sentences))
    picture = leading(results, found)
    if picture is None:
        return said
    caption = markup.escape(picture.caption)
    image = f'<img alt="{caption}" src="data:image/svg+xml;base64,{_svg(picture.figure)}"/>'
    return f"{said}<figure>{image}<figcaption>{caption}</figcaption></figure>"


def leading(results: Results, found: list[Verdict]) -> Picture | None:
    """The figure that shows the first verdict, as on the report's page; None where none can be drawn."""
    with drawing.style():
        drawn = dict(_pictures(results))
        stem = figures.leading(found, results, [(Path(f"{name}.png"), "") for name in drawn])
    return drawn.get(stem) if stem is not None else None


def _pictures(results: Results) -> Iterator[tuple[str, Picture]]:
    """The figures that can be drawn, by name."""
    lines = curves.curves(results.study, results.data)
    for name, drawn in figures.draw_all(results, lines):
        if isinstance(drawn, Picture):
            yield name, drawn


def _svg(figure: Figure) -> str:
    """A figure as SVG, in base64."""
    file = io.BytesIO()
    with drawing.style():
        figure.savefig(file, format="svg", metadata={"Date": None})
    return base64.b64encode(file.getvalue()).decode()
