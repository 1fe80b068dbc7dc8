"""The child process in which models learn and forecast: pickled questions on stdin, answers on stdout.

    --learn      TrainJob ▸ Learnt, one series a question
    without      (models that are new, IssueJob) ▸ Issued; without a job it makes ready for one

The pickles come from our own parent over a private pipe, from nobody else. A bug ends the process, and
its parent starts another; what a model refuses (`VppError`) is an answer.
"""

from __future__ import annotations

import pickle
import sys
from typing import BinaryIO

from vpp.service.forecasting import work
from vpp.service.forecasting.jobs import Learnt, TrainJob
from vpp.service.solving.childlife import answers_alone, behave
from vpp.service.solving.frames import read_frame, write_frame

ADDRESS_SPACE_BYTES = 4 * 2**30
"""A year of one series needs a twentieth of it."""

LEARNING_NICENESS = 15
"""A plan that is due goes before a model that learns."""


def main() -> None:
    """Answer until stdin ends."""
    learning = "--learn" in sys.argv[1:]
    behave(most_bytes=ADDRESS_SPACE_BYTES, niceness=LEARNING_NICENESS if learning else 5)
    with answers_alone() as answers:
        (learn if learning else issue)(sys.stdin.buffer, answers)


def learn(questions: BinaryIO, answers: BinaryIO) -> None:
    """Learn what comes in, in order, until it ends."""
    write_frame(answers, b"ready")
    while (question := read_frame(questions)) is not None:
        write_frame(answers, _dumped(_learnt(pickle.loads(question))))


def issue(questions: BinaryIO, answers: BinaryIO) -> None:
    """Forecast what is asked, in order, until it ends; models stay from one question to the next."""
    models = work.Models()
    write_frame(answers, b"ready")
    while (question := read_frame(questions)) is not None:
        fresh, job = pickle.loads(question)
        models.take({name: pickle.loads(content) for name, content in fresh.items()})
        write_frame(answers, _dumped(models.ready() if job is None else models.issue(job)))


def _learnt(job: TrainJob) -> Learnt:
    choice, trained = work.train(job)
    if trained is None:
        return Learnt(choice=choice, errors=None, model=None)
    errors = work.errors_of(trained, job.seen.calendar)
    return Learnt(choice=choice, errors=errors, model=_dumped(trained))


def _dumped(answer: object) -> bytes:
    return pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
