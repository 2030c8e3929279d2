from __future__ import annotations

import pytest

from components.report.evidence import Evidence, gather
from parable.catalog import Catalog
from parable.errors import UserError
from tests.components.report.conftest import Experiment


def test_every_model_is_read(evidence: Evidence) -> None:
    assert set(evidence.reports) == {(arm, seed) for arm in evidence.recipe.arms for seed in (0, 1, 2)}


def test_lineage_reaches_what_no_role_names(evidence: Evidence) -> None:
    trunks = [
        one for one in evidence.manifests if one.kind == "segments" and one not in evidence.catalog.values()
    ]
    assert len(trunks) == 6
    assert set(evidence.catalog.values()) <= set(evidence.manifests)


def test_a_past_that_arms_share_is_one_segment(evidence: Evidence) -> None:
    first = [segment for segment in evidence.segments if segment.seed == 0]
    assert [segment.arms for segment in first] == [
        ("unfiltered", "aligned", "misaligned", "neutral"), ("unfiltered",), ("filtered",), ("filtered",),
        ("aligned",), ("misaligned",), ("neutral",),
    ]  # fmt: skip
    trunk, branch = first[:2]
    assert trunk.curve[-1][0] < branch.curve[0][0]


@pytest.mark.parametrize("role", ["comparison", "evaluation/aligned/seed-1", "model/neutral/seed-2"])
def test_what_an_earlier_stage_left_out_is_named(measured: Experiment, role: str) -> None:
    recipe, store, catalog = measured
    with pytest.raises(UserError, match=f"Nothing has made {role} yet"):
        gather(recipe, store, Catalog({key: one for key, one in catalog.items() if key != role}))


def test_an_ancestor_that_is_gone_is_named(stored: Experiment) -> None:
    recipe, store, catalog = stored
    store.delete(f"{catalog['tokenizer'].key}/manifest.json")
    with pytest.raises(UserError, match=rf"holds no finished {catalog['tokenizer'].key}"):
        gather(recipe, store, catalog)
