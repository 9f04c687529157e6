"""Faults on the way to Redis and in it, and what must hold all the same."""
