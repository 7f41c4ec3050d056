"""What one measurement is: the row, what it cost, and what it ran on."""

import json
import os
import platform
import resource
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DISTURBED = 0.12  # processors that other programs may take before a measurement is called disturbed


@dataclass
class Row:
    """One number of a table, for one seed.

    row : its name, the same in every run;   value : None where nothing could be measured
    goal : {"at_most": number} or {"at_least": number}, or {} for a row that is only reported
    baseline : what others reached in the same run, by name;   published : what papers report, by name
    also : further figures of the same measurement, by name
    data : checksum of every data set it read;   cost : from `Watch.cost()`
    """

    row: str
    value: float | None
    unit: str
    goal: dict = field(default_factory=dict)
    baseline: dict = field(default_factory=dict)
    published: dict = field(default_factory=dict)
    also: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    seed: int | None = None
    data: dict = field(default_factory=dict)
    cost: dict = field(default_factory=dict)
    skipped: str = ""


def append(path: Path, common: dict, row: Row) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({**common, **asdict(row)}) + "\n")


def chosen(options, *parts):
    """The parts of a table, functions, that --part names; all of them where it is not given."""
    if not options.part:
        return parts
    unknown = set(options.part) - {part.__name__ for part in parts}
    if unknown:
        raise SystemExit(f"There is no part {', '.join(sorted(unknown))}. The parts: {' '.join(part.__name__ for part in parts)}")
    return [part for part in parts if part.__name__ in options.part]


# ------------------------------------------------------------------------------------------------------- cost


class Watch:
    """Seconds, peak memory, and the processors that other programs took, from `with` to its end.

    Programs that were started and ended in between count as our own time, not as others'; their memory is not counted.
    """

    def __enter__(self):
        reset_peak_memory()
        self.busy, self.own, self.began = busy_seconds(), own_seconds(), time.perf_counter()
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.began
        self.busy, self.own = busy_seconds() - self.busy, own_seconds() - self.own
        self.peak_memory = peak_memory()

    def cost(self) -> dict:
        others = max(0.0, (self.busy - self.own) / max(self.seconds, 1e-9))
        return {
            "seconds": round(self.seconds, 4),
            "peak_memory_mib": round(self.peak_memory / 2**20, 1),
            "other_processors": round(others, 3),
            "disturbed": others > DISTURBED,
            "threads": threads(),
        }


def busy_seconds() -> float:
    """Processor seconds that the whole machine has worked so far; 0 where it does not tell."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    except OSError:
        return 0.0
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")  # all but idle and waiting for disks


def own_seconds() -> float:
    """Processor seconds of this process and of its children that have ended."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def reset_peak_memory() -> None:
    """Lets the peak start anew from what is in use; where the system cannot, the peak is that of the whole process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    return memory("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory(field_name: str) -> int:
    """Bytes of this process as Linux counts them: "VmRSS" in use now, "VmHWM" the most so far; 0 where it does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().split("\n")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field_name)), 0)


def threads() -> int:
    import torch

    return torch.get_num_threads()


# ---------------------------------------------------------------------------------------------------- the run


def facts_of_run() -> dict:
    """What all rows of one run share."""
    return {"date": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions(), "machine": machine()}


def versions() -> dict[str, str]:
    packages = {"isthmus": "isthmus", "torch": "torch", "sklearn": "scikit-learn", "numpy": "numpy"}
    return {"python": platform.python_version()} | {name: installed(package) for name, package in packages.items()}


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def machine() -> dict:
    """The machine in words that name nobody's."""
    import torch

    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n")
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
