"""The one error that a person can mend."""


class UserError(ValueError):
    """Something that the person who called can put right.

    The message is one paragraph: what was asked, what is possible, which key, row or file is the
    culprit, and what to change. The command prints it without a traceback and exits 2.
    """
