"""What is counted of instructions to people, for Prometheus; labels come from closed lists, never from a person."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class InstructionMetrics:
    """Counters of what happened to instructions, and how soon others took what fell out."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._happened = Counter(
            "vpp_instructions",
            "What happened to instructions to people, step by step.",
            ["happening"],
            registry=registry,
        )
        self._resplit = Histogram(
            "vpp_instruction_resplit_seconds",
            "From a share that fell out to the plan that gives it to others.",
            buckets=(1, 2, 5, 10, 20, 30, 60, 120, 600),
            registry=registry,
        )
        self._left = Counter(
            "vpp_instruction_left_watts",
            "Of the shares that fell out, power that nobody took.",
            registry=registry,
        )

    def happened(self, happening: str) -> None:
        """One step; `happening` is `ask` or one of `vpp/act/instructionlife.py`."""
        self._happened.labels(happening).inc()

    def resplit(self, after_s: float, left_kw: float) -> None:
        """A share was given to others so long after it fell out, and so much of it to nobody."""
        self._resplit.observe(after_s)
        self._left.inc(max(left_kw, 0.0) * 1000)
