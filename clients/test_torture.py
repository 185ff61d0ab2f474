"""The short form of torture.py."""

import time

import torture


def nothing_is_wrong(report: torture.Report):
    print(report)
    assert not report.violations, "\n".join(report.violations)


def seed() -> int:
    """Another one each time; a failure shows it."""
    chosen = int(time.time())
    print(f"seed {chosen}")
    return chosen


def test_a_killed_gate_loses_no_call(tmp_path):
    report = torture.Report()
    torture.kills(12, seed(), tmp_path, report)
    nothing_is_wrong(report)
    # The clients were there.
    assert report.whole > 50 and report.unknown > 5, report


def test_a_full_disk_ends_no_call_that_is_under_way(tmp_path):
    report = torture.Report()
    torture.full_disk(seed(), tmp_path, report, "nothing")
    nothing_is_wrong(report)


def test_a_gate_that_is_killed_on_a_full_disk_starts_again(tmp_path):
    report = torture.Report()
    torture.full_disk(seed(), tmp_path, report, "a kill")
    nothing_is_wrong(report)


def test_somebody_else_who_fills_the_disk_breaks_no_chain(tmp_path):
    report = torture.Report()
    torture.full_disk(seed(), tmp_path, report, "a neighbour")
    nothing_is_wrong(report)


def test_calls_go_on_without_the_database_of_the_index(tmp_path):
    report = torture.Report()
    torture.database(2, seed(), tmp_path, report)
    nothing_is_wrong(report)
    assert report.whole > 50, report
