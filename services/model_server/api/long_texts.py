"""Long texts are worked on beside the event loop, so that others are answered meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")
LONG = 20_000
"""Characters or tokens, from which on a text takes longer than one should hold up others."""
_pool = ThreadPoolExecutor(2, thread_name_prefix="long-texts")
"""Of its own: megabytes of text take seconds each, and the store is read in the loop's own threads."""


async def work_on_text(length: int, work: Callable[[], Result]) -> Result:
    """What the work gives: done here for a text that is not long, beside the event loop for one that is."""
    if length < LONG:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_pool, work)
