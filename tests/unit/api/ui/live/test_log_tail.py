"""The end of a trial's log."""

from __future__ import annotations

from api.ui.live.log_tail import LOG_LINES, LogReader
from searchsvc.domain import Outcome, TrialState
from searchsvc.service.service import Service
from tests.support.pages import Running


def test_a_log_is_followed_from_where_it_was_read(service: Service, search: Running) -> None:
    trial = search.trials[12]
    reader = LogReader(service, trial)
    assert reader.read(None).lines == ()
    folder = service.settings.trial_dir(search.id, trial)
    folder.mkdir(parents=True)
    log = folder / "trial.log"
    log.write_text("".join(f"line {number}\n" for number in range(LOG_LINES + 100)))
    tail = reader.read([])
    assert (len(tail.lines), tail.lines[-1]) == (LOG_LINES, f"line {LOG_LINES + 99}")
    with log.open("a") as file:
        file.write("one more\nhalf a l")
    more = reader.read([])
    assert (more.lines[-1], more.first) == ("one more", tail.first + 1)
    with log.open("a") as file:
        file.write("ine\n")
    assert reader.read([]).lines[-1] == "half a line"
    log.write_text("anew\n")
    reader.read([])
    assert reader.read([]).lines[-1] == "anew"


def test_the_log_of_a_trial_that_is_over_is_read_to_its_end_and_left_alone(service: Service, search: Running) -> None:
    trial = search.trials[12]
    folder = service.settings.trial_dir(search.id, trial)
    folder.mkdir(parents=True)
    (folder / "trial.log").write_text("begin\nno end")
    reader = LogReader(service, trial)
    search.end(12, Outcome(TrialState.SUCCEEDED))
    search.flush()
    assert [reader.read([]).lines[-1] for _ in range(3)] == ["begin", "no end", "no end"]
    (folder / "trial.log").unlink()
    assert reader.read([]).lines[-1] == "no end"
