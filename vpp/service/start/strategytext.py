"""The strategy file of a new park as text: it trades as the park that lends its market does."""

from __future__ import annotations

from vpp.service.park.config import read_document
from vpp.service.start.lent import Lent
from vpp.service.start.parktext import flow

_HEAD = """\
# yaml-language-server: $schema=schemas/strategies.json
#
# What the park is steered for; it may change while the service runs. Tariffs and the worth of stored energy
# count in every park and stand nowhere here. `vpp schema strategies` tells what else may be wanted.
strategies:
"""


def strategy_text(lent: Lent) -> str:
    """The whole file."""
    named = read_document(lent.folder / lent.tree["strategies"]).tree["strategies"]
    (trading,) = [one for one in named if one["use"] == "price_arbitrage"]
    lines = [
        f"  - name: {trading['name']}",
        f"    use: {trading['use']}",
        f"    with: {flow(trading['with'])}     # borrowed from {lent.name}, as its market is",
    ]
    return _HEAD + "\n".join(lines) + "\n"
