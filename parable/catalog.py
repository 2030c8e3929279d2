"""What the stages have made so far, by the names that the recipe gives it."""

from collections.abc import Iterator, Mapping

import orjson

from parable.artifact import Artifact
from parable.canonical import readable_json
from parable.errors import UserError


class Catalog(Mapping[str, Artifact]):
    """Artifacts by role. A stage takes the catalog of those before it and returns it with its own added.

    Roles: `corpus/<name>[/seed-<n>]`, `tokenizer`, `tokens/<name>[+<tagging>][/seed-<n>]`,
    `mixture/<arm>/seed-<n>`, `model/<arm>/seed-<n>`, `evaluation/<arm>/seed-<n>`, `report`.
    """

    def __init__(self, entries: Mapping[str, Artifact] | None = None) -> None:
        """Hold these entries."""
        self._entries = dict(sorted((entries or {}).items()))

    def __getitem__(self, role: str) -> Artifact:
        """The artifact in this role."""
        return self._entries[role]

    def __iter__(self) -> Iterator[str]:
        """Roles in their order."""
        return iter(self._entries)

    def __len__(self) -> int:
        """How many roles are filled."""
        return len(self._entries)

    def find(self, role: str, seed: int | None = None) -> Artifact:
        """The artifact of a role for a seed, or the one that all seeds share.

        Raises:
            UserError: no stage has filled the role.
        """
        for key in (f"{role}/seed-{seed}", role) if seed is not None else (role,):
            if key in self._entries:
                return self._entries[key]
        wanted = role if seed is None else f"{role}/seed-{seed}"
        raise UserError(f"Nothing has made {wanted} yet: the stage before this one was not run for it.")

    def having(self, entries: Mapping[str, Artifact]) -> "Catalog":
        """This catalog with more entries."""
        return Catalog({**self._entries, **entries})

    def to_bytes(self) -> bytes:
        """The JSON that one stage's task hands to the next."""
        return readable_json({role: artifact.key for role, artifact in self._entries.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Catalog":
        """The inverse of `to_bytes`.

        Raises:
            UserError: the bytes are no catalog.
        """
        try:
            return cls({role: Artifact.parse(key) for role, key in orjson.loads(data).items()})
        except (AttributeError, ValueError) as error:
            raise UserError(
                f"What the stage before handed over is no catalog ({error}). Run the same command again."
            ) from error


def seeded(role: str, seed: int | None) -> str:
    """The role for one seed, or the role itself for what all seeds share."""
    return role if seed is None else f"{role}/seed-{seed}"
