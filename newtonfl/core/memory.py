"""How much memory this process may still take."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/")


def available(root: Path = _ROOT) -> int | None:
    """Bytes that are free: what Linux says of the machine, or what the process's control group leaves, the less.

    Parameters
    ----------
    root : Path
        Where /proc and /sys are.

    Returns
    -------
    int or None
        None where neither says anything, as on another system.
    """
    free = [left for left in (_machine(root), _version_2(root), _version_1(root)) if left is not None]
    return min(free, default=None)


def _machine(root: Path) -> int | None:
    kilobytes = _table(root / "proc/meminfo").get("MemAvailable:")
    return None if kilobytes is None else 1024 * kilobytes


def _version_2(root: Path) -> int | None:
    """The least that the process's group or one above it leaves; caches that can be dropped count as free."""
    groups = _table_of_groups(root)
    within = root / "sys/fs/cgroup"
    group, left = within / groups.get("", "").lstrip("/"), []
    while group.is_relative_to(within):
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        if limit is not None and used is not None:
            left.append(limit - used + _table(group / "memory.stat").get("inactive_file", 0))
        group = group.parent
    return min(left, default=None)


def _version_1(root: Path) -> int | None:
    within = root / "sys/fs/cgroup/memory"
    group = within / _table_of_groups(root).get("memory", "").lstrip("/")
    group = group if group.is_dir() else within  # as a container sees it
    limit, used = _number(group / "memory.limit_in_bytes"), _number(group / "memory.usage_in_bytes")
    if limit is None or used is None:
        return None
    return limit - used + _table(group / "memory.stat").get("total_inactive_file", 0)


def _table_of_groups(root: Path) -> dict[str, str]:
    """The process's group by controller; the second version's has none."""
    lines = [line.split(":", 2) for line in _read(root / "proc/self/cgroup").splitlines()]
    return {controller: line[2] for line in lines if len(line) == 3 for controller in line[1].split(",")}


def _table(path: Path) -> dict[str, int]:
    lines = [line.split() for line in _read(path).splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) >= 2 and line[1].isdigit()}


def _number(path: Path) -> int | None:
    word = _read(path).strip()
    return int(word) if word.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
