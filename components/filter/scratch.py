"""What a writer keeps for its own restart; gone when the product is sealed."""

from collections.abc import Callable

from parable.artifact import ProductWriter
from parable.store import NotFoundError


class Scratch:
    """Named bytes beside a product that is being written."""

    def __init__(self, writer: ProductWriter) -> None:
        """Use the scratch folder of a writer's product."""
        self._writer = writer

    def get(self, path: str) -> bytes | None:
        """What was put, by this writer or by a killed one before it."""
        try:
            return self._writer.store.get(self._writer.scratch_key(path))
        except NotFoundError:
            return None

    def put(self, path: str, data: bytes) -> None:
        """Keep bytes."""
        self._writer.store.put(self._writer.scratch_key(path), data)

    def once(self, path: str, make: Callable[[], bytes]) -> bytes:
        """What was kept, or what `make` gives, kept from now on."""
        data = self.get(path)
        if data is None:
            data = make()
            self.put(path, data)
        return data
