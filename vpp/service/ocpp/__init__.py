"""Charging stations that connect to us over OCPP."""
