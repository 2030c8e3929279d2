"""What `helm test` runs: is the server ready, and does it list its models to a key?

usage: check_server.py URL FILE key|keys-file
"""

import http.client
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml

PATIENCE_SECONDS = 120
PAUSE_SECONDS = 2


def main() -> None:
    """Ask, and end with 0, or with one sentence that says what is wrong."""
    url, file, holds = sys.argv[1:]
    key = read_key(Path(file), holds)
    wait_until_ready(url)
    try:
        answer = json.loads(ask(f"{url}/v1/models", key))
    except urllib.error.HTTPError as error:
        sys.exit(
            f"The server is ready, and answers /v1/models with {error.code}: is this key among its keys?"
        )
    models = [model["id"] for model in answer["data"]]
    if not models:
        sys.exit("The server is ready and lists no model.")
    sys.stdout.write(f"ready, with {len(models)} models: {', '.join(models[:5])}\n")


def read_key(file: Path, holds: str) -> str:
    """The key to ask with: the file's content, or the first plain one of scope infer in a file of keys."""
    text = file.read_text(encoding="utf-8")
    if holds == "key":
        return text.strip()
    for entry in yaml.safe_load(text):
        if "infer" in entry["scopes"] and "key" in entry:
            return str(entry["key"])
    sys.exit(
        "No key of scope infer stands in plain text in the file of keys: "
        "name a Secret with one, modelServer.test.existingSecret."
    )


def wait_until_ready(url: str) -> None:
    """Return when /health/ready answers 200."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            ask(f"{url}/health/ready", None)
            return
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                sys.exit(f"The server was not ready within {PATIENCE_SECONDS} s: {error}")
        time.sleep(PAUSE_SECONDS)


def ask(url: str, key: str | None) -> bytes:
    """The body of an answer with 200."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as response:
        return bytes(response.read())


main()
