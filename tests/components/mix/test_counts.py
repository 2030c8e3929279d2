from pathlib import Path

import numpy as np

from components.mix import TokenCorpus, read_mixture, run
from components.mix.counts import count_mixture
from parable.store import LocalStore
from tests.components.mix.example import PLAIN, catalog, recipe


def test_counts_are_those_of_the_rows_that_are_read(store: LocalStore, tmp_path: Path) -> None:
    """Four epochs of the dose's source and more of the others, counted here row by row."""
    training = {**PLAIN["training"], "tokens": 32 * 1000}
    insert = {"corpus": "dose", "phase": "midtrain", "in_place_of": ["stories", "web"], "repeats": 4.5}
    given = recipe(training=training, arms={"plain": {"insert": [insert]}}, seeds=[0])
    mixture = read_mixture(store, run(given, store, catalog(store, given))["mixture/plain/seed-0"])
    rows = TokenCorpus(store, mixture, tmp_path)
    told = count_mixture(store, mixture)
    assert told["rows"] == 1000
    assert told["tokens"] + told["padding"] == 32_000
    for phase, shown in zip(mixture.phases, told["phases"], strict=True):
        numbers = range(phase.start_row, phase.start_row + phase.num_rows)
        where = np.array([phase.locate(row)[0] for row in numbers])
        real = rows.batch(numbers).weights.sum(axis=1)
        for number, source in enumerate(shown["sources"]):
            assert source["name"] == phase.sources[number].name
            assert source["rows"] == (where == number).sum()
            assert source["tokens"] == real[where == number].sum()
            assert source["padding"] == source["rows"] * 32 - source["tokens"]
            assert source["epochs"] == round(source["rows"] / phase.sources[number].num_rows, 6)
            assert source["dose"] == (source["name"] == "dose")
    largest = max(source["epochs"] for phase in told["phases"] for source in phase["sources"])
    assert largest > 4
