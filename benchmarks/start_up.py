"""Starting up.

Median of ten processes each, by turns with a bare interpreter. For `import isthmus` the interpreter's own start is taken off;
`isthmus --help` is counted whole.
"""

import subprocess
import sys
import time
from statistics import median

from .record import Row, Watch

PROCESSES = 10
COMMANDS = {
    "bare interpreter": ("-c", "pass"),
    "import isthmus": ("-c", "import isthmus"),
    "isthmus --help": ("-m", "isthmus", "--help"),
}


def rows(options):
    with Watch() as watch:
        seconds = by_turns(2 if options.quick else PROCESSES)
    bare = seconds["bare interpreter"]
    shared = {"baseline": {"bare interpreter": bare}, "settings": {"processes": PROCESSES}, "cost": watch.cost()}
    imported = seconds["import isthmus"]
    yield Row("import isthmus", imported - bare, "s", {"at_most": 0.1}, also={"with the interpreter": imported}, **shared)
    yield Row("isthmus --help", seconds["isthmus --help"], "s", {"at_most": 0.5}, **shared)


def by_turns(processes: int) -> dict[str, float]:
    """Median seconds of each command; one start of each goes uncounted, so that all files are in memory."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(processes + 1):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            taken[name].append(time.perf_counter() - began)
    return {name: median(seconds[1:]) for name, seconds in taken.items()}
