"""Services that outlive a run: so far the model server."""
