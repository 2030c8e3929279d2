"""From a request to its turn: the model is leased, the request planned, and admitted."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from starlette.requests import Request

from services.model_server.admission import DrainingError, NeverFitsError, OverloadedError
from services.model_server.api.continuations import Continuations
from services.model_server.api.errors import ApiError, invalid
from services.model_server.api.plan import Plan
from services.model_server.engine.base import DeadlineExceededError
from services.model_server.engine.checks import MOST_LOGPROBS
from services.model_server.models.base import ServedModel
from services.model_server.server import Server, server_of
from services.model_server.telemetry.record import RequestRecord, record_of


@dataclass(slots=True)
class Ticket:
    """A request whose turn it is; `stack` holds its place and its weights until it is closed."""

    server: Server
    served: ServedModel
    plan: Plan
    record: RequestRecord
    stack: AsyncExitStack

    def continuations(self) -> Continuations:
        """What the engine is to be asked.

        Raises:
            DeadlineExceededError: the time for it is over.
        """
        left = self.server.admission.deadline_seconds(self.plan.request_class) - self.record.seconds
        if left <= 0:
            raise DeadlineExceededError("the request was not finished within its deadline")
        return Continuations(self.server.engine, self.plan, self.served, left)

    def note_token(self) -> None:
        """The first token is there."""
        if self.record.first_token_seconds is None:
            self.record.first_token_seconds = self.record.seconds


async def lease(server: Server, stack: AsyncExitStack, name: str, record: RequestRecord) -> ServedModel:
    """The model that a name means now, its weights held until the stack is closed."""
    served = await stack.enter_async_context(server.models.lease(name))
    record.model, record.weights = served.name, served.digest
    return served


async def enter(
    request: Request, name: str, make_plan: Callable[[ServedModel], Awaitable[Plan]], *, stream: bool
) -> Ticket:
    """Wait for a request's turn.

    Raises:
        ApiError: it is refused.
        ModelError: its model can't be had.
    """
    server, record = server_of(request), record_of(request.scope)
    async with AsyncExitStack() as stack:
        served = await lease(server, stack, name, record)
        plan = await make_plan(served)
        if plan.num_logprobs > MOST_LOGPROBS:
            raise invalid(
                f"The answer could hold {plan.num_logprobs:,} log-probabilities; {MOST_LOGPROBS:,} are "
                "possible. Split the request, or ask for fewer.",
                "logprobs",
                "never_fits",
            )
        record.request_class, record.stream = plan.request_class, stream
        record.prompt_tokens = sum(map(len, plan.prompts))
        if server.settings.log_prompts:
            record.prompts = [served.codec.decode(prompt) for prompt in plan.prompts]
        try:
            record.queue_seconds = await stack.enter_async_context(
                server.admission.admit(plan.request_class, plan.num_tokens)
            )
        except NeverFitsError as error:
            raise invalid(str(error), code="never_fits") from error
        except OverloadedError as error:
            raise ApiError(429, str(error), code="overloaded", retry_after=error.retry_seconds) from error
        except DrainingError as error:
            # A client that keeps its connection would ask this same replica again.
            close = {"connection": "close"}
            raise ApiError(503, str(error), code="draining", retry_after=1, headers=close) from error
        return Ticket(server, served, plan, record, stack.pop_all())
    raise AssertionError
