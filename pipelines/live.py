"""A run's progress on a terminal, or as plain lines where there is none."""

import time
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipelines.run_state import RunState, StageState

PLAIN_EVERY_SECONDS = 15.0
BAR_WIDTH = 28


class Display(Protocol):
    """Something that shows a run while it goes on."""

    def __enter__(self) -> "Display":
        """Begin."""
        ...

    def __exit__(self, *error: object) -> None:
        """End."""
        ...

    def update(self, state: RunState) -> None:
        """Show the state as it is now."""
        ...


def display_for(console: Console) -> Display:
    """A live view on a terminal, plain lines elsewhere."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class LiveDisplay:
    """One view that is drawn anew in place."""

    def __init__(self, console: Console) -> None:
        """Draw on this console."""
        self._live = Live(console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> "LiveDisplay":
        """Begin to draw."""
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the last view on the screen."""
        self._live.__exit__(None, None, None)

    def update(self, state: RunState) -> None:
        """Draw the state."""
        self._live.update(render(state, time.time()))


class PlainDisplay:
    """A line when a stage begins or ends, and now and then between."""

    def __init__(self, console: Console) -> None:
        """Write to this console."""
        self._console = console
        self._said: dict[str, str] = {}
        self._last = time.monotonic()

    def __enter__(self) -> "PlainDisplay":
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """End."""

    def update(self, state: RunState) -> None:
        """Say what is new."""
        now = time.time()
        for stage in state.stages.values():
            if stage.state != self._said.get(stage.name, "waiting"):
                self._said[stage.name] = stage.state
                took = f" in {duration(stage.seconds(now))}" if stage.state == "finished" else ""
                self._console.print(f"{stage.name}: {stage.state}{took}", highlight=False)
                self._last = time.monotonic()
        running = state.running
        if running and running.fraction is not None and time.monotonic() - self._last > PLAIN_EVERY_SECONDS:
            self._last = time.monotonic()
            self._console.print(
                f"{running.name}: {running.fraction:.0%}{_left(running, now)}", highlight=False
            )


def render(state: RunState, now: float) -> RenderableType:
    """The live view: a line a stage, and under them the arms and seeds that are being trained."""
    stages = Table.grid(padding=(0, 2))
    for stage in state.stages.values():
        stages.add_row(_mark(stage), Text(stage.name), _bar(stage), Text(_note(stage, now), style="dim"))
    arms = state.arms()
    if not arms or state.stages["pretrain"].state == "waiting":
        return stages
    return Group(stages, Text(), _grid(arms))


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8 s, 1 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _mark(stage: StageState) -> Text:
    return {
        "finished": Text("✓", style="green"),
        "running": Text("▸", style="cyan"),
    }.get(stage.state, Text("·", style="dim"))


def _bar(stage: StageState) -> RenderableType:
    if stage.state == "waiting":
        return Text("")
    if stage.fraction is None:
        return ProgressBar(total=None, width=BAR_WIDTH, pulse=True)
    return ProgressBar(total=1.0, completed=stage.fraction, width=BAR_WIDTH)


def _note(stage: StageState, now: float) -> str:
    if stage.state == "waiting":
        return ""
    took = duration(stage.seconds(now))
    if stage.state == "finished":
        return took if stage.tasks else f"{took}, all there already"
    return f"{took}{_left(stage, now)}"


def _left(stage: StageState, now: float) -> str:
    left = stage.seconds_left(now)
    return "" if left is None else f", about {duration(left)} left in this stage"


def _grid(arms: dict[tuple[str, int], float]) -> Table:
    seeds = sorted({seed for _, seed in arms})
    grid = Table.grid(padding=(0, 2))
    grid.add_row("", Text("arm", style="dim"), *[Text(f"seed {seed}", style="dim") for seed in seeds])
    for arm in dict.fromkeys(arm for arm, _ in arms):
        cells = [_cell(arms.get((arm, seed))) for seed in seeds]
        grid.add_row("", arm, *cells)
    return grid


def _cell(fraction: float | None) -> Text:
    if fraction is None:
        return Text("there", style="dim")
    if fraction >= 1.0:
        return Text("✓", style="green")
    return Text(f"{fraction:.0%}" if fraction else "·", style="cyan" if fraction else "dim")
