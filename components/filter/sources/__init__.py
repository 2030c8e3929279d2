"""Where natural text comes from: files with a name, a hash of their bytes, and the texts in them."""

from components.filter.sources.open import BUILTIN, Source, check_source, open_source

__all__ = ["BUILTIN", "Source", "check_source", "open_source"]
