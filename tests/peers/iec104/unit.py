"""c104 as a remote terminal unit that our client reads and commands: it follows what it is ordered.

Arguments: the port. Prints `ready`, then each order as JSON; ends with its standard input.
"""

import json
import sys

import c104

server = c104.Server(ip="127.0.0.1", port=int(sys.argv[1]), tick_rate_ms=100)
station = server.add_station(common_address=1)
power = station.add_point(io_address=1, type=c104.Type.M_ME_NC_1, report_ms=200)
held = station.add_point(io_address=3, type=c104.Type.M_ME_NC_1, report_ms=200)
power.value, held.value = 0.25, 0.0
select = c104.CommandMode.SELECT_AND_EXECUTE
setpoint = station.add_point(io_address=30, type=c104.Type.C_SE_NC_1, command_mode=select)
enable = station.add_point(io_address=31, type=c104.Type.C_SC_NA_1, command_mode=select)


def say(what: str) -> None:
    """One line to whoever started us."""
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def follow(
    point: c104.Point, previous_info: c104.Information, message: c104.IncomingMessage
) -> c104.ResponseState:
    """Take an order; one of 66 counts is refused, as a device does that cannot."""
    if point.io_address == 30 and point.value == 66.0:
        return c104.ResponseState.FAILURE
    say(json.dumps([point.io_address, float(point.value)]))
    if point.io_address == 30:
        held.value, power.value = point.value, point.value / 100
    return c104.ResponseState.SUCCESS


setpoint.on_receive(callable=follow)
enable.on_receive(callable=follow)
server.start()
say("ready")
sys.stdin.read()
server.stop()
