import pytest

from parable.artifact import Artifact
from parable.catalog import Catalog, seeded
from parable.errors import UserError

WEB, STORIES = Artifact("corpora", "aa"), Artifact("corpora", "bb")


def test_roles_are_in_order_and_later_ones_replace() -> None:
    catalog = Catalog({"corpus/web": STORIES}).having({"corpus/stories/seed-0": STORIES, "corpus/web": WEB})
    assert dict(catalog) == {"corpus/stories/seed-0": STORIES, "corpus/web": WEB}
    assert list(catalog) == ["corpus/stories/seed-0", "corpus/web"]
    assert len(Catalog()) == 0


def test_having_leaves_the_first_alone() -> None:
    first = Catalog({"a": WEB})
    first.having({"b": WEB})
    assert list(first) == ["a"]


@pytest.mark.parametrize("seed", [0, 1, None])
def test_what_all_seeds_share_is_found_for_each(seed: int | None) -> None:
    assert Catalog({"corpus/web": WEB}).find("corpus/web", seed) == WEB


def test_a_seeds_own_comes_first() -> None:
    catalog = Catalog({"corpus/x": WEB, "corpus/x/seed-0": STORIES})
    assert catalog.find("corpus/x", 0) == STORIES
    assert catalog.find("corpus/x", 1) == WEB


@pytest.mark.parametrize(("seed", "wanted"), [(0, "corpus/x/seed-0"), (None, "corpus/x")])
def test_what_nobody_made_is_named(seed: int | None, wanted: str) -> None:
    with pytest.raises(UserError, match=f"^Nothing has made {wanted} yet"):
        Catalog({"corpus/y": WEB}).find("corpus/x", seed)


def test_it_travels_as_json() -> None:
    catalog = Catalog({"tokenizer": WEB, "corpus/x/seed-0": STORIES})
    assert catalog.to_bytes() == b'{\n  "corpus/x/seed-0": "corpora/bb",\n  "tokenizer": "corpora/aa"\n}\n'
    assert Catalog.from_bytes(catalog.to_bytes()) == catalog


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"a": "no artifact"}', b'{"a": 1}'])
def test_other_bytes_are_no_catalog(data: bytes) -> None:
    with pytest.raises(UserError, match="is no catalog"):
        Catalog.from_bytes(data)


@pytest.mark.parametrize(
    ("seed", "role"), [(0, "model/a/seed-0"), (12, "model/a/seed-12"), (None, "model/a")]
)
def test_roles_for_seeds(seed: int | None, role: str) -> None:
    assert seeded("model/a", seed) == role
