"""Look through the Redis window: the state of each resource, then each set-point as it goes out.

    python docs/example_window.py redis://127.0.0.1:6379/0 vpp:v1:demo steel [COUNT]

It needs the package `redis` and nothing of ours. With COUNT it ends after so many commands.
"""

import json
import sys

import redis


def look(url: str, keys: str, enterprise: str, count: int | None = None) -> list[str]:
    """Print what there is and what comes; return the lines."""
    server = redis.Redis.from_url(url, decode_responses=True, socket_timeout=None)
    stream = f"{keys}:{enterprise}:setpoints:stream"
    last = server.xrevrange(stream, count=1)
    after = last[0][0] if last else "0"  # from here on, whatever comes while we print the state
    about = server.hgetall(f"{keys}:about")
    lines = [f"{about.get('park', 'nobody')} at {about.get('at', '?')}: {about.get('safe_state')}"]
    for name, body in sorted(server.hgetall(f"{keys}:{enterprise}:state").items()):
        state = json.loads(body)
        said = f"{state['power_kw']:.1f} kW" if state["known"] else f"unknown: {state['reason']}"
        lines.append(f"{name}: {said}")
    print("\n".join(lines))
    while count is None or count > 0:
        for _, entries in server.xread({stream: after}, block=0):
            for entry_id, fields in entries:
                after = entry_id
                for name, command in json.loads(fields["entries"]).items():
                    until = command["expires_at"]
                    lines.append(f"{name}: {command['power_kw']:.1f} kW until {until}")
                    print(lines[-1])
                    count = None if count is None else count - 1
    return lines


if __name__ == "__main__":
    look(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else None)
