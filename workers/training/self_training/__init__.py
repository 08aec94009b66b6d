"""Self-training (arXiv 2006.06882): a teacher labels unlabelled images, a student learns from both kinds of labels.

::

    teacher/          trained as a trial in the trial's directory, if no trained teacher is given
    pseudo-labels.*   the teacher's labels of the images, and a summary of them
    round-1/, ...     with several rounds: students that become the next teacher, each with its pseudo labels
    .                 the student of the last round, which is the trial's result

`stages` runs them and resumes after a kill; the modules `pseudo_labels` of classification and detection create the
labels.
"""
