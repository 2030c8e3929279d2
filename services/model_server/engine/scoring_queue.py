"""Texts that wait to be scored by one model, taken a few at a time across all requests."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from parable.inference.span_scores import Alternatives, SpanScore, SpanScorer
from parable.inference.trie import Span, common_length
from services.model_server.engine.base import RequestClass, ScoreRequest
from services.model_server.engine.lane import FAILURES, NOT_FINITE

AFTER_END = 0
"""Stands after a text whose next token is asked for, so that its last one is read; its score is dropped."""


class ScoreJob:
    """A request, and the scores it has so far."""

    def __init__(self, number: int, request: ScoreRequest) -> None:
        """Take a request that has been found fit for its model."""
        self.id = number
        self.request = request
        end = (AFTER_END,) if request.next_token else ()
        self._spans: list[Span | None] = [
            Span((*ids, *end), start) if start < len(ids) + len(end) else None
            for ids, start in zip(request.sequences, request.starts, strict=True)
        ]
        self._scores: list[SpanScore] = [SpanScore([], []) for _ in self._spans]
        waiting = [n for n, span in enumerate(self._spans) if span is not None]
        # Those that begin alike stand together, so that what they share is read once.
        self.waiting = deque(sorted(waiting, key=lambda n: (request.sequences[n], n)))
        self.top = max(request.top_logprobs, int(request.next_token))

    def span(self, number: int) -> Span:
        """One of those that wait."""
        span = self._spans[number]
        assert span is not None
        return span

    def put(self, number: int, score: SpanScore) -> None:
        """Keep a score."""
        self._scores[number] = score

    def result(self) -> list[Any]:
        """[tokens, next] of every text, for a frame."""
        request = self.request
        found = []
        for ids, start, score in zip(request.sequences, request.starts, self._scores, strict=True):
            tokens = [
                [ids[start + n], score.logprobs[n], self._told(score, n), *self._rank(score, n)]
                for n in range(len(ids) - start)
            ]
            following = None
            if request.next_token:
                best, logprob = score.top[-1][0]
                following = [best, logprob, self._told(score, len(ids) - start)]
            found.append([tokens, following])
        return found

    def _told(self, score: SpanScore, place: int) -> Alternatives:
        return score.top[place][: self.request.top_logprobs] if self.request.top_logprobs else []

    def _rank(self, score: SpanScore, place: int) -> list[int]:
        return [score.ranks[place]] if self.request.ranks else []


class ScoringQueue:
    """The scoring of one model."""

    def __init__(self, scorer: SpanScorer) -> None:
        """Score with this."""
        self._scorer = scorer
        self._jobs: dict[RequestClass, deque[ScoreJob]] = {kind: deque() for kind in RequestClass}

    def __len__(self) -> int:
        """Requests that are not done."""
        return sum(len(jobs) for jobs in self._jobs.values())

    def numbers(self) -> list[int]:
        """Of all requests that are not done."""
        return [job.id for jobs in self._jobs.values() for job in jobs]

    def add(self, job: ScoreJob) -> None:
        """Queue a request."""
        self._jobs[job.request.request_class].append(job)

    def has(self, request_class: RequestClass) -> bool:
        """Whether anything of a class waits."""
        return bool(self._jobs[request_class])

    def cancel(self, number: int) -> bool:
        """Forget a request; whether it was here."""
        for jobs in self._jobs.values():
            for job in jobs:
                if job.id == number:
                    jobs.remove(job)
                    return True
        return False

    def step(self, request_class: RequestClass, num_tokens: int) -> "ScoringEvents":
        """Score about so many tokens, one text at the least; requests take turns."""
        events = ScoringEvents()
        taken = self._take(self._jobs[request_class], num_tokens, events)
        if taken:
            self._score(taken, events)
        failed = {number for number, _ in events.failed}
        kept: deque[ScoreJob] = deque()
        for job in self._jobs[request_class]:
            if job.id in failed:
                continue
            if job.waiting:
                kept.append(job)
            else:
                events.scores.append([job.id, job.result()])
        kept.rotate(-1)
        self._jobs[request_class] = kept
        return events

    @staticmethod
    def _take(
        jobs: Sequence[ScoreJob], num_tokens: int, events: "ScoringEvents"
    ) -> list[tuple[ScoreJob, int]]:
        """The next texts of the queue; what a text shares with the one before it costs nothing."""
        taken: list[tuple[ScoreJob, int]] = []
        before: Sequence[int] = ()
        for job in jobs:
            while job.waiting:
                ids = job.span(job.waiting[0]).ids
                cost = len(ids) - common_length(before, ids)
                if taken and events.num_tokens + cost > num_tokens:
                    return taken
                events.num_tokens += cost
                taken.append((job, job.waiting.popleft()))
                before = ids
        return taken

    def _score(self, taken: Sequence[tuple[ScoreJob, int]], events: "ScoringEvents") -> None:
        """Score texts together; where that fails, each request's alone, so that only the guilty fails."""
        jobs = {job for job, _ in taken}
        reason = NOT_FINITE
        try:
            scores = self._scorer.score(
                [job.span(number) for job, number in taken],
                [job.top for job, _ in taken],
                ranks=any(job.request.ranks for job in jobs),
            )
            sound = all(math.isfinite(value) for score in scores for value in score.logprobs)
        except FAILURES as error:
            scores, sound, reason = [], False, f"{type(error).__name__}: {error}"
        if sound:
            for (job, number), score in zip(taken, scores, strict=True):
                job.put(number, score)
        elif len(jobs) > 1:
            for job in jobs:
                self._score([pair for pair in taken if pair[0] is job], events)
        else:
            events.failed += [(job.id, reason) for job in jobs]


class ScoringEvents:
    """What a step of scoring brought."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.scores: list[list[Any]] = []
        self.failed: list[tuple[int, str]] = []
        self.num_tokens = 0
