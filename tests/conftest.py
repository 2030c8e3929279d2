"""Fixtures for every test. Each module below also adds its line to pytest's header."""

pytest_plugins = ["tests.support.browser", "tests.support.helm", "tests.support.minio_server"]
