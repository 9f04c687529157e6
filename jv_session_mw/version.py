"""The version, where the build and the telemetry both find it."""

__version__ = "0.1.0"
