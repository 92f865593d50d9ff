"""The most that a spec may ask for, each with its reason: a typing error costs a message, not the machine's memory.

They are checked before anything is expanded, and all are far above what the presets need (47 cells of 1,024 runs,
k = 16, d = 128).
"""

SPEC_BYTES = 2**21  # of a TOML file: Python takes a second to read it; the largest study.toml is half as long
SPEC_VALUES = 40_000  # commas, or lines, in it: Python takes 20 to 30 us to read one
KEY_PARTS = 32  # of a dotted key: reading takes time and memory that grow with their square
DEPTH = 8  # of nested tables and lists; a rate's schedule is at level 5
VALUES = 5_000  # in a list: an axis has no more values than a study has cells
ALL_VALUES = 25_000  # in all lists of a study, whose study.toml then stays below the limits above
PARTS = 200  # each has its figures and its lines in the report
CELLS = 5_000  # each is a file, and a row of every table
CELL_NUMBERS = 2_000_000  # weights, scales and checkpoints of all cells: 100 MB while a study is planned
COMPONENTS = 1_000  # k: matching takes k^2 distances for each of 128 runs at once
DIMENSION = 10**9  # d, where no more of it is held than a reduced dimension needs
MEANS = 100_000  # k d: streams take about 60 bytes for each number and run, 0.8 GB for 128 runs
GRAPH_POINTS = 5_000  # 32 graphs at once with so many points squared are 3 GB
CHECKPOINTS = 10_000  # each is a row of every run
ROWS = 10**9  # of all cells together, 40 GB of files, which the report reads
PIECES = 10**6  # of work, at most 65,536 runs or a quarter of a minute each: half a year of a core
LABEL = 200  # characters: of the name of an algorithm, layout, noise or step size
STEP_NUMBERS = 16  # of a step size
NAME = 100  # characters: a name becomes part of file names
TERMS = 20  # of a claim's bound
AIM = 10_000  # characters
FAULTS = 20  # that are listed; the others are counted
SHOWN = 60  # characters of a value that a message quotes
