"""`python -m vpp` is the `vpp` command."""

from __future__ import annotations

from vpp.cli import main

if __name__ == "__main__":
    main()
