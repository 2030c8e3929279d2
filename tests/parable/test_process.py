"""Processes that leave nothing behind, seen with real ones."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import parable.process
from parable.errors import UserError
from parable.process import is_running, map_in_processes, num_usable_cpus, own_name, pid_space, start_ticks
from tests.parable import programs
from tests.parable.programs import start
from tests.support.waiting import PATIENCE_SECONDS, until


def wait_for_the_end_of(pid: int, started: int) -> None:
    until(lambda: not is_running(pid, started), lambda: f"process {pid} is still there")


class TestDieWithParent:
    def test_a_killed_parent_takes_its_child_along(self) -> None:
        parent = start("parent_of_sleeper")
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        started = start_ticks(child)
        assert is_running(child, started)
        parent.kill()
        parent.wait()
        wait_for_the_end_of(child, started)
        parent.stdout.close()

    def test_a_run_that_is_gone_takes_its_tasks_along(self) -> None:
        """The lifeline's process need not be the parent: shells may stand between."""
        run = start("sleeper")
        assert run.stdout is not None
        run.stdout.readline()
        task = start("sleeper", **{parable.process.LIFELINE_VARIABLE: f"{run.pid}:{start_ticks(run.pid)}"})
        assert task.stdout is not None
        assert int(task.stdout.readline()) == task.pid
        assert task.poll() is None
        run.kill()
        run.wait()
        assert task.wait(PATIENCE_SECONDS) == 1
        run.stdout.close()
        task.stdout.close()

    def test_who_comes_too_late_for_its_run_ends_at_once(self) -> None:
        late = start("sleeper", **{parable.process.LIFELINE_VARIABLE: "99999999:123"})
        assert late.wait(PATIENCE_SECONDS) == 1
        assert late.stdout is not None
        late.stdout.close()

    def test_killed_while_its_children_work_it_leaves_none(self) -> None:
        mapper = start("mapper")
        assert mapper.stdout is not None
        children = [int(mapper.stdout.readline()) for _ in range(2)]
        started = [start_ticks(child) for child in children]
        mapper.kill()
        mapper.wait()
        for child, ticks in zip(children, started, strict=True):
            wait_for_the_end_of(child, ticks)
        mapper.stdout.close()

    def test_interrupted_while_its_children_work_it_leaves_none(self) -> None:
        mapper = start("mapper")
        assert mapper.stdout is not None
        children = [int(mapper.stdout.readline()) for _ in range(2)]
        started = [start_ticks(child) for child in children]
        mapper.send_signal(signal.SIGINT)
        assert mapper.wait(PATIENCE_SECONDS) == -signal.SIGINT
        assert [is_running(*child) for child in zip(children, started, strict=True)] == [False, False]
        mapper.stdout.close()


class TestMapInProcesses:
    def test_every_argument_comes_back_with_its_result(self) -> None:
        results = dict(map_in_processes(programs.half, [1.0, 2.0, 3.0], num_processes=2))
        assert {number: result for number, (result, _) in results.items()} == {1.0: 0.5, 2.0: 1.0, 3.0: 1.5}
        assert os.getpid() not in {pid for _, pid in results.values()}

    @pytest.mark.parametrize(("arguments", "num_processes"), [([1.0, 2.0], 1), ([1.0], 8), ([], 2)])
    def test_what_needs_no_process_gets_none(self, arguments: list[float], num_processes: int) -> None:
        results = list(map_in_processes(programs.half, arguments, num_processes=num_processes))
        assert results == [(number, (number / 2, os.getpid())) for number in arguments]

    def test_a_childs_user_error_arrives_as_it_was_and_ends_the_others(self) -> None:
        began = time.monotonic()
        with pytest.raises(UserError, match=r"^number 2 is wrong: give another$"):
            list(map_in_processes(programs.refuse_two, [1, 2], num_processes=2))
        assert time.monotonic() - began < 60
        assert children() == []

    def test_any_other_error_arrives_too(self) -> None:
        with pytest.raises(ZeroDivisionError):
            list(map_in_processes(programs.fail_at_two, [1, 2], num_processes=2))
        assert children() == []

    def test_a_killed_child_is_said(self) -> None:
        with pytest.raises(UserError, match=r"was killed, most likely for want of memory\. Free some"):
            list(map_in_processes(programs.die_at_two, [1, 2, 3], num_processes=2))
        assert children() == []

    def test_who_stops_reading_ends_the_children(self) -> None:
        mapped = map_in_processes(programs.hang_unless_one, [1, 2], num_processes=2)
        assert next(mapped) == (1, 1)
        assert len(children()) == 2
        mapped.close()
        assert children() == []


class TestNumUsableCpus:
    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({}, 64),
            ({"cpu.max": "max 100000\n"}, 64),
            ({"cpu.max": "200000 100000\n"}, 2),
            ({"cpu.max": "350000 100000\n"}, 3),
            ({"cpu.max": "50000 100000\n"}, 1),
            ({"cpu.max": "99900000 100000\n"}, 64),
            ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
            ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ],
    )
    def test_the_containers_limit_counts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
    ) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        monkeypatch.setattr(parable.process, "CGROUP_FOLDER", tmp_path)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
        assert num_usable_cpus() == expected

    def test_the_affinity_counts(self) -> None:
        assert 1 <= num_usable_cpus() <= len(os.sched_getaffinity(0))


def test_a_process_is_known_by_its_pid_and_its_start() -> None:
    pid, ticks = os.getpid(), start_ticks(os.getpid())
    assert is_running(pid, ticks)
    assert not is_running(pid, ticks + 1)
    assert not is_running(pid, 0)
    assert not is_running(99_999_999, 0)
    assert own_name() == f"{pid_space()}-{pid}-{ticks}"


def test_a_killed_but_unreaped_process_is_gone() -> None:
    process = start("sleeper")
    ticks = start_ticks(process.pid)
    process.kill()
    wait_for_the_end_of(process.pid, ticks)
    assert start_ticks(process.pid) == 0
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def children() -> list[int]:
    """Pids of our living children that Python started for work."""
    me = os.getpid()
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(rest[1]) == me and rest[0] != "Z" and b"spawn_main" in command:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(
    sys.platform != "linux", reason="only glibc keeps what is freed, and can be told to let go"
)
def test_memory_that_was_freed_goes_back_to_the_system() -> None:
    program = """
import psutil
from parable.process import give_memory_back
blocks = [bytearray(50_000) for _ in range(2_000)]
last = blocks[-1]  # Above all the others in the heap, which can't shrink while it is there.
blocks.clear()
before = psutil.Process().memory_info().rss
give_memory_back()
print(before - psutil.Process().memory_info().rss)
"""
    freed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert int(freed) > 80_000_000
