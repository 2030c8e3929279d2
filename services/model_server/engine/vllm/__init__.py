"""The engine over vLLM: one `vllm serve` of our own for each model, which only this server can reach."""
