"""Most requests are to reach a model: a name that could be one becomes the one that there is."""

import os
from typing import Any

import schemathesis

MODEL = os.environ["PARABLE_ACCEPTANCE_MODEL"]


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """A name that breaks the description stays as it is: it is there to be refused."""
    if isinstance(body, dict) and isinstance(body.get("model"), str) and 0 < len(body["model"]) <= 512:
        return {**body, "model": MODEL}
    return body
