"""Stages joined: Kubeflow pipelines, the local runner, and the `parable` command."""
