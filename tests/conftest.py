"""Fixtures for every test. Each module below also adds its line to pytest's header."""

import signal

pytest_plugins = ["tests.support.browser", "tests.support.helm", "tests.support.minio_server"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every process that a test starts to send it one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
