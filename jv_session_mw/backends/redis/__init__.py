"""Conversations in Redis or Valkey: the layout, the scripts and the connection."""
