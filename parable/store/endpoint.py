"""Where an S3 server is, by the environment."""

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from parable.errors import UserError

DEFAULT_ENDPOINT = "https://s3.amazonaws.com"


def s3_endpoint(environment: Mapping[str, str]) -> SplitResult:
    """The server's address from the environment.

    Raises:
        UserError: it is malformed. The message does not repeat it where it may hold a password.
    """
    variable = "PARABLE_S3_ENDPOINT" if environment.get("PARABLE_S3_ENDPOINT") else "AWS_ENDPOINT_URL"
    given = environment.get(variable) or DEFAULT_ENDPOINT
    if "@" in given:
        raise UserError(
            f"{variable} must hold no user and no password: write http://host:port or https://host:port, and "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    try:
        parts = urlsplit(given if "://" in given else f"https://{given}")
        rest = parts.path.strip("/") or parts.query or parts.fragment
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not rest:
            return parts
    except ValueError:
        pass  # The port is no number.
    raise UserError(f"{variable} is {given!r}; write it as http://host:port or https://host:port.")
