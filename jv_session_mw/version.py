"""The version: the build and the telemetry read it here."""

__version__ = "0.1.0"
