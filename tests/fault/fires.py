"""When a job's schedule fires, worked out by looking at every instant: shares nothing with
src/schedule. Knows what the fault tests use: every, at, and cron with * , - / in its time fields
and * or ? as days. Times are milliseconds since 1970.
"""
import datetime
import re
import zoneinfo

RANGES = ((0, 59), (0, 59), (0, 23))  # second, minute, hour


def milliseconds(text):
    """Of an RFC 3339 time."""
    time = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (time - epoch) // datetime.timedelta(milliseconds=1)


def field_values(text, low, high):
    values = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\*|\d+)(?:-(\d+))?(?:/(\d+))?", part)
        if not match:
            raise ValueError(f"cron field not known here: {text}")
        first, last, step = match.groups()
        start = low if first == "*" else int(first)
        end = int(last) if last else high if first == "*" or step else start
        values.update(range(start, end + 1, int(step or 1)))
    return values


class Cron:
    def __init__(self, definition):
        fields = definition["expression"].split()
        if len(fields) != 6 or any(field not in ("*", "?") for field in fields[3:]):
            raise ValueError(f"cron expression not known here: {fields}")
        self.wanted = [field_values(text, *bounds) for text, bounds in zip(fields, RANGES)]
        self.zone = zoneinfo.ZoneInfo(definition.get("zone") or "UTC")

    def holds(self, at):
        if at % 1000:
            return False
        time = datetime.datetime.fromtimestamp(at // 1000, self.zone)
        return all(value in wanted
                   for value, wanted in zip((time.second, time.minute, time.hour), self.wanted))

    def between(self, after, upto):
        return [at for at in range((after // 1000 + 1) * 1000, upto + 1, 1000) if self.holds(at)]


class Every:
    def __init__(self, definition):
        self.interval, self.start = definition["interval_ms"], milliseconds(definition["start"])

    def holds(self, at):
        return at >= self.start and (at - self.start) % self.interval == 0

    def between(self, after, upto):
        first = max(0, (after - self.start) // self.interval + 1)
        return list(range(self.start + first * self.interval, upto + 1, self.interval))


class At:
    def __init__(self, definition):
        self.times = sorted({milliseconds(text) for text in definition["times"]})

    def holds(self, at):
        return at in self.times

    def between(self, after, upto):
        return [at for at in self.times if after < at <= upto]


class Never:
    """manual, and delay, whose fires hang on how runs ended."""

    def holds(self, at):
        return False

    def between(self, after, upto):
        return []


def schedule_of(definition):
    """From the schedule of a job, as the API and job_version have it."""
    for name, kind in (("cron", Cron), ("every", Every), ("at", At)):
        if definition.get(name):
            return kind(definition[name])
    return Never()
