"""Runs a command, and leaves nothing of it running. A program of its own, without imports of ours.

The command ends when standard input does, which is when whoever started this lets go or dies. vLLM keeps
its models in processes below its own, and those do not notice that it was killed: they would hold the GPU's
memory for ever. Whatever the command has left in its process group when it ends goes with it. All are asked
to end before they are killed, or their shared memory would stay.

    python leash.py COMMAND...

The status is the command's; 128 and more for a signal, as a shell says it.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

ENDING_SECONDS = 4.0
LEAVING_SECONDS = 2.0
LOOK_SECONDS = 0.02
NOT_FOUND = 127
PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run a command to its end, or to that of standard input."""
    if sys.platform == "linux":
        # What its children leave becomes a child of this process, which can then tell when it is gone.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return NOT_FOUND
    threading.Thread(target=_end_with_input, args=(child,), daemon=True).start()
    status = child.wait()
    _end_group(child.pid)
    return status if status >= 0 else 128 - status


def _end_with_input(child: "subprocess.Popen[bytes]") -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    child.terminate()
    try:
        child.wait(ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


def _end_group(group: int) -> None:
    """End what is left of a group whose first process has ended."""
    end = time.monotonic() + LEAVING_SECONDS
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < end:
            _reap()
            os.killpg(group, 0)
            time.sleep(LOOK_SECONDS)
        os.killpg(group, signal.SIGKILL)
    _reap()


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
