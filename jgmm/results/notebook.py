"""Progress in a notebook: a line of text that is written anew in its place, at most a few times a second."""

import builtins
import importlib
import time
from typing import Any

OFTEN = 0.25  # seconds between two texts


def in_notebook() -> bool:
    """Whether this is a notebook's process: IPython's shell has a kernel there, and none in a terminal."""
    shell = getattr(builtins, "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class Line:
    """What a study's meter tells, as one line below the notebook's cell."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._last = self._started - OFTEN
        self._handle: Any = None

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show what runs, and how many of all samples are consumed; the last sample of all is always shown."""
        now = time.perf_counter()
        if now - self._last < OFTEN and done < total:
            return
        self._last = now
        seconds = max(now - self._started, 1e-9)
        left = f"{seconds * (total - done) / done:.0f} s left" if done else "compiling"
        text = f"{name}: {done / 1e6:,.0f} of {total / 1e6:,.0f} M samples, {done / seconds / 1e6:.0f} M/s, {left}"
        shown = {"text/plain": text}
        if self._handle is None:
            display = importlib.import_module("IPython.display").display
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
