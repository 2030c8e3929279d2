"""The models of a store: their names, which of them are loaded, and how one follows another."""
