"""pysparkplug as an edge node with a battery: tells its power, follows its set-point, is born again when asked.

Arguments: host, port, user, password. Prints each command that came as JSON; ends with its standard input (`die`: by its own
hand, so that the broker speaks its will).
"""

import json
import os
import sys
import threading

from pysparkplug import Client, DataType, Device, EdgeNode, Metric, get_current_timestamp

P, SOC, SETPOINT, REMOTE = "Power/Active", "SoC", "Setpoint/Power", "Setpoint/Remote"


def metric(name: str, datatype: DataType, value: object, alias: int) -> Metric:
    """One metric, measured now."""
    return Metric(
        timestamp=get_current_timestamp(), name=name, datatype=datatype, value=value, alias=alias
    )


def power(watts: float) -> Metric:
    return metric(P, DataType.INT32, round(watts), 1)


def say(**what: object) -> None:
    """One line to whoever started us."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


again = threading.Event()


def on_node_command(node: EdgeNode, message: object) -> None:
    """Only a birth is asked of the node."""
    asked = [one.name for one in message.payload.metrics if one.value is True]
    say(asked=asked)
    again.set()


def on_command(node: EdgeNode, message: object) -> None:
    """Follow what is written, and show it."""
    written = {one.name: one.value for one in message.payload.metrics}
    say(written=written)
    shown = []
    if REMOTE in written:
        shown.append(metric(REMOTE, DataType.BOOLEAN, written[REMOTE], 4))
    if SETPOINT in written:
        shown.append(metric(SETPOINT, DataType.FLOAT, written[SETPOINT], 3))
        shown.append(power(written[SETPOINT]))
    node.update_device("BMS", shown)


host, port, user, password = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
node = EdgeNode(
    "Plant1",
    "Edge1",
    metrics=(),
    client=Client(username=user, password=password),
    cmd_callback=on_node_command,
)
device = Device(
    "BMS",
    metrics=(
        power(1500),
        metric(SOC, DataType.DOUBLE, 55.0, 2),
        metric(SETPOINT, DataType.FLOAT, 0.0, 3),
        metric(REMOTE, DataType.BOOLEAN, False, 4),
    ),
    cmd_callback=on_command,
)
node.register(device)


def live() -> None:
    """Be born, and again each time that is asked for."""
    node.connect(host, port=port)
    say(born=True)
    while True:
        again.wait()
        again.clear()
        node.disconnect()
        node.connect(host, port=port)
        say(born=True)


threading.Thread(target=live, daemon=True).start()
if sys.stdin.readline().strip() == "die":
    os._exit(1)
node.disconnect()
