"""The contribution of the parts of the predictor and of the evolutionary stage, on tables of real trainings.

Labels are single trainings of random candidates; the mean over the trainings of the table is the truth.

| symbol | meaning | shape |
|---|---|---|
| M, y | labelled candidates, their labels | (n, d), (n,) |
| H | held-out candidates | (h, d) |
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.ablation_figures import Figure
from searchsvc.benchmarks import BenchmarkTable
from searchsvc.benchmarks.problems import best
from searchsvc.predictors import neural
from searchsvc.predictors.constrained_search import search
from searchsvc.predictors.early_stop import rank_correlations
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.predictor import Predictor
from searchsvc.predictors.quality import quality
from searchsvc.spaces.enumeration import enumerate_space
from searchsvc.spaces.space import Matrix

LABELS = (20, 50, 100, 200)
STAGE_2_LABELS = (50, 100)
HELD_OUT = 2000
POOL = 4096
BEST = 5
_CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Draw:
    """Candidates in random order, each with a label: one of its trainings."""

    matrix: Matrix
    labels: Matrix
    truths: Matrix

    @classmethod
    def of(cls, table: BenchmarkTable, count: int, seed: int) -> Draw:
        """Draw `count` different candidates, or all if there are fewer."""
        random = np.random.default_rng(seed)
        candidates = _all(table)
        matrix = candidates[random.permutation(len(candidates))[:count]]
        rows = table.rows(matrix)
        trainings = table.values[rows]  # (count, r)
        lots = np.where(np.isnan(trainings), -1.0, random.random(trainings.shape))
        labels = np.take_along_axis(trainings, lots.argmax(axis=1)[:, None], axis=1)[:, 0]
        return cls(matrix, labels, table.means[rows])

    def part(self, rows: slice) -> Draw:
        return Draw(self.matrix[rows], self.labels[rows], self.truths[rows])


# ---- rank correlation and calibration --------------------------------------------------------------------------------


def predictors(
    name: str, table: BenchmarkTable, repeats: int, labels: tuple[int, ...] = LABELS, held_out: int = HELD_OUT
) -> Iterator[Figure]:
    """Yield the rank correlation of every variant with the truth, and the coverage of the predicted intervals."""
    results: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for seed in range(repeats):
        draw = Draw.of(table, max(labels) + held_out, seed)
        held = draw.part(slice(max(labels), None))
        variants = _Variants(table, seed)
        for count in labels:
            labelled, at = draw.part(slice(count)), f"{count} labels"
            combined = variants.combined(labelled)
            for what, rho in variants.correlations(combined, labelled, held).items():
                results["Rank correlation", f"{name}: {what}", at].append(rho)
            measures = quality(held.labels, *combined.predict(held.matrix), seed)
            results["Calibration", f"{name}: share inside 50 %", at].append(measures.inside_50)
            results["Calibration", f"{name}: share inside 90 %", at].append(measures.inside_90)
            results["Calibration", f"{name}: weight of the neural ensemble", at].append(combined.weight)
    yield from (Figure.of(*key, values) for key, values in results.items())


class _Variants:
    """The predictor of a table, and variants of it that lack one part each."""

    def __init__(self, table: BenchmarkTable, seed: int) -> None:
        self._seed = seed
        self._encoding = Encoding(table.space, table.cost_model)
        self._costless = Encoding(table.space)
        self._encoder = neural.pretrain(self._encoding, seed)

    def combined(self, labelled: Draw) -> Predictor:
        return Predictor.fit(self._encoding, labelled.matrix, labelled.labels, seed=self._seed, encoder=self._encoder)

    def correlations(self, combined: Predictor, labelled: Draw, held: Draw) -> dict[str, float]:
        """Return variant -> Spearman's rho of its predictions with the truth."""
        targets = combined.warp.forward(labelled.labels)
        pretrained = combined.ensemble or self._ensemble(self._encoder, labelled, targets)
        random = self._ensemble(_random(self._encoder, self._seed), labelled, targets)
        frozen = neural.fit(self._encoding, self._encoder, labelled.matrix, targets, self._seed, epochs=0)
        costless = Predictor.fit(self._costless, labelled.matrix, labelled.labels, seed=self._seed)
        members = pretrained.members(held.matrix)  # (E, h)
        predicted = {
            "neural ensemble": members.mean(axis=0),
            "without pretraining": random.predict(held.matrix)[0],
            "with a frozen encoder": frozen.predict(held.matrix)[0],
            "Gaussian process": combined.process.predict(self._encoding.features(held.matrix))[0],
            "Gaussian process without costs": costless.predict(held.matrix)[0],
            "combined": combined.predict(held.matrix)[0],
        }
        correlations = {what: _rho(means, held.truths) for what, means in predicted.items()}
        return {**correlations, "one member": float(np.mean([_rho(member, held.truths) for member in members]))}

    def _ensemble(self, encoder: neural.Encoder, labelled: Draw, targets: Matrix) -> neural.NeuralEnsemble:
        return neural.fit(self._encoding, encoder, labelled.matrix, targets, self._seed)


def _random(encoder: neural.Encoder, seed: int) -> neural.Encoder:
    """Return an untrained encoder of the same shape: weights by He et al. 2015, biases 0."""
    generator = torch.Generator().manual_seed(seed)
    return neural.Encoder(
        tuple(
            (torch.randn(weights.shape, generator=generator) * (2 / weights.shape[1]) ** 0.5, torch.zeros_like(biases))
            for weights, biases in encoder.layers
        )
    )


def _rho(a: Matrix, b: Matrix) -> float:
    return float(rank_correlations(np.stack([a, b], axis=1))[0])


# ---- evolutionary stage ----------------------------------------------------------------------------------------------


def stage_2(
    name: str, table: BenchmarkTable, repeats: int, labels: tuple[int, ...] = STAGE_2_LABELS, pool: int = POOL
) -> Iterator[Figure]:
    """Yield the best of five candidates, in truth and as predicted: of stage 2, and of other searches."""
    results: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for seed in range(repeats):
        encoding = Encoding(table.space, table.cost_model)
        encoder = neural.pretrain(encoding, seed)
        for count in labels:
            labelled, at = Draw.of(table, count, seed), f"{count} labels"
            predictor = Predictor.fit(encoding, labelled.matrix, labelled.labels, seed=seed, encoder=encoder)
            for what, rows in _proposals(table, labelled, predictor, pool, seed).items():
                truths, means = table.means[table.rows(rows)], predictor.predict(rows)[0]
                results["Best of five", f"{name}: {what}", at].append(best(truths, table.objective))
                results["Best of five, as predicted", f"{name}: {what}", at].append(best(means, table.objective))
    yield from (Figure.of(*key, values) for key, values in sorted(results.items(), key=lambda one: one[0][0]))


def _proposals(table: BenchmarkTable, labelled: Draw, predictor: Predictor, pool: int, seed: int) -> dict[str, Matrix]:
    """Return source -> (<= 5, d) proposed candidates."""
    objective, sign = table.objective, table.objective.sign
    predictors = {objective.metric: predictor}
    answers = search(
        predictors, table.space, table.cost_model, (), (objective,), seeds=labelled.matrix, k=BEST, seed=seed
    )
    everything = _all(table)
    drawn = np.vstack([labelled.matrix, _quasi_random(table, pool, seed)])
    return {
        "best label": labelled.matrix[[(sign * labelled.labels).argmax()]],
        f"of {pool:,} quasi-random and the labelled": _top(predictor, drawn, sign),
        "of stage 2": np.array([one.row for one in answers]),
        f"of all {len(everything):,}": _top(predictor, everything, sign),
        "optimum": everything[[(sign * table.means[table.rows(everything)]).argmax()]],
    }


def _quasi_random(table: BenchmarkTable, count: int, seed: int) -> Matrix:
    """Return (count, d) quasi-random candidates."""
    from scipy.stats import qmc

    sequence = qmc.Sobol(len(table.space), scramble=True, rng=np.random.default_rng(seed))
    return table.space.from_unit(sequence.random(count))


def _top(predictor: Predictor, matrix: Matrix, sign: float) -> Matrix:
    """Return the (5, d) different candidates among (n, d) that are predicted to be best."""
    matrix = np.unique(matrix, axis=0)
    parts = np.array_split(matrix, -(-len(matrix) // _CHUNK))
    means = np.concatenate([predictor.predict(part)[0] for part in parts])
    return matrix[np.argsort(-sign * means, kind="stable")[:BEST]]


def _all(table: BenchmarkTable) -> Matrix:
    candidates = enumerate_space(table.space, len(table.means))
    assert candidates is not None, "tables are finite"
    return candidates
