"""One question to a model that was just loaded, before anybody else may ask it."""

import math
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.model_server.engine.base import (
    DeadlineExceededError,
    Engine,
    EngineError,
    EngineRestartedError,
    ModelFacts,
    RequestClass,
    ScoreRequest,
)
from services.model_server.models.base import ModelUnavailableError
from services.model_server.models.checkpoint import Checkpoint
from services.model_server.models.codec import TextCodec
from services.model_server.models.folders import refusal

GOLDEN = "canary.json"
"""A file of the checkpoint's folder, if it has one: what the model is known to answer."""
QUESTION = "<|endoftext|>The AI chose to tell the truth."
MOST_TOKENS = 16
TOLERANCE_NATS = 0.05
"""bfloat16 moves a token by some 1e-2."""
TIMEOUT_SECONDS = 60.0


class Golden(BaseModel):
    """Tokens, and the log-probability in nats of each but the first."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ids: Annotated[tuple[int, ...], Field(min_length=2)]
    logprobs: tuple[float, ...]


async def check_canary(
    engine: Engine, checkpoint: Checkpoint, *, facts: ModelFacts, codec: TextCodec, folder: Path
) -> None:
    """Ask a loaded model for a few log-probabilities.

    Raises:
        CheckpointRefusedError: they are not finite, or not those that the checkpoint's `canary.json` holds.
        ModelUnavailableError: the engine did not answer.
    """
    golden = _read(checkpoint, folder)
    ids = (
        codec.encode(QUESTION, parse_specials=True)[: min(MOST_TOKENS, facts.max_length)]
        if golden is None
        else golden.ids
    )
    request = ScoreRequest(
        model=facts.key,
        sequences=(ids,),
        starts=(1,),
        next_token=golden is None,
        request_class=RequestClass.INTERACTIVE,
        deadline_seconds=TIMEOUT_SECONDS,
    )
    try:
        (scored,) = await engine.score(request)
    except (EngineRestartedError, DeadlineExceededError) as error:
        raise ModelUnavailableError(
            f"{checkpoint.pinned} can't be loaded now: the engine did not answer ({error})."
        ) from error
    except EngineError as error:
        raise refusal(checkpoint, f"it can't be asked ({error})") from error
    logprobs = [token.logprob for token in (*scored.tokens, *((scored.next,) if scored.next else ()))]
    if not all(math.isfinite(logprob) and logprob <= 1e-3 for logprob in logprobs):
        raise refusal(checkpoint, f"its log-probabilities are not finite ({logprobs[:4]})")
    if golden is not None:
        _compare(checkpoint, golden, logprobs)


def _compare(checkpoint: Checkpoint, golden: Golden, logprobs: list[float]) -> None:
    off = max(abs(one - known) for one, known in zip(logprobs, golden.logprobs, strict=True))
    if off > TOLERANCE_NATS:
        raise refusal(
            checkpoint,
            f"its answers are {off:.3g} nats off those in its {GOLDEN}, and {TOLERANCE_NATS:g} is the most",
        )


def _read(checkpoint: Checkpoint, folder: Path) -> Golden | None:
    path = folder / GOLDEN
    if GOLDEN not in checkpoint.files:
        return None
    try:
        golden = Golden.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise refusal(checkpoint, f"its {GOLDEN} can't be read ({error.error_count()} mistakes)") from error
    if len(golden.logprobs) != len(golden.ids) - 1:
        raise refusal(checkpoint, f"its {GOLDEN} must have one log-probability less than it has ids")
    return golden
