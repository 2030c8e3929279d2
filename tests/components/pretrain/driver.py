"""A program that trains the small recipe, to be killed: STORE TOKENS CHECKPOINT_EVERY LEARNING_RATE."""

import sys
from pathlib import Path

from components import pretrain
from parable.errors import UserError
from parable.store import LocalStore
from tests.components.pretrain.example import mixed, recipe, training


def main(store_path: str, tokens: str, every: str, rate: str) -> None:
    """Train both seeds with two workers; exit 2 with the message of a `UserError`."""
    given = recipe(
        seeds=[0, 1],
        training=training(
            tokens=int(tokens),
            checkpoint_every_steps=int(every),
            optimizer={"learning_rate": float(rate)},
        ),
    )
    store = LocalStore(Path(store_path))
    inputs = mixed(store, given)
    try:
        pretrain.run(given, store, inputs)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main(*sys.argv[1:])
