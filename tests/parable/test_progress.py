import threading
from pathlib import Path

import orjson
import pytest

from parable.progress import FOLDER_VARIABLE, Journal, JournalFollower


def test_events_come_back_in_order_and_once(tmp_path: Path) -> None:
    journal, follower = Journal(tmp_path), JournalFollower(tmp_path)
    assert list(follower.new_events()) == []
    journal.event("plan", stage="mix", tasks=[{"task": "stories/seed-0", "total": 24000}])
    journal.progress("mix", "stories/seed-0", 12000, 24000, rows=7)
    first = list(follower.new_events())
    assert [{name: value for name, value in event.items() if name != "time"} for event in first] == [
        {"kind": "plan", "stage": "mix", "tasks": [{"task": "stories/seed-0", "total": 24000}]},
        {
            "kind": "progress",
            "stage": "mix",
            "task": "stories/seed-0",
            "done": 12000,
            "total": 24000,
            "rows": 7,
        },
    ]
    assert first[0]["time"] <= first[1]["time"]
    assert list(follower.new_events()) == []
    journal.event("stage", stage="mix", state="finished")
    assert [event["kind"] for event in follower.new_events()] == ["stage"]


def test_a_half_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    follower = JournalFollower(tmp_path)
    line = orjson.dumps({"kind": "é", "n": 1}, option=orjson.OPT_APPEND_NEWLINE)
    with (tmp_path / "a.jsonl").open("ab", buffering=0) as file:
        for number in range(len(line) - 1):
            file.write(line[number : number + 1])
            assert list(follower.new_events()) == []
        file.write(line[-1:] + line + line[:5])
        assert list(follower.new_events()) == [{"kind": "é", "n": 1}] * 2
        file.write(line[5:])
        assert list(follower.new_events()) == [{"kind": "é", "n": 1}]


def test_a_line_that_was_cut_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"kind": "on\n{"kind":"two"}\nnull\n')
    assert list(JournalFollower(tmp_path).new_events()) == [{"kind": "two"}]


def test_every_event_once_while_many_write(tmp_path: Path) -> None:
    follower = JournalFollower(tmp_path / "journal")
    assert list(follower.new_events()) == []

    def write(worker: int) -> None:
        journal = Journal(tmp_path / "journal")
        for number in range(200):
            journal.event("step", worker=worker, number=number)

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
    seen: dict[int, list[int]] = {worker: [] for worker in range(3)}
    for writer in writers:
        writer.start()
    alive = True
    while alive:
        alive = any(writer.is_alive() for writer in writers)
        for event in follower.new_events():
            seen[event["worker"]].append(event["number"])
    assert seen == {worker: list(range(200)) for worker in range(3)}


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    Journal.from_environment().event("kind")
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    Journal.from_environment().event("kind")
    assert list(tmp_path.iterdir()) == []


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "deep" / "journal"))
    Journal.from_environment().event("kind", x=0)
    [event] = JournalFollower(tmp_path / "deep" / "journal").new_events()
    assert (event["kind"], event["x"]) == ("kind", 0)
