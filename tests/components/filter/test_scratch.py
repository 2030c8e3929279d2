from components.filter.scratch import Scratch
from parable.artifact import Blueprint, ProductWriter, build


def test_what_is_kept_outlives_its_writer_and_goes_with_the_seal(store) -> None:
    made: list[bytes] = []

    def make_bytes() -> bytes:
        made.append(b"x")
        return b"x"

    def make(writer: ProductWriter) -> None:
        assert Scratch(writer).get("a") is None
        assert Scratch(writer).once("a", make_bytes) == Scratch(writer).once("a", make_bytes) == b"x"
        assert Scratch(writer).get("a") == b"x"

    build(store, Blueprint("corpora", "example", 1, {}), make)
    assert len(made) == 1
    assert list(store.list("scratch/")) == []
