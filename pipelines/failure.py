"""The end of a run that no one foresaw."""


class StageFailedError(RuntimeError):
    """A stage was killed or crashed; the message says where its trace is and how to go on."""
