"""The commands of `vpp`: one file a command, each registered by a line of `vpp.cli`."""
