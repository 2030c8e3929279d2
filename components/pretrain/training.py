"""From a segment's identity to its product, in this process."""

import time
from collections.abc import Callable
from pathlib import Path

from components.pretrain.checkpoint import Recovery, Snapshot, read_segment, write_segment
from components.pretrain.loop import Learner, Progress, RowSource, run
from components.pretrain.presets import build, configuration, initialise
from components.pretrain.segments import Segment
from parable.artifact import Artifact, Product, ProductWriter
from parable.artifact import build as build_product
from parable.progress import Journal
from parable.store import ObjectStore

JOURNAL_SECONDS = 0.5


class Sources:
    """Opened rows by mixture, the last few kept: branches of one trunk read much the same files."""

    def __init__(self, store: ObjectStore, cache: Path, *, keep: int = 4) -> None:
        """Open rows from a store, with copies of what can't be mapped in `cache`."""
        self._store = store
        self._cache = cache
        self._keep = keep
        self._open: dict[Artifact, RowSource] = {}

    def rows(self, mixture: Artifact) -> RowSource:
        """The rows of a mixture.

        Raises:
            UserError: the mixture or what it names is missing or damaged.
        """
        from components.mix import TokenCorpus, read_mixture

        source = self._open.pop(mixture, None)
        if source is None:
            source = TokenCorpus(self._store, read_mixture(self._store, mixture), self._cache)
        self._open[mixture] = source
        while len(self._open) > self._keep:
            del self._open[next(iter(self._open))]
        return source


def train_segment(
    store: ObjectStore, segment: Segment, rows: Callable[[Artifact], RowSource], journal: Journal
) -> Artifact:
    """Train a segment, or go on with it from its last recovery checkpoint, and seal it.

    Args:
        store: where its parent is and it will be.
        segment: what to train.
        rows: the rows of a mixture.
        journal: what to tell how far it is.

    Raises:
        UserError: a loss is not finite, or something it reads is missing or damaged.
    """
    return build_product(store, segment.blueprint, lambda writer: _make(writer, segment, rows, journal))


def _make(
    writer: ProductWriter, segment: Segment, rows: Callable[[Artifact], RowSource], journal: Journal
) -> None:
    tokenizer = Product(writer.store, segment.tokenizer)
    recovery = Recovery(writer)
    learner, progress = begin(writer.store, segment, recovery)
    course, every = segment.course, segment.training.checkpoint_every_steps
    teller = _Teller(segment, progress, journal)

    def after_step() -> None:
        if progress.step % every == 0 and progress.step < course.num_steps:
            recovery.save(learner, progress)
        teller.tell()

    run(learner, rows(segment.mixture), course, progress, after_step)
    write_segment(writer, learner, progress, tokenizer)


def begin(store: ObjectStore, segment: Segment, recovery: Recovery | None = None) -> tuple[Learner, Progress]:
    """A learner where its segment is: at a recovery checkpoint, at its parent's end, or initialised."""
    import torch

    dtype = torch.float32 if segment.numerics.dtype == "float32" else torch.bfloat16
    kept = recovery.latest() if recovery is not None else None
    start: Snapshot | None = None
    progress = Progress()
    if kept is not None:
        start, progress = kept
    elif segment.parent is not None:
        start, progress = read_segment(Product(store, segment.parent))
    if start is None:
        model = initialise(
            segment.preset, vocabulary=segment.vocabulary, row_length=segment.row_length, seed=segment.seed
        )
    else:
        config = configuration(segment.preset, vocabulary=segment.vocabulary, row_length=segment.row_length)
        model = build(config)
    learner = Learner(model, segment.course, device=segment.numerics.device, dtype=dtype)
    if start is not None:
        learner.optimizer.load(start.weights, start.optimizer)
    return learner, progress


class _Teller:
    """Tells the journal how far a segment is, a few times a second."""

    def __init__(self, segment: Segment, progress: Progress, journal: Journal) -> None:
        self._segment, self._progress, self._journal = segment, progress, journal
        self._told = -float("inf")
        self._label = segment.label

    def tell(self) -> None:
        segment, progress = self._segment, self._progress
        now, total = time.monotonic(), segment.num_tokens
        if now - self._told < JOURNAL_SECONDS and progress.tokens < total:
            return
        self._told = now
        # A log without a line yet has no loss, and the journal's JSON says null.
        self._journal.progress(
            "pretrain",
            self._label,
            progress.tokens,
            total,
            arms=segment.arms,
            seed=segment.seed,
            phase=segment.rows.name,
            tokens=progress.tokens,
            loss=progress.last_loss,
        )
