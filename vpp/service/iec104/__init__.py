"""Dispatch centres and devices over IEC 60870-5-104."""
