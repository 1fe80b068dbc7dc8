"""What a day or a month came to, and why."""
