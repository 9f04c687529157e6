"""A chat with a page of its own: `python -m examples.chat`."""
