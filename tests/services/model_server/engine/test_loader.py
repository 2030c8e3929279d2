import threading
from pathlib import Path
from typing import Any, cast

from services.model_server.engine.loader import Loaded, Loader


class Gate:
    """A way to load that goes on when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._go = threading.Semaphore(0)
        self._came = threading.Semaphore(0)

    def load(self, folder: Path) -> Any:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        self.begun.append(folder.name)
        self._came.release()
        assert self._go.acquire(timeout=30)
        self._at_once -= 1
        if folder.name == "broken":
            raise KeyError("no such weight")
        return f"decoder of {folder.name}"

    def wait_for_begin(self) -> None:
        assert self._came.acquire(timeout=30)

    def let_go(self) -> None:
        self._go.release()


def take_all(loader: Loader) -> list[Loaded]:
    taken = []
    while loader.busy:
        if (loaded := loader.take()) is not None:
            taken.append(loaded)
    return taken


def num_threads() -> int:
    return sum(thread.name.startswith("load") for thread in threading.enumerate())


def test_models_are_loaded_one_after_another_in_the_order_they_were_asked_for() -> None:
    gate = Gate()
    loader = Loader(gate.load)
    for name in ("a", "b", "c"):
        loader.ask(name, Path(name))
        gate.let_go()
    taken = take_all(loader)
    assert [(loaded.key, cast(Any, loaded.outcome)) for loaded in taken] == [
        ("a", "decoder of a"),
        ("b", "decoder of b"),
        ("c", "decoder of c"),
    ]
    assert gate.most_at_once == 1


def test_no_thread_is_left_when_there_is_nothing_to_load() -> None:
    gate = Gate()
    loader = Loader(gate.load)
    loader.ask("a", Path("a"))
    gate.wait_for_begin()
    assert num_threads() == 1
    gate.let_go()
    take_all(loader)
    assert num_threads() == 0


def test_a_model_that_can_not_be_loaded_says_why_and_the_next_one_comes() -> None:
    gate = Gate()
    loader = Loader(gate.load)
    for name in ("broken", "b"):
        loader.ask(name, Path(name))
        gate.let_go()
    broken, good = take_all(loader)
    assert broken.key == "broken" and isinstance(broken.outcome, KeyError)
    assert good.key == "b" and cast(Any, good.outcome) == "decoder of b"


def test_a_model_that_is_dropped_on_its_way_does_not_come_and_can_be_asked_for_again() -> None:
    gate = Gate()
    loader = Loader(gate.load)
    loader.ask("a", Path("first"))
    loader.ask("b", Path("b"))
    gate.wait_for_begin()
    loader.drop("a")
    loader.drop("b")
    loader.ask("a", Path("second"))
    for _ in range(2):
        gate.let_go()
    assert [(loaded.key, cast(Any, loaded.outcome)) for loaded in take_all(loader)] == [
        ("a", "decoder of second")
    ]
    assert gate.begun == ["first", "second"]
