"""The most that a spec may ask for, each with its reason: a slip of the pen costs a line, not the machine's memory.

Checked before anything is expanded, and told where it refuses. All are far above what the presets need (47 cells of
1,024 runs, k = 16, d = 128).
"""

SPEC_BYTES = 2**21  # of a TOML file: Python's reader takes a second for it; the largest study.toml is half as long
SPEC_VALUES = 40_000  # commas, or lines, in it: 20 to 30 us each in that reader
KEY_PARTS = 32  # of a dotted key: the reader takes time and memory that grow with their square
DEPTH = 8  # of tables and lists in each other; a rate's schedule is the fifth
VALUES = 5_000  # in a list: an axis has no more values than a study has cells
ALL_VALUES = 25_000  # in all lists of a study, whose study.toml then stays below the limits above
PARTS = 200  # each has its figures and its lines in the report
CELLS = 5_000  # each is a file, and a row of every table
CELL_NUMBERS = 2_000_000  # weights, scales and checkpoints of all cells: 100 MB while a study is planned
COMPONENTS = 1_000  # k: errors are matched over k^2 distances, for 128 runs and more at once
MEANS = 100_000  # k d: what streams side by side takes about 60 bytes a number and run, 0.8 GB for 128 runs
GRAPH_POINTS = 5_000  # 32 graphs at once of so many points squared are 3 GB
CHECKPOINTS = 10_000  # each is a row of every run
ROWS = 10**9  # of all runs and cells, 40 GB in files; the report reads them all
PIECES = 10**6  # that a study is cut into, of 65,536 runs or a quarter of a minute each: half a year of a core
NAME = 100  # characters: names become file names, with something behind them
AIM = 10_000  # characters
FAULTS = 20  # that are told, of more
SHOWN = 60  # characters of a value that is told
