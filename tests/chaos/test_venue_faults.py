"""A sample of what `benchmarks/venue_faults.py` plays in full: the desk against the simulated venue's own ledger."""

from __future__ import annotations

from benchmarks.venue_faults import SETTLED_S, be_away, lose, muddle, play


def test_bids_whose_answers_are_lost_are_there_once_and_settled_within_a_minute() -> None:
    tally = play(lose, [1], quarters=12)

    assert tally.failed == []
    assert tally.counts["lost"] >= 12
    assert tally.counts["settled"] == tally.counts["lost"]
    assert tally.counts["duplicates"] == 0
    assert tally.slowest_s <= SETTLED_S


def test_a_gate_across_which_a_venue_is_away_is_bid_once_or_alarmed_in_time() -> None:
    tally = play(be_away, [5], quarters=6)

    assert tally.failed == []
    assert tally.counts["alarmed and not bid"] == 1
    assert tally.counts["bid once"] == 5


def test_a_position_is_the_venues_however_its_list_of_awards_is_muddled() -> None:
    tally = play(muddle, [0, 1, 2], quarters=8)

    assert tally.failed == []
    faults = ("dropped", "hidden", "repeated", "reordered", "paged", "revised", "late", "of_nobody")
    assert all(tally.counts[f"award_{fault}"] for fault in faults)
