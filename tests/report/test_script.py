"""The page's script, by its effect in a browser; without one on the machine there is nothing to see it in."""

import html
import json
import re
import shutil
import subprocess

import pytest
from made_cells import LINE, published
from matplotlib.figure import Figure

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

READER = shutil.which("pdftotext")

DRIVER = """
<script>
window.onerror = (message) => { document.title = "fault: " + message; };
const seen = {};
const table = document.querySelector("#cells table");
const column = (name) => {
  const heads = [...table.querySelectorAll("thead th")];
  const index = heads.findIndex((head) => head.textContent === name);
  const shown = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);
  return { head: heads[index], texts: () => shown().map((row) => row.cells[index].textContent) };
};
const n = column("N");
seen.before = n.texts();
n.head.firstChild.click();
seen.up = n.texts();
n.head.firstChild.click();
seen.down = n.texts();
seen.sort = n.head.getAttribute("aria-sort");
const input = document.querySelector("#cells input");
input.value = "3200";
input.dispatchEvent(new Event("input"));
seen.kept = n.texts();
seen.count = input.parentNode.textContent;
input.value = "";
input.dispatchEvent(new Event("input"));
seen.all = n.texts().length;
const pairs = [["2", "10"], ["1e-3", "0.5"], ["", "1"], ["-2", "1"], ["b", "a"]];
seen.compared = pairs.map(([a, b]) => Math.sign(compare(a, b)));
const figure = document.querySelector("figure");
const [values, logY] = figure.querySelectorAll("button");
seen.closed = [figure.querySelector(".live").hidden, logY.hidden];
values.click();
seen.open = [figure.querySelector(".live").hidden, logY.hidden];
const marks = () => [...figure.querySelector("svg").querySelectorAll("circle")].slice(0, 3);
const heights = () => marks().map((mark) => Number(mark.getAttribute("cy")));
seen.log = heights();
logY.click();
seen.linear = heights();
const mark = figure.querySelector("circle");
mark.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
seen.told = figure.querySelector("output").textContent;
const zero = scale([0, 1, 100], true, 300, 20);
seen.zero = zero.place(0);
document.body.innerHTML = "<pre id=seen></pre>";
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>
"""


@pytest.mark.skipif(BROWSER is None, reason="no browser on this machine")
def test_tables_sort_and_filter_and_figures_show_their_values(tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda made, file, **how: file.write(b"not painted"))
    sizes = [800, 100, 3200, 400, 12800, 200, 1600, 6400, 25600]
    text = LINE.replace("[100, 200, 400]", json.dumps(sizes))
    written = published(tmp_path / "out", text)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    (tmp_path / "driven.html").write_text(page.replace("</body>", f"{DRIVER}</body>"), encoding="utf-8")
    call = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*call, "--dump-dom", (tmp_path / "driven.html").as_uri()], capture_output=True, text=True, timeout=120
    )
    found = re.search("<pre id=.seen.>(.*?)</pre>", done.stdout, re.DOTALL)
    assert found, (done.stdout[:300], done.stderr[-500:])
    seen = json.loads(html.unescape(found[1]))
    assert seen["before"] == [str(n) for n in sizes]
    assert seen["up"] == [str(n) for n in sorted(sizes)]
    assert seen["down"] == [str(n) for n in sorted(sizes, reverse=True)]
    assert seen["sort"] == "descending"
    assert seen["kept"] == ["3200"]
    assert "1 of 9" in seen["count"]
    assert seen["all"] == 9
    assert seen["compared"] == [-1, -1, 1, -1, 1]
    assert (seen["closed"], seen["open"]) == ([True, True], [False, False])
    assert len(seen["log"]) == 3
    assert seen["log"] != seen["linear"]
    first = min(written.results.final(), key=lambda row: row["n"])
    assert seen["told"] == f"k=2 d=3 C=4: {first['error_sq_ok_mean']:.4g} at horizon N 100"
    assert seen["zero"] == 300


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None or READER is None, reason="no browser, or no reader of PDF, on this machine")
def test_a_printed_table_repeats_its_head_on_every_page(tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda made, file, **how: file.write(b"not painted"))
    published(tmp_path / "out", LINE)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    start = page.index('<section id="cells">')
    first, last = page.index("<tbody>", start) + len("<tbody>"), page.index("</tbody>", start)
    long = page[:first] + 100 * page[first:last].replace("<td>", "<td>row of cells ", 1) + page[last:]
    (tmp_path / "long.html").write_text(long, encoding="utf-8")
    call = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    call += ["--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'long.pdf'}", (tmp_path / "long.html").as_uri()]
    subprocess.run(call, check=True, capture_output=True, timeout=120)
    text = subprocess.run([READER, tmp_path / "long.pdf", "-"], check=True, capture_output=True, text=True).stdout
    pages = [of_page for of_page in text.split("\f") if "row of cells" in of_page]
    assert len(pages) > 2
    assert all("squared error" in of_page for of_page in pages)
