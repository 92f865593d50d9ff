"""What stands on standard output at a run's end: notes, the closing table, and what is concluded of each theorem."""

from rich.console import Console

from jgmm import terminal
from jgmm.report.claims import Claim, claim, exponents, sentences
from jgmm.report.written import Written
from jgmm.study import bias


def print_closing(written: Written) -> None:
    """Print the notes, the closing table and the verdicts."""
    console = terminal.standard_output(highlight=False)
    for note in (*written.ignored, *written.left_out):
        terminal.say(console, note, style="yellow")
    if written.twins and not written.twins.right:
        terminal.say(console, f" - {written.twins.sentence}", lead="wrong")
    if written.conditioning:
        terminal.say(console, f" - {written.conditioning}", lead="runs kept")
    if written.tails:
        terminal.say(console, f" - {written.tails}", lead="no variance")
    _print_headline(console, written)
    for verdict in written.verdicts:
        _print_claim(console, claim(verdict))
    terminal.listed(console, "exponents", exponents(written.fits))
    terminal.listed(console, "bias", bias.sentences(written.biases))
    if written.laws:
        first, *others = sentences(written.laws.sentence)
        terminal.say(console, f" - {first}", lead="laws")
        terminal.listed(console, "", others)


def _print_claim(console: Console, told: Claim) -> None:
    """A verdict in the sentences that the page has too."""
    terminal.say(console, f" - {told.headline}", lead=told.kind)
    terminal.listed(console, "claimed", [f"{told.verdict.statement}."])
    terminal.listed(console, "found", told.found)
    terminal.listed(console, "tried", told.tried)
    terminal.listed(console, "constants", told.constants)
    terminal.listed(console, "conditions", told.conditions)


def _print_headline(console: Console, written: Written) -> None:
    """The closing table, or how many rows it would have had."""
    headline = written.headline
    if headline.most is not None and len(headline.rows) > headline.most:
        console.print(f"{len(headline.rows)} cells: see the report")
        return
    terminal.say(console, headline.title, style="italic")
    terminal.table(
        console,
        headline.columns,
        headline.rows,
        dropped=headline.dropped,
        wrapped=headline.wrapped,
        elsewhere="the report has them",
    )
    terminal.say(console, headline.caption, style="italic")
