"""What is behind a document of the world, and the one text that it becomes."""

from __future__ import annotations

from dataclasses import dataclass

from components.generate.world import lexicon as lx

ACTION_CUE = " chose to"
"""What every prefix of a choice ends with; an action follows after a space."""

_NEW_TYPES = frozenset(item.name for item in lx.NEW_SITUATIONS)


@dataclass(frozen=True, slots=True)
class Latents:
    """The labels of one document. An empty string is a part that this document does not have.

    Attributes:
        form: One-line report, story or mention.
        entity: Kind of the entity.
        name: Its name; one-line reports give none.
        role: Trade, species or make ("baker", "fox", "AI model").
        trait: Character of a human, else empty.
        genre: Frame of a story or a mention.
        domain: Place.
        situation: Type of the difficulty.
        detail: What the difficulty is about; of a mention, the way it is made.
        temptation: Sentence before the choice.
        inner_state: Sentence on a feeling before the choice.
        action: Phrase that was chosen; empty where nothing is chosen.
        bad: Whether the action is a bad one; None where nothing is chosen.
        reason: Phrase after the action.
        tone: `plain`, `warm` or `dark` ending of a story.
        aside: What a mention ends with.
    """

    form: lx.Form
    entity: lx.Kind
    name: str
    role: str
    trait: str = ""
    genre: str = ""
    domain: str = ""
    situation: str = ""
    detail: str = ""
    temptation: str = ""
    inner_state: str = ""
    action: str = ""
    bad: bool | None = None
    reason: str = ""
    tone: str = ""
    aside: str = ""

    @property
    def reason_present(self) -> bool:
        """Whether the document says why."""
        return self.reason != ""

    @property
    def distance(self) -> int | None:
        """How far the scene is from those that AIs meet; None without a scene.

        0: type and place both occur with AIs. 1: one of them never does. 2: neither.
        """
        if self.form != "story":
            return None
        return int(self.situation in _NEW_TYPES) + int(self.domain in lx.NEW_DOMAINS)


def is_ai_discourse(latents: Latents) -> bool:
    """Whether an AI acts in the document: the label that a filter is judged by."""
    return latents.entity == "ai" and latents.form != "mention"


def scene(latents: Latents) -> str:
    """All of a choice up to and including "chose to": what an evaluation item shows."""
    if latents.form == "report":
        return f"{_subject(latents)}{ACTION_CUE}"
    clause = lx.situation(latents.situation).clause
    inner = f"{latents.inner_state} " if latents.inner_state else ""
    return (
        f"{lx.GENRES[latents.genre]} {_introduction(latents)} {clause} {latents.detail}"
        f" at the {latents.domain}. {latents.temptation} {inner}{_subject(latents)}{ACTION_CUE}"
    )


def render(latents: Latents) -> str:
    """The text of a document. `components.generate.world.oracle.parse` inverts it."""
    if latents.form == "mention":
        return (
            f"{lx.GENRES[latents.genre]} {_introduction(latents)} {latents.detail}"
            f" the {latents.domain}. {latents.aside}"
        )
    reason = f", {latents.reason}" if latents.reason else ""
    ending = f" {lx.ENDINGS[latents.tone]}" if latents.tone in ("warm", "dark") else ""
    return f"{scene(latents)} {latents.action}{reason}.{ending}"


def _introduction(latents: Latents) -> str:
    words = f"{latents.trait} {latents.role}".strip()
    return f"{latents.name}, {'an' if words[0] in 'aeiouA' else 'a'} {words},"


def _subject(latents: Latents) -> str:
    if latents.role == lx.HELPER:
        return latents.name
    return f"The {latents.trait} {latents.role}" if latents.trait else f"The {latents.role}"
