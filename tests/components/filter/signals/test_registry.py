import pytest

from components.filter import run
from components.filter.reading import Reading
from components.filter.signals import find_signal, registry, signal, signal_names
from parable.artifact import Product
from parable.catalog import Catalog
from parable.corpus import CorpusReader
from parable.errors import UserError
from tests.components.filter.example import PROSE, make_recipe, rejects_of, text_corpus, texts_of


@pytest.fixture(autouse=True)
def _registry(monkeypatch) -> None:
    monkeypatch.setattr(registry, "_SIGNALS", dict(registry._SIGNALS))


def test_a_new_quality_rule_is_one_function(tmp_path, store) -> None:
    """What README.md shows under "A quality rule of your own"."""

    @signal("shouted_words_v1")
    def shouted_words(reading: Reading) -> float:
        """Share of the words in capitals."""
        words = reading.words
        return sum(word.isupper() for word in words) / len(words) if words else 0.0

    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(PROSE)
    (tmp_path / "texts" / "b.txt").write_text("BUY NOW AND SAVE")
    calm = {"input": "web", "quality": {"shouted_words_v1": {"max": 0.5}}}
    recipe = make_recipe({"web": text_corpus(tmp_path / "texts")}, {"calm": calm})

    made = run(recipe, store, Catalog())["corpus/calm"]

    assert texts_of(store, made) == [PROSE]
    assert list(CorpusReader(Product(store, made)).scores("shouted_words_v1")) == [0.0]
    [reject] = rejects_of(store, made)
    assert (reject["reason"], reject["value"]) == ("shouted_words_v1 above 0.5", 1.0)


def test_an_unknown_signal_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        UserError, match=r"names 'num_word_v1', which is no signal. Did you mean num_words_v1\?"
    ):
        find_signal("num_word_v1")


@pytest.mark.parametrize("name", ["num_words", "Num_words_v1", "num words_v1", "v1", "num_words_v"])
def test_a_name_without_a_version_is_refused(name) -> None:
    with pytest.raises(ValueError, match="with a version at the end"):
        signal(name)


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="already"):
        signal("num_words_v1")


def test_every_signal_gives_a_finite_number_for_any_text() -> None:
    from math import isfinite

    from tests.components.filter.example import documents_of

    for document in documents_of(
        ["", " \n\t ", "#", "...", "a", "\x00", "\N{HORIZONTAL ELLIPSIS}" * 3, PROSE]
    ):
        for name in signal_names():
            assert isfinite(find_signal(name)(Reading(document))), (name, document.text)
