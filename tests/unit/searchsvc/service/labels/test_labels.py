"""Reassess and relabel: rankings by other labels, questions to raters, and resulting labels, without any training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from searchsvc.domain import Job, ValidationSplit
from searchsvc.errors import Conflict, InvalidInput, NotFound
from searchsvc.labels import Predictions
from searchsvc.labels.comparison import compare_labels
from searchsvc.labels.proposals import diverse, proposals
from searchsvc.service.service import Service
from tests.support.labels import a_labelled_job, predictions_of
from tests.support.statements import statements


@pytest.fixture
def labelled(service: Service, document: dict[str, Any]) -> Callable[..., Job]:
    def make(answers: list[np.ndarray], **changes: Any) -> Job:
        return a_labelled_job(service, {**document, **changes}, answers)

    return make


@pytest.fixture(scope="module")
def images() -> ValidationSplit:
    from workers.tasks.classification import TASK

    return TASK.validation({"name": "digits"})


def with_errors(images: ValidationSplit, wrong: range, by: int = 1) -> np.ndarray:
    """Return correct answers, except for the images `wrong`, whose class is shifted by `by`."""
    answers = images.labels.copy()
    answers[wrong] = (answers[wrong] + by) % 10
    return answers


# ---- reassess --------------------------------------------------------------------------------------------------------


def test_a_ranking_by_other_labels_is_told_with_intervals(
    service: Service, labelled: Callable[..., Job], images: ValidationSplit
) -> None:
    """By the dataset's labels #0 is the best; by the file, #2 was correct on the images on which it differed."""
    job = labelled(
        [with_errors(images, range(10)), with_errors(images, range(10, 40)), with_errors(images, range(40, 90))]
    )
    sets: list[list[int]] = [[] for _ in range(images.total)]
    for place, (number, label) in enumerate(zip(images.numbers.tolist(), images.labels.tolist(), strict=True)):
        sets[number] = [] if place >= 280 else [(label + 1) % 10] if 40 <= place < 90 else [label]
    reassessment = service.labels.reassess(job.id, sets)
    assert [item.trial.number for item in reassessment.items] == [2, 0, 1]
    assert [(item.rank, item.real_rank) for item in reassessment.items] == [(3, 1), (1, 2), (2, 3)]
    assert (reassessment.images, reassessment.counted, reassessment.labels) == (287, 280, 280)
    assert [item.real_accuracy.value for item in reassessment.items] == pytest.approx([1.0, 1 - 60 / 280, 1 - 80 / 280])
    for item in reassessment.items[1:]:
        for estimate in (item.accuracy, item.real_accuracy):
            assert estimate.low < estimate.value < estimate.high
            assert estimate.high - estimate.low < 0.15
    assert reassessment.correlation is not None
    assert reassessment.correlation.value == pytest.approx(-0.5)
    assert -1 <= reassessment.correlation.low <= -0.5 <= reassessment.correlation.high


def test_several_answers_may_be_looked_at(
    service: Service, labelled: Callable[..., Job], images: ValidationSplit
) -> None:
    job = labelled([with_errors(images, range(287))])
    sets = {name: [images.classes[label]] for name, label in zip(images.names, images.labels, strict=True)}
    assert [service.labels.reassess(job.id, sets, k=k).items[0].real_accuracy.value for k in (1, 10)] == [0, 1]
    with pytest.raises(InvalidInput, match="/k: must lie from 1 to 16"):
        service.labels.reassess(job.id, sets, k=17)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    inside = 0
    for seed in range(60):
        hits = random.random((1, 400)) < 0.7
        [estimate] = compare_labels(hits, hits, np.ones(400, bool), seed=seed).real_accuracies
        inside += estimate.low <= 0.7 <= estimate.high
    assert 48 <= inside <= 59


def test_statements_do_not_grow_with_the_trials(
    service: Service, labelled: Callable[..., Job], images: ValidationSplit
) -> None:
    sets = [[0]] * images.total
    jobs = [labelled([images.labels] * count, name=f"of-{count}") for count in (2, 7)]
    sent = []
    for job in jobs:
        with statements() as few:
            service.labels.reassess(job.id, sets)
            service.labels.relabel(job.id)
        sent.append(len(few))
    assert sent[0] == sent[1]


def test_bad_files_and_jobs_without_predictions_are_told(
    service: Service, labelled: Callable[..., Job], finished_job: Callable[..., Job], images: ValidationSplit
) -> None:
    job = labelled([images.labels])
    with pytest.raises(InvalidInput, match="/labels: has 3 lists; the dataset has 1,797 images"):
        service.labels.reassess(job.id, [[1], [2], [3]])
    with pytest.raises(InvalidInput, match=r"/labels/\d+/0: no class 10"):
        service.labels.reassess(job.id, [[10]] * images.total)
    with pytest.raises(InvalidInput, match="/labels: the sets of all 287 validation images are empty"):
        service.labels.reassess(job.id, [[]] * images.total)
    with pytest.raises(InvalidInput, match="/labels: has no entry for 287 of 287 validation images"):
        service.labels.reassess(job.id, {"nobody": ["1"]})
    with pytest.raises(Conflict, match="no finished trial of job older has stored its predictions"):
        service.labels.reassess(finished_job(name="older").id, [[0]] * images.total)


def test_predictions_of_other_images_are_refused(
    service: Service, labelled: Callable[..., Job], images: ValidationSplit
) -> None:
    job = labelled([images.labels])
    [trial] = service.trials.page(job.id).items
    path = service.settings.trial_dir(job.id, trial.id) / "predictions.npz"
    path.write_bytes(predictions_of(images, images.labels, labels=images.labels[::-1]).content())
    with pytest.raises(Conflict, match="the dataset has changed since trial 0"):
        service.labels.reassess(job.id, [[0]] * images.total)


def test_a_metric_that_takes_a_label_file_is_refused_without_one(service: Service, document: dict[str, Any]) -> None:
    objectives = [{"metric": "accuracy"}, {"metric": "real_accuracy"}]
    with pytest.raises(InvalidInput, match=r"/objectives/1/metric: real_accuracy cannot be measured .*reassessed"):
        service.jobs.submit({**document, "objectives": objectives})


def test_a_label_file_lies_where_datasets_may_lie(service: Service, document: dict[str, Any], tmp_path: Any) -> None:
    (tmp_path / "data").mkdir()
    for folder in (tmp_path, tmp_path / "data"):
        (folder / "labels.json").write_text(str([[1]] * 1797))
    inside = {**document, "dataset": {"name": "digits", "reassessed": "labels.json"}}
    job, _ = service.jobs.submit({**inside, "objectives": [{"metric": "real_accuracy"}]})
    assert job.spec.dataset.options["reassessed"] == str(tmp_path / "data" / "labels.json")
    outside = {"name": "digits", "reassessed": str(tmp_path / "labels.json")}
    with pytest.raises(InvalidInput, match="/dataset/reassessed: must lie under one of the data roots"):
        service.jobs.submit({**document, "dataset": outside})


# ---- relabel ---------------------------------------------------------------------------------------------------------


def test_networks_are_chosen_that_differ() -> None:
    answers = np.array([[0] * 8, [0] * 7 + [1], [0] * 4 + [1] * 4, [0] * 4 + [1] * 3 + [2]])
    assert diverse(answers, 3) == [0, 2, 1]
    assert diverse(answers, 9)[:2] == [0, 2]


def test_images_on_which_all_agree_are_settled_and_the_rest_is_asked() -> None:
    labels = np.array([0, 1, 2, 3])
    classes = np.array([[0, 1], [1, 2], [1, 2], [3, 0]])
    shares = np.array([[0.9, 0.05], [0.6, 0.4], [0.9, 0.1], [0.9, 0.1]], np.float16)
    other = np.array([[0, 1], [1, 0], [2, 1], [3, 0]])
    proposed = proposals([Predictions(one, shares, labels) for one in (classes, other)], 0.25)
    assert proposed.settled.tolist() == [True, False, False, True]
    assert list(zip(proposed.images, proposed.classes, strict=True)) == [(1, 0), (1, 1), (1, 2), (2, 1), (2, 2)]


def test_raters_answer_take_back_and_are_combined(
    service: Service, labelled: Callable[..., Job], images: ValidationSplit
) -> None:
    job = labelled([with_errors(images, range(6)), with_errors(images, range(3), by=2)])
    started = service.labels.relabel(job.id)
    assert (started.images, started.settled, started.questions, started.open) == (287, 281, 15, 15)
    assert started.trials == (1, 0)
    first = service.labels.questions(job.id, "ann").items
    assert {(question.image, question.label) for question in first if question.is_given} == {
        (i, images.labels[i]) for i in range(6)
    }
    for rater in ("ann", "bob", "cem"):
        for question in service.labels.questions(job.id, rater).items:
            if question.image < 5:  # nobody answers the last question
                wrong = rater == "cem" and question.image == 0
                service.labels.judge(
                    job.id,
                    rater,
                    question.image,
                    question.label,
                    (question.image % 2 == 0 or not question.is_given) != wrong,
                )
    service.labels.judge(job.id, "ann", first[0].image, first[0].label, None)
    remaining = service.labels.questions(job.id, "ann")
    assert (len(remaining.items), remaining.answered, remaining.total) == (3, 12, 15)
    assert remaining.items[0] == first[0]
    service.labels.judge(job.id, "ann", first[0].image, first[0].label, True)

    made = service.labels.relabelled(job.id)
    names = [images.names[place] for place in range(287)]
    assert list(made.labels) == names
    for place in range(5):
        label = images.labels[place]
        others = {str((label + 1) % 10)} | ({str((label + 2) % 10)} if place < 3 else set())
        assert set(made.labels[names[place]]) == others | ({str(label)} if place % 2 == 0 else set())
    assert [made.labels[name] for name in names[5:]] == [[str(question)] for question in images.labels[5:]]
    assert {question.name: question.answered for question in made.progress.raters} == {"ann": 13, "bob": 13, "cem": 13}
    assert made.progress.open == 2
    accuracy = {question.name: question.accuracy for question in made.progress.raters}
    assert accuracy["ann"] > 0.9 > accuracy["cem"]
    assert service.labels.reassess(job.id, made.labels).counted == 287


def test_questions_made_anew_keep_the_verdicts_that_still_apply(
    service: Service, labelled: Callable[..., Job], images: ValidationSplit
) -> None:
    job = labelled([with_errors(images, range(4)), images.labels])
    service.labels.relabel(job.id)
    for question in service.labels.questions(job.id, "ann").items:
        service.labels.judge(job.id, "ann", question.image, question.label, True)
    assert service.labels.relabel(job.id, networks=1).open == 0
    assert service.labels.progress(job.id).questions == 0, "the best trial agrees with every label"
    assert service.labels.relabel(job.id).open == 0


def test_what_is_not_asked_cannot_be_answered(
    service: Service, labelled: Callable[..., Job], images: ValidationSplit
) -> None:
    job = labelled([with_errors(images, range(1))])
    with pytest.raises(Conflict, match="searchctl relabel"):
        service.labels.questions(job.id, "ann")
    service.labels.relabel(job.id)
    with pytest.raises(NotFound, match="there is no question whether image 5 shows class 0"):
        service.labels.judge(job.id, "ann", 5, 0, True)
    for fault, options in (("/networks", {"networks": 0}), ("/confidence", {"confidence": 0.0})):
        with pytest.raises(InvalidInput, match=fault):
            service.labels.relabel(job.id, **options)
    for threshold in (1.0, 0.49):
        with pytest.raises(InvalidInput, match="/threshold"):
            service.labels.relabelled(job.id, threshold=threshold)
    assert len(service.labels.relabelled(job.id, threshold=0.5).labels) == len(images.names)
    assert service.labels.picture(job.id, 0).startswith(b"\x89PNG")


def test_questions_about_another_number_of_images_are_refused(
    service: Service, labelled: Callable[..., Job], images: ValidationSplit
) -> None:
    job = labelled([with_errors(images, range(3))])
    service.labels.relabel(job.id)
    relabelling = service.store.relabelling(job.id)
    assert relabelling is not None
    made_from = {**relabelling.made_from, "images": len(images.names) - 1}
    service.store.put_relabelling(replace(relabelling, made_from=made_from))
    for call in (lambda: service.labels.questions(job.id, "ann"), lambda: service.labels.relabelled(job.id)):
        with pytest.raises(Conflict, match="has changed since the questions were created"):
            call()
