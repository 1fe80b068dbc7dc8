"""The HTTP face of the service, under /v1."""
