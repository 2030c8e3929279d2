"""Evaluations as jobs: durable objects in the store, which any replica goes on with and answers from."""
