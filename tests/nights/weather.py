"""What befalls a night, drawn from its seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace


@dataclass
class Weather:
    """Faults by their rates and times; `quiet` ends them all.

    Attributes
    ----------
    busy, outage
        How often, and from when to when, a bucket says 503, or a disk is full and cannot flush.
    kills
        By the number of the operation: which process dies, before or after it takes effect or in the middle of it; or
        that the power is cut.
    stops
        By the number of the operation: for how many seconds its process stands still.
    early
        By the number of the worker process: how many operations it lives.
    behind_work
        How many operations after work in progress was first left on a disk, unflushed, the power is cut; None: never.
    flush_s
        How long each flush of a disk takes besides.
    """

    seed: object
    busy: float = 0.0
    unanswered: float = 0.0
    late: float = 0.0
    altering: float = 0.0
    stale: float = 0.0
    lag: float = 0.0
    outage: tuple[float, float] = (0.0, 0.0)
    kills: dict[int, str] = field(default_factory=dict)
    stops: dict[int, float] = field(default_factory=dict)
    early: dict[int, int] = field(default_factory=dict)
    behind_work: int | None = None
    flush_s: float = 0.0
    skews: tuple[float, ...] = (0.0, 0.0)
    triggers: tuple[tuple[float, int, int], ...] = ((0.0, 0, 2),)
    quiet: bool = False

    def __post_init__(self):
        self.random, self.count, self.born = random.Random(f"faults {self.seed}"), 0, 0
        self.doomed, self._altered = {}, ""

    @classmethod
    def drawn(cls, seed):
        draw = random.Random(f"weather {seed}")
        two = draw.random() < 0.6
        begun_s = draw.uniform(0, 400)
        drawn = cls(
            seed,
            busy=draw.choice((0, 0, 0.01, 0.1)),
            unanswered=draw.choice((0, 0, 0.002, 0.01)),
            late=draw.choice((0, 0, 0.002, 0.02)),
            altering=draw.choice((0, 0, 0.005)),
            stale=draw.choice((0, 0, 0.1, 0.7)),
            lag=draw.choice((0.2, 2.0, 20.0)),
            outage=draw.choice(((0.0, 0.0), (begun_s, begun_s + draw.uniform(10, 300)))),
            kills={
                int(10 ** draw.uniform(0.3, 3.4)): draw.choice(
                    ("killed before", "killed after", "run killed before", "run killed after")
                )
                for _ in range(draw.choice((0, 1, 2, 6)))
            },
            stops={
                int(10 ** draw.uniform(0.3, 3.4)): draw.uniform(10, 400)
                for _ in range(draw.choice((0, 0, 1, 3)))
            },
            early={draw.randrange(6): draw.randrange(6) for _ in range(draw.choice((0, 0, 1, 2)))},
            skews=draw.choice(((0.0, 0.0), (draw.uniform(-1e5, 1e5), draw.uniform(-100, 100)))),
            triggers=tuple(
                (
                    draw.choice((0.0, draw.uniform(0, 30), draw.uniform(0, 600))),
                    number % 2 * two,
                    draw.choice((1, 2)),
                )
                for number in range(1 + two + draw.choice((0, 0, 1)))
            ),
        )
        return drawn._sparing_claims() if draw.random() < 0.25 else drawn

    @classmethod
    def drawn_for_disk(cls, seed):
        """Return what befalls the disk of one machine: it never lags behind, and what it says is true."""
        draw = random.Random(f"weather of disk {seed}")
        begun_s, skew_s = draw.uniform(0, 200), draw.choice((0.0, draw.uniform(-1e5, 1e5)))
        kills = ("killed before", "killed after", "run killed before", "run killed after")
        drawn = cls(
            f"disk {seed}",
            busy=draw.choice((0, 0, 0.001, 0.01)),
            outage=draw.choice(((0.0, 0.0), (begun_s, begun_s + draw.uniform(1, 100)))),
            kills={
                **{
                    int(10 ** draw.uniform(0.3, 3.6)): draw.choice(kills)
                    for _ in range(draw.choice((0, 1, 3)))
                },
                **{draw.randrange(10, 4500): "power cut" for _ in range(draw.choice((0, 1, 2, 4)))},
            },
            stops={
                int(10 ** draw.uniform(0.3, 3.6)): draw.uniform(10, 400)
                for _ in range(draw.choice((0, 0, 1, 3)))
            },
            early={draw.randrange(6): draw.randrange(20) for _ in range(draw.choice((0, 0, 1)))},
            skews=(skew_s, skew_s),
            triggers=tuple(
                (draw.choice((0.0, draw.uniform(0, 30), draw.uniform(0, 300))), 0, draw.choice((1, 2)))
                for _ in range(draw.choice((1, 2, 3)))
            ),
        )
        if int(seed) % 5 == 4:  # every fifth night has this one fault, so that a run comes that far
            calm = replace(drawn, busy=0, outage=(0.0, 0.0), kills={}, stops={}, early={})
            return replace(calm, behind_work=draw.randrange(1, 100))
        if (
            int(seed) % 5 == 0
        ):  # and another fifth a disk so slow that others see files before they are flushed
            drawn = replace(drawn, flush_s=draw.uniform(0.5, 5.0))
        return drawn._sparing_claims() if draw.random() < 0.25 else drawn

    def _sparing_claims(self):
        """Return the same without anything by which a living process can be taken for lost; all at work at once."""
        triggers = tuple((at_s % 5.0, host, processes) for at_s, host, processes in self.triggers)
        calm = {"busy": 0, "unanswered": 0, "late": 0, "stale": 0, "outage": (0.0, 0.0), "stops": {}}
        return replace(self, **calm, triggers=triggers)

    @property
    def spares_claims(self):
        """Whether nothing happens by which a living process can be taken for lost."""
        disturbed = self.busy or self.unanswered or self.late or self.stale or self.outage[1] or self.stops
        return not disturbed

    def work_is_left(self):
        """Hear that a process leaves work in progress."""
        if not self.quiet and self.behind_work is not None:
            self.kills[self.count + self.behind_work] = "power cut"
            self.behind_work = None

    def begun(self, process):
        """Hear of a new worker process: it may be one that dies young."""
        if not self.quiet and self.born in self.early:
            self.doomed[process.pid] = self.early[self.born]
        self.born += 1

    def latency_s(self):
        return 0.005 + self.random.expovariate(50.0) * (1 if self.random.random() < 0.98 else 50)

    def wait_for_flush_s(self):
        return 0.0 if self.quiet else self.flush_s

    def patience_s(self):
        return self.random.uniform(1, 20)

    def is_partly(self):
        """Whether what fails has half happened."""
        return self.random.random() < 0.5

    def lag_s(self):
        """Return how old what a listing shows is."""
        if self.quiet or not self.stale or self.random.random() >= self.stale:
            return 0.0
        return self.random.uniform(0, self.lag)

    def altered(self, key, data):
        """Return bytes as they arrive: one bit may be another one, but not twice in a row in one object."""
        if self.quiet or not self.altering or not data or self._altered == key:
            return data
        if self.random.random() >= self.altering:
            return data
        self._altered = key
        changed = bytearray(data)
        changed[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        return bytes(changed)

    def fault(self, process, now_s):
        """Return what befalls the next operation of a process; empty: nothing."""
        if self.quiet:
            return ""
        self.count += 1
        if self.count in self.kills:
            return self.kills[self.count]
        if self.doomed.get(process.pid, 1 << 30) < process.operations:
            return "killed before"
        if self.count in self.stops:
            process.frozen_until_s = now_s + self.stops[self.count]
        if self.outage[0] <= now_s < self.outage[1]:
            return "503"
        chance = self.random.random()
        for rate, fault in ((self.busy, "503"), (self.unanswered, "no answer"), (self.late, "answer lost")):
            if chance < rate:
                return fault
            chance -= rate
        return ""
