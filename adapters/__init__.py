"""EDGES: one file a protocol; each implements a port of vpp.ports."""
