"""What may be sent, and what comes back."""
