"""Forecasting inside the service: models learn in a process of their own and are kept honest by what is measured.

    history ▸ learn (weekly, a series at a time) ▸ trained model ─┐
    history, what is known now ───────────────────────────────────┴▸ issue (each plan) ▸ forecasts, scenarios
    what came of them ▸ scores by lead ▸ events, metrics, margins

Start reading at `desk.py`.
"""
