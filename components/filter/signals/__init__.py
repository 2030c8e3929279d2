"""Signals: small functions with a version in their name, each giving every document one number."""

from components.filter.signals import gopher, repetition, world
from components.filter.signals.registry import Signal, find_signal, signal, signal_names

__all__ = ["Signal", "find_signal", "gopher", "repetition", "signal", "signal_names", "world"]
