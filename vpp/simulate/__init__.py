"""The other side of the wire: simulated devices and a simulated market. Never imports the service."""
