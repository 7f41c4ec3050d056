"""Bytes: how much memory there is, and how much of it data may take."""

import os
import re
from contextlib import suppress
from pathlib import Path

import torch

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def in_bytes(limit, device="cpu") -> int:
    """A bound in bytes from a whole number, a text such as "1GB" or "512 MiB", or "auto": half of what is free.

    >>> in_bytes("1.5GB"), in_bytes("2 KiB"), in_bytes(4096)
    (1500000000, 2048, 4096)
    """
    if isinstance(limit, str) and limit == "auto":
        return free_memory(device) // 2
    if isinstance(limit, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?|)B?\s*", limit.upper())
        limit = float(found[1]) * _UNITS[found[2]] if found else 0
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 1:
        raise ValueError(f"{limit!r} says no number of bytes. Give a whole number, or a text such as '1GB'.")
    return int(limit)


def is_bytes(limit) -> bool:
    """Whether `in_bytes` reads it."""
    try:
        return in_bytes(limit) >= 1
    except ValueError:
        return False


def free_memory(device="cpu") -> int:
    """Bytes that can be taken without pushing others out: of the GPU, or of the machine and the container that this runs in."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return max(1, min(free_of_machine(), free_of_container()))


def free_of_machine() -> int:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().split("\n")
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    with suppress(OSError, ValueError, AttributeError):  # elsewhere: half of what is built in
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return 4 * 2**30


def free_of_container() -> int:
    """What a control group leaves, as Linux counts it; no bound where there is none."""
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # "max" is no number, and means no bound
            group = Path("/sys/fs/cgroup")
            return int((group / most).read_text()) - int((group / used).read_text())
    return 2**63
