"""The `vpp` command. `--json` prints one document on stdout; logs go to stderr.

Exit 0: done. Exit 2: bad input, told as `file:line:col: path: what` or in one line. Exit 1: anything else.
What each command does stands in a file of its own in `vpp.commands`.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from vpp.commands.backtest import backtest
from vpp.commands.backup import backup
from vpp.commands.bid import bid
from vpp.commands.check import check
from vpp.commands.demo import demo
from vpp.commands.devices import device_app, simulate_app
from vpp.commands.forecast import forecast
from vpp.commands.init import init
from vpp.commands.kill import kill
from vpp.commands.logs import log_from
from vpp.commands.people import people_app
from vpp.commands.plan import plan
from vpp.commands.report import report
from vpp.commands.run import run
from vpp.commands.schema import schema
from vpp.commands.strategies import strategies_app
from vpp.commands.timeline import timeline
from vpp.errors import ConfigError, VppError

app = typer.Typer(
    name="vpp",
    help="An open virtual power plant for the enterprises of industrial parks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo)
app.command()(init)
app.command()(run)
app.command()(kill)
app.command()(backup)
app.command()(check)
app.command()(plan)
app.command()(bid)
app.command()(forecast)
app.command()(backtest)
app.command()(report)
app.command()(schema)
app.command()(timeline)
app.add_typer(simulate_app, name="simulate")
app.add_typer(device_app, name="device")
app.add_typer(people_app, name="people")
app.add_typer(strategies_app, name="strategies")


def main() -> NoReturn:
    """Run the command and turn what it raises into one line and an exit code."""
    # One thread a process: those of OpenMP spin while they wait for each other, and beside other work
    # on the machine models then take ten times as long to learn. Read when scikit-learn is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    log_from("warning")
    try:
        code = app(
            standalone_mode=False
        )  # where a command says how it ended, it is given back here
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except VppError as error:
        print(f"vpp: {error}", file=sys.stderr)
        sys.exit(1)
    except typer.TyperException as error:  # an unknown flag, a missing argument; or the help
        print(error, file=sys.stderr)
        sys.exit(2)
    except typer.Abort:
        print("vpp: stopped", file=sys.stderr)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
