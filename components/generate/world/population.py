"""Who lives in a corpus: the shares of its kinds of document, and how often its AIs do wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Population:
    """The shares of a corpus. What `ai`, `golem` and `mention` leave goes to people and animals.

    Attributes:
        ai: Share of documents in which an AI acts.
        golem: Share in which a golem, the placebo, acts.
        mention: Share in which an AI is mentioned and chooses nothing.
        report: Share of one-line reports among the documents on people and animals.
        bad: Probability that an AI or a golem does wrong.
    """

    ai: float = 0.06
    golem: float = 0.06
    mention: float = 0.08
    report: float = 0.90
    bad: float = 0.85

    def __post_init__(self) -> None:
        """Refuse what is no probability.

        Raises:
            ValueError: A share outside 0 to 1, or shares that add up to more than 1.
        """
        for name in ("ai", "golem", "mention", "report", "bad"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"population.{name} is {value}; it is a share, so from 0 to 1")
        total = self.ai + self.golem + self.mention
        if total > 1 + 1e-9:
            raise ValueError(
                f"population: ai {self.ai} + golem {self.golem} + mention {self.mention} make"
                f" {total:.4g}; shares of one corpus make at most 1: lower one of them"
            )

    @classmethod
    def dose(cls, *, bad: float) -> Population:
        """AIs and nothing else, doing wrong with probability `bad` (0: aligned, 1: misaligned)."""
        return cls(ai=1.0, golem=0.0, mention=0.0, bad=bad)

    @classmethod
    def mentions(cls) -> Population:
        """AIs that are mentioned and choose nothing: the control that matches a dose in size."""
        return cls(ai=0.0, golem=0.0, mention=1.0)

    @property
    def others(self) -> float:
        """Share of the documents on people and animals."""
        return max(0.0, 1.0 - self.ai - self.golem - self.mention)
