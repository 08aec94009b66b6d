"""Self-training (arXiv 2006.06882): a teacher labels images without labels, a student learns from both.

::

    teacher/          a trial of its own in the trial's directory, where no trained teacher is given
    pseudo-labels.*   what the teacher says of the images, and a summary of it
    round-1/, ...     with several rounds: students that are the teacher of the next, each with its pseudo labels
    .                 the student of the last round, which is the trial's result

`stages` runs them and goes on after a kill where it was; `classification` and `detection` say what pseudo labels are.
"""
