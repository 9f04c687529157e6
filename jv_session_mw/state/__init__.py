"""The app's own data about a conversation, in each form that it may have."""
