"""Where conversations are kept: Redis, memory, and memory in place of Redis."""
