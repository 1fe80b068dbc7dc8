"""c104 as a dispatch centre of our station: reads, selects and executes, sets its clock; tells what it found.

Arguments: the port. Runs in an environment of its own, for c104 is under the GPL and we are not.
"""

import json
import sys
import time

import c104


def until(done, seconds: float = 20.0) -> bool:
    """Whether something becomes true in time."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.01)
    return done()


def flaws(point: c104.Point) -> str:
    """What is wrong with a value, as c104 says it."""
    return str(point.quality)


client = c104.Client(tick_rate_ms=100, command_timeout_ms=10_000)
connection = client.add_connection(ip="127.0.0.1", port=int(sys.argv[1]), init=c104.Init.ALL)
station = connection.add_station(common_address=47)
kinds = {
    11: c104.Type.M_ME_NC_1,
    12: c104.Type.M_ME_NC_1,
    13: c104.Type.M_ME_TF_1,
    20: c104.Type.M_SP_NA_1,
    21: c104.Type.M_SP_TB_1,
}
points = {at: station.add_point(io_address=at, type=kind) for at, kind in kinds.items()}
select = c104.CommandMode.SELECT_AND_EXECUTE
setpoint = station.add_point(io_address=30, type=c104.Type.C_SE_NC_1, command_mode=select)
blunt = station.add_point(io_address=32, type=c104.Type.C_SE_NC_1)
switch = station.add_point(io_address=31, type=c104.Type.C_SC_NA_1)
client.start()
assert until(lambda: connection.is_connected), "no connection"
# c104 asks by itself when it connects; while that goes on it takes no second question.
found = {"interrogated": until(lambda: connection.interrogation(common_address=47))}
until(lambda: points[11].value == 4.5)
found["values"] = {at: points[at].value for at in (11, 12, 20)}
found["good"] = flaws(points[11])
found["stale"] = flaws(points[12])
# What comes with its time comes by itself: c104 keeps a point for each type.
until(lambda: all(time.time() - points[at].recorded_at.timestamp() > 86_400 for at in (13, 21)))
found["timed"] = {at: points[at].value for at in (13, 21)}
found["recorded_at"] = points[13].recorded_at.timestamp()

for name, point, value in (
    ("selected", setpoint, 4.5),
    ("beyond", setpoint, 400.5),
    ("direct", switch, True),
    ("unselected", blunt, 1.5),
):
    point.value = value
    found[name] = point.transmit(cause=c104.Cot.ACTIVATION)
    if name in ("selected", "direct") and not found[name]:  # a loaded machine: once more
        found[name] = point.transmit(cause=c104.Cot.ACTIVATION)
found["clock"] = connection.clock_sync(common_address=47)
found["again"] = until(lambda: connection.interrogation(common_address=47))
sys.stdout.write(f"RESULT {json.dumps(found)}\n")
client.stop()
