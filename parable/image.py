"""The container image that every Kubeflow task of this version runs in."""

import os

BASE_IMAGE = os.environ.get("PARABLE_IMAGE", "parable:0.1.0")
"""Read when a pipeline is compiled; pin a digest in production, as `registry.example/parable@sha256:...`."""
