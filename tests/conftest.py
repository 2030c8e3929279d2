"""Fixtures for every test. Each module below also adds its line to pytest's header."""

import signal

from hypothesis import settings

pytest_plugins = ["tests.support.browser", "tests.support.helm", "tests.support.minio_server"]

# What is tried is a function of the test, as in CI, and a busy machine is no failure.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every process that a test starts to send it one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
