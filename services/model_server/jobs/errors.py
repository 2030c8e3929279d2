"""What a job can't be asked, each with the status that says so."""


class JobError(Exception):
    """A request about a job fails; the sentence is meant for whoever asked."""

    status = 400
    code = "invalid_value"
    retry_after: float | None = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        """Say what is wrong, and with which field."""
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidJobError(JobError):
    """The request asks for what can't be."""


class UnknownJobError(JobError):
    """The caller has no such job."""

    status = 404
    code = "evaluation_not_found"


class JobConflictError(JobError):
    """The job is not in a state for this, or its idempotency key belongs to another request."""

    status = 409
    code = "conflict"


class TooManyJobsError(JobError):
    """The caller has as many unfinished jobs, or open streams, as one may have."""

    status = 429
    code = "too_many_evaluations"
    retry_after = 10.0


class StoreDownError(JobError):
    """The store does not answer: nothing is promised, and nothing is lost."""

    status = 503
    code = "store_unavailable"
    retry_after = 5.0


class ServerGoingDownError(JobError):
    """This replica ends; the job goes on with another."""

    status = 503
    code = "draining"
    retry_after = 1.0
