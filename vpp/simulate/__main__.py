"""`python -m vpp.simulate`: a world for the parent process at the other end of stdin and stdout."""

from vpp.simulate.child import main

main()
