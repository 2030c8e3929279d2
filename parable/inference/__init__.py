"""Scoring and sampling with a causal language model: one implementation for evaluation and for serving.

Every text begins with the end-of-text token, as in training. Nothing here imports torch before a model is
loaded.
"""

from parable.inference.codec import Codec, Question
from parable.inference.trie import Span

__all__ = ["Codec", "Question", "Span"]
