"""Memory: what a process takes, and how many more the host has room for without growing into swap.

The host is what limits first: the machine, or the control group that a container or systemd unit is in
(version 2; the limits of version 1 are not read).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import psutil

#: Share of the memory that is left free: for what else runs here, and for jobs that need more than others.
RESERVE = 0.1
#: What a process takes at the least, before one has shown more.
LEAST_BYTES = 96 * 1024 * 1024

GROUPS = Path("/sys/fs/cgroup")


class Memory(NamedTuple):
    """Of the machine or a group, in bytes."""

    total: int
    available: int


def tree_bytes(pid: int) -> int:
    """Resident memory of a process with its children; 0: it is gone. Reads the table of all processes."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_resident(member) for member in family)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def room_for(memories: list[Memory], process_bytes: int) -> int:
    """How many more processes of this size fit. Pure."""
    free = min(memory.available - RESERVE * memory.total for memory in memories)
    return max(0, int(free // max(process_bytes, LEAST_BYTES)))


def memories() -> list[Memory]:
    """Of this machine, and of each control group with a limit that this process is in."""
    machine = psutil.virtual_memory()
    return [Memory(machine.total, machine.available), *group_memories(_own_group())]


def group_memories(group: Path, top: Path = GROUPS) -> list[Memory]:
    """Of this control group and those above it, where they have a limit."""
    found = []
    while group.is_relative_to(top):
        try:
            limit = (group / "memory.max").read_text().strip()
            if limit.isdecimal():
                used = int((group / "memory.current").read_text())
                found.append(Memory(int(limit), int(limit) - used + _file_cache(group)))
        except (OSError, ValueError):
            pass
        if group == top:
            break
        group = group.parent
    return found


def _file_cache(group: Path) -> int:
    """What the kernel gives back when somebody needs it."""
    for line in (group / "memory.stat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file":
            return int(value)
    return 0


def _own_group() -> Path:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return Path("/nowhere")
    own = next((line[3:] for line in lines if line.startswith("0::")), None)
    return Path("/nowhere") if own is None else GROUPS / own.lstrip("/")
