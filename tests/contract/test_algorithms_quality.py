"""Sanity of the search itself, on real tables: methods that learn are better than random search."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from searchsvc.algorithms import create
from searchsvc.domain import Candidate, Objective, Observation, hypervolume
from searchsvc.proposing.proposer import Proposer
from searchsvc.spaces import Categorical, Space

SEEDS = range(4)
OPTIONS = {"nsga2": {"population": 12}}
"""Options instead of defaults: with a population of 50, NSGA-II evolves a single generation in 100 trials."""


def table(name: str) -> np.lib.npyio.NpzFile:
    path = Path(os.environ.get("SEARCHSVC_SHARED", "../shared")) / "data/tables" / name
    if not path.exists():
        pytest.skip(f"{path} is not there: set SEARCHSVC_SHARED")
    return np.load(path, allow_pickle=False)


@pytest.fixture(scope="module")
def cells() -> tuple[Space, Callable[[Candidate], dict[str, float]]]:
    """NAS-Bench-201 on CIFAR-10: a space of 15,625 cells, and the accuracy and MFLOPs of each."""
    data = table("nb201_cifar10.npz")
    names = data["op_names"].tolist()
    space = Space([Categorical(f"edge{edge}", tuple(names)) for edge in range(6)])
    rows = {tuple(ops): row for row, ops in enumerate(data["ops"].tolist())}
    accuracy, flops = np.nanmean(data["val_acc_seeds_cifar10"], axis=1), data["flops_M_cifar10"]

    def measure(candidate: Candidate) -> dict[str, float]:
        row = rows[tuple(names.index(candidate.values[edge]) for edge in space.names)]
        return {"accuracy": float(accuracy[row]), "flops": float(flops[row])}

    return space, measure


@pytest.fixture(scope="module")
def networks() -> tuple[Space, Callable[[Candidate], dict[str, float]]]:
    """FCNet: 62,208 networks with their training recipes, and the validation loss of each."""
    data = table("fcnet_joint.npz")
    choices, names = json.loads(str(data["choices_json"])), data["param_names"].tolist()
    space = Space([Categorical(name, tuple(choices[name])) for name in names])
    rows = {tuple(index): row for row, index in enumerate(data["index"].tolist())}
    loss = data["val_loss_protein_structure"].mean(axis=1)

    def measure(candidate: Candidate) -> dict[str, float]:
        return {"loss": float(loss[rows[tuple(choices[name].index(candidate.values[name]) for name in names)]])}

    return space, measure


def observed(name: str, problem: tuple, objectives: list[Objective], seed: int, trials: int) -> np.ndarray:
    """(trials, m) values of a search with four trials at a time, signed so that larger is better."""
    space, measure = problem
    proposer = Proposer(create(name, space=space, objectives=objectives, seed=seed, **OPTIONS.get(name, {})), space)
    values = []
    while len(values) < trials:
        first = proposer.next_number
        for number, proposal in enumerate(proposer.propose(4), first):
            metrics = measure(proposal.candidate)
            proposer.tell(number, Observation(proposal.candidate, metrics, step=1))
            values.append([one.sign * metrics[one.metric] for one in objectives])
    return np.array(values)


@pytest.mark.parametrize("name", ["tpe", "evolution", "nsga2"])
def test_it_finds_better_cells_than_random_search(name: str, cells: tuple) -> None:
    goal = [Objective(metric="accuracy")]
    best = {one: [observed(one, cells, goal, seed, 120).max() for seed in SEEDS] for one in (name, "random")}
    assert np.mean(best[name]) > np.mean(best["random"])


@pytest.mark.parametrize("name", ["tpe", "evolution"])
def test_it_finds_better_networks_with_their_recipes_than_random_search(name: str, networks: tuple) -> None:
    goal = [Objective(metric="loss", goal="minimize")]
    best = {one: [observed(one, networks, goal, seed, 120).max() for seed in SEEDS] for one in (name, "random")}
    assert np.mean(best[name]) > np.mean(best["random"])


@pytest.mark.parametrize("problem", ["cells", "networks"])
def test_fbnetv3_finds_in_about_half_of_the_trials_what_tpe_finds(problem: str, request: pytest.FixtureRequest) -> None:
    """Compares the median over seeds, with four trials at a time and no cost model."""
    table = request.getfixturevalue(problem)
    goal = [Objective(metric="accuracy")] if problem == "cells" else [Objective(metric="loss", goal="minimize")]
    by_tpe = np.median([observed("tpe", table, goal, seed, 60).max() for seed in SEEDS])
    assert np.median([observed("fbnetv3", table, goal, seed, 32).max() for seed in SEEDS]) >= by_tpe


@pytest.mark.parametrize("name", ["tpe", "evolution", "nsga2"])
def test_it_finds_a_larger_front_than_random_search(name: str, cells: tuple) -> None:
    goals = [Objective(metric="accuracy"), Objective(metric="flops", goal="minimize")]
    reference = np.array([50.0, -230.0])
    volume = {
        one: np.mean([hypervolume(observed(one, cells, goals, seed, 100), reference) for seed in SEEDS])
        for one in (name, "random")
    }
    assert volume[name] > volume["random"]
