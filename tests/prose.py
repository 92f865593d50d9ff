"""Prose is checked in one place for each thing that speaks: its words, without their numbers, stand in a file.

To change words on purpose: delete the file, run the test, which writes it anew and fails, and read what it says.
"""

import difflib
import re
from html import unescape

TIME = r"\d{4}-\d\d-\d\dT[\d:]+[+-]\d{4}"
CELL = r"\b[0-9a-f]{12}\b"
NUMBER = r"(?<![\w#])[-+]?\d[\d,.]*(e[-+]?\d+)?(?<![,.])"
FRAMES = "[│┃━─┏┓┡┩└┘┳╇┴┼├┤┌┐┬]+"


def words(text, **names):
    """Each line's words: numbers are #, what has a name is that, and lines that differ in nothing else are one."""
    for name, value in names.items():
        text = text.replace(str(value), name)
    text = re.sub(TIME, "TIME", re.sub(CELL, "CELL", text))
    text = re.sub(NUMBER, "#", re.sub(FRAMES, " ", text))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in lines if line]
    return [line for i, line in enumerate(lines) if i == 0 or line != lines[i - 1]]


def page_text(page):
    """The text of an HTML page: a line for each block, and of a table its head."""
    page = re.sub("<(style|script|tbody).*?</\\1>|</su[bp]>", "", page, flags=re.DOTALL)
    page = page.replace("<sup>", "^").replace("<sub>", "_")
    page = re.sub("</(p|div|dt|dd|li|h1|h2|h3|tr|figcaption|title|summary)>", "\n", page)
    return unescape(re.sub("<[^>]+>", " ", page))


def check(path, lines):
    """These lines are those of the file; a file that is missing is written."""
    if not path.is_file():
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        raise AssertionError(f"{path.name} is new: read it, and run the test again")
    kept = path.read_text(encoding="utf-8").splitlines()
    assert lines == kept, "\n".join(difflib.unified_diff(kept, lines, path.name, "now", lineterm="", n=0))
