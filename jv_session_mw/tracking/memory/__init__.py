"""Chat sessions in the memory of this process."""
