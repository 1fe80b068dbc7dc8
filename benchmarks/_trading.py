"""The strategy file of a benchmark's park: it trades, and wants nothing else."""

TRADING = """\
strategies:
  - name: trading
    use: price_arbitrage
    with: {quarter_hour_spread_per_mwh: 4.0, imbalance_spread_per_mwh: 40.0}
"""
