import io

import pytest
from rich.console import Console

from pipelines.live import LiveDisplay, PlainDisplay, display_for, duration, render
from pipelines.run_state import RunState


def shown(state: RunState, now: float = 60.0) -> list[str]:
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(render(state, now))
    return [line.rstrip() for line in console.export_text().splitlines()]


def half_trained() -> RunState:
    state = RunState()
    for event in (
        {"kind": "stage", "stage": "generate", "state": "started", "time": 0.0},
        {"kind": "stage", "stage": "generate", "state": "finished", "time": 8.0},
        {"kind": "stage", "stage": "pretrain", "state": "started", "time": 10.0},
        {
            "kind": "plan",
            "stage": "pretrain",
            "time": 11.0,
            "tasks": [{"task": "s", "total": 10, "arms": ["base"], "seed": 0}],
        },
        {"kind": "progress", "stage": "pretrain", "task": "s", "done": 5, "total": 10, "time": 60.0},
    ):
        state.apply(event)
    return state


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (8, "8 s"), (59.6, "1 min"), (80, "1 min 20 s"), (120, "2 min"), (7500, "2 h 5 min")],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_view_has_a_line_a_stage_and_a_row_an_arm() -> None:
    lines = shown(half_trained())
    assert lines[0].startswith("✓  generate")
    assert lines[0].endswith("8 s, all there already")
    assert lines[3].startswith("▸  pretrain")
    assert lines[3].endswith("50 s, about 50 s left in this stage")
    assert lines[-2].split() == ["arm", "seed", "0"]
    assert lines[-1].split() == ["base", "50%"]


def test_without_a_terminal_there_is_a_line_when_a_stage_begins_or_ends() -> None:
    console = Console(file=io.StringIO(), width=100)
    display = display_for(console)
    assert isinstance(display, PlainDisplay)
    with display:
        display.update(half_trained())
        display.update(half_trained())
    assert console.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "generate: finished in 8 s",
        "pretrain: running",
    ]


def test_on_a_terminal_the_view_is_live() -> None:
    assert isinstance(display_for(Console(file=io.StringIO(), force_terminal=True)), LiveDisplay)
