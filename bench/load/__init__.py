"""The load generator of the model server: `python -m bench.load`."""
