"""Progress: what is done, failed and still to come, in lines where there is no terminal."""

from mtc_hw.montecarlo import progress
from mtc_hw.montecarlo.progress import Tally, watching


def test_a_tally_tells_failures_rate_and_the_running_yield():
    tally = Tally(total=10, before=4)
    assert "yield" not in str(tally)
    for failed, good in ((False, True), (False, True), (True, False)):
        tally.add(failed, good)
    assert (tally.done, tally.failed, tally.good) == (7, 1, 2)
    assert tally.rate > 0.0
    assert str(tally).startswith("1 failed, ")
    assert "yield 0.67 (0.09 to 0.99)" in str(tally)


def test_lines_appear_now_and_then_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    tally = Tally(total=2)
    with watching(tally, shown=True) as watcher:
        tally.add(failed=False, good=True)
        watcher.show()
    assert "1 of 2 chips, 0 failed" in capsys.readouterr().err
    monkeypatch.setattr(progress, "EVERY", 60.0)
    with watching(tally, shown=True) as watcher:
        watcher.show()
    assert capsys.readouterr().err == ""


def test_nothing_is_said_when_it_is_not_wanted(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with watching(Tally(total=1), shown=False) as watcher:
        watcher.show()
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(monkeypatch):
    from io import StringIO

    from rich.console import Console

    screen = StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=screen, force_terminal=True, width=100))
    tally = Tally(total=4)
    with watching(tally, shown=True) as watcher:
        tally.add(failed=True, good=False)
        watcher.show()
    assert "chips" in screen.getvalue()
    assert "1 failed" in screen.getvalue()
