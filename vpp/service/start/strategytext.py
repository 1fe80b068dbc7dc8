"""The strategy file of a new park as text: it trades as the park that lends its market does.

Below stand examples of what else may be wanted, for this park and as comments: `vpp strategies preview` shows
what one would do before it is live.
"""

from __future__ import annotations

from collections.abc import Sequence

from vpp.service.park.config import read_document
from vpp.service.start.lent import Lent
from vpp.service.start.members import Enterprise
from vpp.service.start.parktext import flow

_HEAD = """\
# yaml-language-server: $schema=schemas/strategies.json
#
# What the park is steered for; it may change while the service runs. Tariffs and the worth of stored energy
# count in every park and stand nowhere here. `vpp schema strategies` tells what else may be wanted.
strategies:
"""


_EXAMPLES = """\

# Examples; one is taken by removing its #. What each can be set to: `vpp schema strategies`
#
#  - name: evening-peak              # {enterprise} draws at most so much on working evenings
#    use: peak_shaving
#    scope: {{enterprises: [{enterprise}]}}
#    schedule: {{days: [mon, tue, wed, thu, fri], hours: ["17:00-20:00"]}}
#    with: {{most_import_kw: {most_kw:.0f}}}
#  - name: own-sun                   # a kWh used at home is worth so much more than one that is fed
#    use: self_consumption
#    with: {{export_cost_per_kwh: {export_cost:g}}}
#  - name: ready-cars                # cars have what they want a while before they leave
#    use: ev_deadlines
#    with: {{ready_before_minutes: 30}}
"""


def strategy_text(lent: Lent, enterprises: Sequence[Enterprise]) -> str:
    """The whole file, with examples for the first enterprise."""
    named = read_document(lent.folder / lent.tree["strategies"]).tree["strategies"]
    (trading,) = [one for one in named if one["use"] == "price_arbitrage"]
    lines = [
        f"  - name: {trading['name']}",
        f"    use: {trading['use']}",
        f"    with: {flow(trading['with'])}     # borrowed from {lent.name}, as its market is",
    ]
    first = enterprises[0]
    examples = _EXAMPLES.format(
        enterprise=first.id,
        most_kw=0.6 * sum(point.import_kw for point in first.points.values()),
        export_cost=0.02 * lent.money,
    )
    return _HEAD + "\n".join(lines) + "\n" + examples
