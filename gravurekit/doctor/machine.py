"""The machine: cores, memory, disk, and what torch would train on."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gravurekit.doctor.diagnosis import Finding, Machine
from gravurekit.doctor.trouble import BROKEN_IMPORT, reason
from gravurekit.errors import UsageError
from gravurekit.stages import train

LITTLE = 1 << 30  # bytes; with less free disk than this one is told


def look(knobs: train.Settings, findings: list[Finding]) -> Machine:
    """What there is to work with; `knobs` say where training is wished for."""
    memory, available = _memory()
    disk = os.statvfs(".")
    free, writable = disk.f_bavail * disk.f_frsize, os.access(".", os.W_OK)
    if free < LITTLE:
        findings.append(Finding("machine", "disk", "disk", f"only {free >> 20} MiB of disk are free", "make room"))
    if not writable:
        todo = "work in a folder of your own, or change its permissions"
        findings.append(Finding("machine", "disk", "read-only", f"{Path.cwd()} can't be written", todo))
    # those that this process may use; macOS doesn't say
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(cores, memory, available, free, writable, **_training(knobs, findings))


def _memory(root: Path = Path("/")) -> tuple[int, int | None]:
    """Bytes of memory in all, and available: of the machine, or of the control group if that has less."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB$", _text(root / "proc/meminfo"), re.MULTILINE)
    sizes = {name: int(size) * 1024 for name, size in lines}
    total = sizes.get("MemTotal") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    available = sizes.get("MemAvailable")
    for limit, used in _control_groups(root):
        total = min(total, limit)
        available = min(available or total, max(0, limit - used))
    return total, available


def _control_groups(root: Path) -> Iterator[tuple[int, int]]:
    """The limits of this process's control group (v2) and those around it, and what they use, less what is only cached
    from files: that gives way."""
    ours = re.search(r"^0::/(.*)$", _text(root / "proc/self/cgroup"), re.MULTILINE)
    top = root / "sys/fs/cgroup"
    inner = top / ours[1] if ours else top
    for group in (inner, *inner.parents):
        limit, used = _text(group / "memory.max").strip(), _text(group / "memory.current").strip()
        cached = re.search(r"^inactive_file (\d+)$", _text(group / "memory.stat"), re.MULTILINE)
        if limit.isdigit() and used.isdigit():
            yield int(limit), int(used) - (int(cached[1]) if cached else 0)
        if group == top:
            return


def _text(path: Path) -> str:
    """A small file of the system's; empty if there is none."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _training(knobs: train.Settings, findings: list[Finding]) -> dict[str, Any]:
    """The fields of Machine that torch knows."""
    try:
        import torch

        from gravurekit.model.checkpoint import pick_device
    except BROKEN_IMPORT as error:
        what = f"torch can't be imported ({reason(error)}), so nothing can be trained or coloured"
        findings.append(Finding("machine", "training on", "torch", what, "pip install --force-reinstall torch"))
        return {}
    try:
        device = pick_device(knobs.device)
    except UsageError as error:
        what, _, todo = str(error).partition("; ")
        findings.append(Finding("machine", "training on", "device", what, todo))
        device = pick_device("auto")
    found: dict[str, Any] = {"device": str(device), "threads": torch.get_num_threads()}
    if device.type == "cpu":
        return found | {"bf16": bool(torch.cpu.get_capabilities().get("avx512_bf16", False))}
    if device.type == "cuda":
        try:
            free, total = torch.cuda.mem_get_info(device)
            found |= {"device_name": torch.cuda.get_device_name(device)}
            found |= {"device_memory": total, "device_memory_free": free}
            found |= {"bf16": bool(torch.cuda.is_bf16_supported(including_emulation=False))}
        except RuntimeError as error:
            what = f"{device} is there, but doesn't answer ({reason(error)})"
            todo = "free it or restart it, or use --device cpu"
            findings.append(Finding("machine", "training on", "device", what, todo))
    return found
