"""A time zone whose offset depends on the fold, wherever the tests run."""

from datetime import datetime, timedelta, tzinfo


class Autumn(tzinfo):
    """A zone in the night in which its clocks go back: each hour comes twice."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        return timedelta(hours=1 if dt is not None and dt.fold else 2)

    def dst(self, dt: datetime | None) -> timedelta:
        return self.utcoffset(dt) - timedelta(hours=1)

    def tzname(self, dt: datetime | None) -> str:
        return "autumn"
