"""Who trains what next."""

from __future__ import annotations

import pytest

from components.pretrain.queue import SegmentQueue
from components.pretrain.segments import Segment
from parable.store import LocalStore
from tests.components.pretrain.example import planned, recipe


@pytest.fixture
def segments(store: LocalStore) -> tuple[Segment, ...]:
    """Of each of two seeds: a trunk, then a plain and a dosed branch."""
    return planned(store, recipe(seeds=[0, 1])).segments


def test_trunks_come_first_and_branches_when_their_trunk_is_done(segments: tuple[Segment, ...]) -> None:
    trunk, plain, dosed, other_trunk, other_plain, _ = segments
    queue = SegmentQueue(segments)
    assert queue.take(0) is trunk
    assert queue.take(1) is other_trunk
    assert queue.take(2) is None
    queue.finish(other_trunk.artifact)
    assert queue.take(1) is other_plain
    queue.finish(trunk.artifact)
    assert queue.take(0) is plain
    assert queue.take(2) is dosed


def test_a_trunk_goes_before_branches_that_are_ready(segments: tuple[Segment, ...]) -> None:
    trunk, _, _, other_trunk, *_ = segments
    queue = SegmentQueue(segments)
    queue.take(0)
    queue.finish(trunk.artifact)
    assert queue.take(0) is other_trunk


def test_a_parent_that_is_not_asked_for_is_done(segments: tuple[Segment, ...]) -> None:
    _, plain, dosed, *_ = segments
    queue = SegmentQueue([plain, dosed])
    assert queue.take(0) is plain
    assert queue.take(1) is dosed


def test_it_is_over_when_all_is_done(segments: tuple[Segment, ...]) -> None:
    queue = SegmentQueue(segments)
    order = []
    while (segment := queue.take(0)) is not None:
        assert not queue.is_over
        order.append(segment)
        queue.finish(segment.artifact)
    assert queue.is_over
    assert sorted(one.label for one in order) == sorted(one.label for one in segments)


def test_what_a_crashed_worker_had_is_handed_out_again(segments: tuple[Segment, ...]) -> None:
    queue = SegmentQueue(segments)
    first, second = queue.take(0), queue.take(1)
    queue.release(0)
    assert queue.take(2) is first
    assert second is not first
    assert queue.take(3) is None


def test_a_failure_ends_it(segments: tuple[Segment, ...]) -> None:
    queue = SegmentQueue(segments)
    queue.take(0)
    queue.fail("The loss is nan.")
    queue.fail("And another thing.")
    assert (queue.take(1), queue.is_over, queue.failure) == (None, True, "The loss is nan.")
