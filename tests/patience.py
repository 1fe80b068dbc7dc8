"""How long a test waits for what must come."""

from __future__ import annotations

PATIENCE_S = 120.0
"""Wall time after which a test that waits is taken to hang: no machine is so busy, and what comes costs none of it.

What has to come *soon* is not held by such a limit: it is counted, or measured in time of the processor or of the loop
(`tests.calmloop`).
"""

PROGRAM_S = 6 * PATIENCE_S
"""The same for a whole program that computes, or fetches what it needs."""
