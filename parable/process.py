"""Processes that leave nothing behind."""

import ctypes
import hashlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TypeVar

from parable.errors import UserError

Argument = TypeVar("Argument")
Result = TypeVar("Result")

PR_SET_PDEATHSIG = 1
PARENT_POLL_SECONDS = 0.5
CGROUP_FOLDER = Path("/sys/fs/cgroup")
LIFELINE_VARIABLE = "PARABLE_LIFELINE"
"""Names the process that a whole run depends on, where shells stand between it and its tasks."""


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 when it is gone or can't be told.

    With the pid it names a process for as long as the machine runs: pids are used again.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    state, *rest = stat.rpartition(")")[2].split()
    return 0 if state in "ZX" else int(rest[18])


def is_running(pid: int, started: int) -> bool:
    """Whether the process is still there that had this pid and these `start_ticks`.

    Where no start can be told (no `/proc`), any process of that pid counts.
    """
    if start_ticks(os.getpid()):
        return started != 0 and start_ticks(pid) == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def own_name() -> str:
    """This process as `space-pid-ticks`; where the space is equal, a pid means the same process."""
    pid = os.getpid()
    return f"{pid_space()}-{pid}-{start_ticks(pid)}"


@cache
def pid_space() -> str:
    """Twelve hexadecimal digits for this host, since it was booted, and this PID namespace."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def lifeline() -> str:
    """This process as `LIFELINE_VARIABLE` names it: a pid and the time it started."""
    return f"{os.getpid()}:{start_ticks(os.getpid())}"


def die_with_parent() -> None:
    """End this process when its parent, or the run it belongs to, ends, however that ends.

    Linux sends SIGKILL at once; a watch on the parent's pid covers the rest (a parent thread's end counts
    as the parent's for the kernel, which is why the signal is asked for by the main thread only).
    """
    parent = os.getppid()
    if sys.platform == "linux" and threading.current_thread() is threading.main_thread():
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    spawner = parent_process()
    if spawner is not None and spawner.pid != parent:
        os._exit(1)  # It ended before the signal was asked for.

    pid, _, ticks = os.environ.get(LIFELINE_VARIABLE, "0:0").partition(":")
    watched, started = int(pid), int(ticks)

    def watch() -> None:
        while os.getppid() == parent and start_ticks(watched) == started:
            time.sleep(PARENT_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watch parent").start()


def give_memory_back() -> None:
    """Return to the system what was freed, where the C library keeps it for later (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def num_usable_cpus() -> int:
    """Cores that this process may use, by affinity and by the cgroup's quota; at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, _cgroup_quota() or affinity))


def _cgroup_quota() -> int | None:
    """Whole cores that a container's limit leaves (version 2 of cgroups, then 1), or None without one."""
    try:
        quota, period = (CGROUP_FOLDER / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (CGROUP_FOLDER / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (CGROUP_FOLDER / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return max(1, int(quota) // int(period))


def map_in_processes(
    function: Callable[[Argument], Result], arguments: Iterable[Argument], *, num_processes: int
) -> Generator[tuple[Argument, Result], None, None]:
    """Apply a module-level function to every argument, in as many processes; yield pairs as they finish.

    With one process, or one argument, the work is done here. An exception in a child is raised here. Then,
    and when the caller is interrupted or stops reading, the children are ended at once.

    Raises:
        UserError: a child raised one, or was killed.
    """
    todo = list(arguments)
    if min(num_processes, len(todo)) <= 1:
        for argument in todo:
            yield argument, function(argument)
        return
    with ProcessPoolExecutor(
        max_workers=min(num_processes, len(todo)), mp_context=get_context("spawn"), initializer=_begin_child
    ) as pool:
        try:
            futures = {pool.submit(function, argument): argument for argument in todo}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "A process that this one had started was killed, most likely for want of memory. Free some, "
                "and run the same command again: it goes on from what is finished."
            ) from error
        except BaseException:
            _end(pool)
            raise


def _begin_child() -> None:
    # Ctrl-C reaches every process of a terminal; the parent alone decides, and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def _end(pool: ProcessPoolExecutor) -> None:
    """Kill what runs; a shutdown alone would wait until it is done."""
    for child in list((pool._processes or {}).values()):
        child.kill()
    pool.shutdown(wait=True, cancel_futures=True)
