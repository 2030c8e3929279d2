"""What turns token ids into token ids: one protocol, and the engines behind it."""
