from dataclasses import replace

import orjson

from components.mix.mixture import FILE, KIND, Mixture, PhaseRows, SourceRows, read_mixture
from parable.artifact import Artifact, Blueprint, build
from parable.store import LocalStore

STORIES = SourceRows("stories", Artifact("tokens", "a"), 100, 48, 0)
DOSE = SourceRows("dose", Artifact("tokens", "b"), 16, 0, 0, 16)
PHASE = PhaseRows("pretrain", 0, 64, 64, "k", (STORIES, DOSE))
MIXTURE = Mixture(
    Artifact("tokenizers", "t"), 300, 32, "document", (PHASE, replace(PHASE, name="b", start_row=64))
)


def test_json_comes_back() -> None:
    assert Mixture.from_plain(orjson.loads(orjson.dumps(MIXTURE.to_plain()))) == MIXTURE


def test_a_sealed_mixture_is_read(store: LocalStore) -> None:
    artifact = build(
        store, Blueprint(KIND, "mix", 1, MIXTURE.to_plain()), lambda w: w.put_json(FILE, MIXTURE.to_plain())
    )
    assert read_mixture(store, artifact) == MIXTURE


def test_rows_of_all_phases_and_sources() -> None:
    assert MIXTURE.num_rows == 128
    assert [PHASE.rows_of(0), PHASE.rows_of(1)] == [48, 16]


def test_names_do_not_enter_an_identity_but_everything_that_is_read_does() -> None:
    renamed = replace(PHASE, name="other", sources=(replace(STORIES, name="tales"), DOSE))
    assert renamed.to_plain() == PHASE.to_plain()
    for changed in (
        replace(PHASE, start_row=64),
        replace(PHASE, num_rows=65),
        replace(PHASE, block_rows=32),
        replace(PHASE, key="l"),
        replace(PHASE, sources=(replace(STORIES, first_index=1), DOSE)),
        replace(PHASE, sources=(replace(STORIES, slots=47), DOSE)),
        replace(PHASE, sources=(STORIES, replace(DOSE, dose_rows=15))),
        replace(PHASE, sources=(STORIES, replace(DOSE, tokens=Artifact("tokens", "c")))),
    ):
        assert changed.to_plain() != PHASE.to_plain()


def test_a_row_has_a_source_and_a_place_in_it() -> None:
    found = [PHASE.locate(row) for row in range(64)]
    assert sorted(index for number, index in found if number == 1) == list(range(16))
    assert len({index for number, index in found if number == 0}) == 48
