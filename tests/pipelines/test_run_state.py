import pytest

from pipelines.run_state import RunState, StageState, TaskState


def state(*events: dict[str, object]) -> RunState:
    made = RunState()
    for event in events:
        made.apply({"time": 0.0, **event})
    return made


def test_a_run_begins_with_every_stage_waiting() -> None:
    assert [(s.name, s.state) for s in RunState().stages.values()] == [
        ("generate", "waiting"),
        ("filter", "waiting"),
        ("mix", "waiting"),
        ("pretrain", "waiting"),
        ("evaluate", "waiting"),
        ("report", "waiting"),
    ]


def test_a_stage_is_as_far_as_the_work_of_its_tasks() -> None:
    made = state(
        {"kind": "stage", "stage": "mix", "state": "started"},
        {"kind": "plan", "stage": "mix", "tasks": [{"task": "a", "total": 300}, {"task": "b", "total": 100}]},
        {"kind": "progress", "stage": "mix", "task": "b", "done": 100, "total": 100},
    )
    assert made.running is made.stages["mix"]
    assert made.stages["mix"].fraction == 0.25


def test_a_stage_without_a_plan_has_no_fraction_until_it_is_finished() -> None:
    started = {"kind": "stage", "stage": "filter", "state": "started"}
    assert state(started).stages["filter"].fraction is None
    assert state(started, {**started, "state": "finished"}).stages["filter"].fraction == 1.0


def test_time_left_is_what_the_speed_so_far_says_and_nothing_before_two_seconds() -> None:
    stage = StageState("mix", "running", started=100.0, first_progress=101.0, tasks={"a": TaskState(100, 25)})
    assert stage.seconds_left(101.5) is None
    assert stage.seconds_left(110.0) == pytest.approx(30.0)


def test_an_arm_is_as_far_as_all_segments_that_it_is_made_of() -> None:
    made = state(
        {
            "kind": "plan",
            "stage": "pretrain",
            "tasks": [
                {"task": "trunk", "total": 800, "arms": ["base", "dose"], "seed": 3},
                {"task": "branch", "total": 200, "arms": ["dose"], "seed": 3},
            ],
        },
        {"kind": "progress", "stage": "pretrain", "task": "trunk", "done": 800, "total": 800},
    )
    assert made.arms() == {("base", 3): 1.0, ("dose", 3): 0.8}


def test_the_first_error_is_the_one_that_counts_and_other_events_are_let_pass() -> None:
    made = state(
        {"kind": "speed", "stage": "mix"},
        {"kind": "error", "stage": "mix", "message": "first", "mendable": True},
        {"kind": "error", "stage": "mix", "message": "second", "mendable": False},
    )
    assert made.error is not None
    assert made.error["message"] == "first"
