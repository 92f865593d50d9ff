"""How far a study is: samples are counted as tasks consume them, and whoever counts hears when to stop."""

import threading
from collections.abc import Callable

from jgmm.process import Stopped

Progress = Callable[[str, int, int], None]  # (cells done and what runs, samples consumed by now, samples in all)


class Meter:
    """Counts the samples of all tasks, and tells `progress`; alone, it tells nobody.

    total: samples to come and those consumed, all together. cells: done, and in all. halted: whether a task has failed,
    so that the others stop.
    """

    def __init__(self, progress: Progress = lambda name, done, total: None, stop: Callable[[], bool] = lambda: False):
        self.progress, self.stop = progress, stop
        self.total = self.done = 0
        self.cells = (0, 0)
        self.halted = False
        self._name = ""
        self._counting = threading.Lock()  # tasks count from threads of their own

    def expect(self, samples: int) -> None:
        """So many more samples are to come."""
        self.total = self.done + samples

    def begin(self, name: str) -> None:
        """Something is about to be compiled or to stream. Raises Stopped when asked to stop."""
        self._name = name
        self(0)

    def __call__(self, samples: int) -> None:
        """So many samples were consumed. Raises Stopped when asked to stop."""
        with self._counting:
            self.done += samples
            self.progress(f"{self.cells[0]} of {self.cells[1]} cells; {self._name}", self.done, self.total)
        if self.halted or self.stop():
            raise Stopped
