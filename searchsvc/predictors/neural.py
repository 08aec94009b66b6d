"""The neural acquisition function of FBNetV3 (arXiv 2006.02049, predictor pretraining), as an ensemble.

::

    architecture (n, a) -> encoder -> embedding (n, 24) ─┬─> proxy head    -> costs (n, c)      pretraining only
                                                        └─ + recipe (n, r) -> accuracy head -> (n,)

| symbol | meaning | shape |
|---|---|---|
| E | members; their weights are stacked, so each layer is a single batched product | |
| a, r | features of the architecture, of the recipe | |
| z | targets of mean 0 and deviation 1 | (n,) |

Pretraining needs no trained networks: the costs of random architectures are computed. After it the proxy head is
dropped. The accuracy head is trained for 50 epochs on the frozen encoder. Then head and encoder are trained for 50
epochs at a rate that decays to 0, with Huber's loss. Each member has its own initial weights and its own bootstrap
sample of the results. The ensemble therefore has a deviation, and each result has a prediction from the members that
were not trained on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.threads import one_thread
from searchsvc.spaces.space import Matrix

EMBEDDING = 24
MEMBERS = 8
FROZEN_EPOCHS = 50
ALL_EPOCHS = 50
_HIDDEN = 64
_HEAD = 32
_PRETRAINING_STEPS = 300
_PRETRAINING_POOL = 4096
_PRETRAINING_BATCH = 256
_BATCHES = 4
"""Steps per epoch; a batch has at least 16 results."""
_PRETRAINING_RATE = 4e-3
_HEAD_RATE = 1e-2
_RATE = 2e-3
_WEIGHT_DECAY = 0.1
_MOMENTS, _EPSILON = (0.9, 0.999), 1e-8
_HUBER = 1.0
_CHUNK = 16_384

Layer = tuple[Tensor, Tensor]
"""Weights (E, in, out) and biases (E, 1, out)."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Maps architecture features to an embedding, for every member."""

    layers: tuple[Layer, ...]

    def __call__(self, architecture: Tensor) -> Tensor:
        """(E, n, 24) embeddings of (n, a)."""
        return _forward(self.layers, architecture.expand(len(self.layers[0][0]), -1, -1))


@dataclass(frozen=True)
class NeuralEnsemble:
    """Trained members, as `fit` returns them."""

    encoding: Encoding
    encoder: Encoder
    head: tuple[Layer, ...]
    seen: Matrix
    """(E, n) number of times that each result occurs in each member's bootstrap sample."""
    fitted: Matrix
    """(E, n) prediction of each member for each result."""

    @one_thread()
    @torch.inference_mode()
    def members(self, matrix: Matrix) -> Matrix:
        """(E, n) prediction of each member for candidates (n, d)."""
        size = min(_CHUNK, self.encoding.rows_at_once)
        parts = [
            _accuracy(self.encoder, self.head, *_inputs(self.encoding, matrix[start : start + size]))
            for start in range(0, max(len(matrix), 1), size)
        ]
        return np.array(torch.cat(parts, dim=1).numpy(), dtype=np.float64)

    def predict(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        """(n,) means and standard deviations over the members, for candidates (n, d)."""
        members = self.members(matrix)  # (E, n)
        return members.mean(axis=0), members.std(axis=0)

    def out_of_bag(self) -> Matrix:
        """(n,) for each result, the mean of the members that did not see it; NaN if all members did."""
        unseen = self.seen == 0  # (E, n)
        counts = unseen.sum(axis=0)  # (n,)
        total = np.where(unseen, self.fitted, 0.0).sum(axis=0)  # (n,)
        means: Matrix = np.divide(total, counts, out=np.full(len(counts), np.nan), where=counts > 0)  # (n,)
        return means


@one_thread()
def pretrain(encoding: Encoding, seed: int, members: int = MEMBERS) -> Encoder:
    """Train an encoder to predict the costs of architectures; return a random encoder if the encoding has no costs."""
    generator = torch.Generator().manual_seed(seed)
    width = _inputs(encoding, encoding.space.sample(1, np.random.default_rng(seed)))[0].shape[1]
    encoder = _layers((width, _HIDDEN, EMBEDDING), members, generator)  # a -> 64 -> 24
    if not encoding.costs:
        return Encoder(encoder)
    proxy = _layers((EMBEDDING, len(encoding.costs)), members, generator)  # 24 -> c
    pool = encoding.space.sample(_PRETRAINING_POOL, np.random.default_rng(seed))  # (pool, d)
    inputs, _ = _inputs(encoding, pool)  # (pool, a)
    targets = torch.from_numpy(encoding.targets(pool).astype(np.float32))  # (pool, c)
    optimizer = Adam(_trainable(encoder + proxy))
    for step in range(_PRETRAINING_STEPS):
        rows = torch.randint(len(inputs), (_PRETRAINING_BATCH,), generator=generator)  # (batch,)
        costs = _forward(proxy, Encoder(encoder)(inputs[rows]))  # (E, batch, c)
        loss = functional.mse_loss(costs, targets[rows].expand(members, -1, -1))
        optimizer.step(loss, _PRETRAINING_RATE * _cosine(step / _PRETRAINING_STEPS))
    return Encoder(_detached(encoder))


@one_thread()
def fit(
    encoding: Encoding, pretrained: Encoder, matrix: Matrix, targets: Matrix, seed: int, *, epochs: int = ALL_EPOCHS
) -> NeuralEnsemble:
    """Train members on candidates (n, d) and targets (n,).

    `epochs`: the number of epochs in which the encoder is trained as well, after 50 epochs in which it is frozen.
    """
    members = len(pretrained.layers[0][0])
    generator = torch.Generator().manual_seed(seed)
    counts = np.random.default_rng(seed).poisson(1.0, (members, len(targets))).astype(np.float64)  # (E, n)
    counts[counts.sum(axis=1) == 0] = 1  # a member with an empty sample sees every result
    architecture, recipe = _inputs(encoding, matrix)  # (n, a), (n, r)
    data = _Data(architecture, recipe, _tensor(targets), _tensor(counts))
    encoder = _detached(pretrained.layers)
    head = _layers((EMBEDDING + recipe.shape[1], _HEAD, 1), members, generator)  # 24 + r -> 32 -> 1
    optimizer = Adam(_trainable(head))
    for _ in range(FROZEN_EPOCHS):
        data.epoch(Encoder(encoder), head, optimizer, _HEAD_RATE, generator)
    optimizer = Adam(_trainable(encoder + head))
    for epoch in range(epochs):
        data.epoch(Encoder(encoder), head, optimizer, _RATE * _cosine(epoch / epochs), generator)
    trained = Encoder(_detached(encoder))
    with torch.inference_mode():
        fitted = _accuracy(trained, _detached(head), architecture, recipe).numpy()  # (E, n)
    return NeuralEnsemble(encoding, trained, _detached(head), counts, fitted.astype(np.float64))


class Adam:
    """Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019).

    torch.optim has the same optimiser, but importing it loads torch's compiler, which takes longer than a search of a
    dozen trials.
    """

    def __init__(self, parameters: list[Tensor]) -> None:
        self._parameters = parameters
        self._means = [torch.zeros_like(parameter) for parameter in parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in parameters]
        self._steps = 0

    def step(self, loss: Tensor, rate: float) -> None:
        """Take a step down the gradient of `loss`."""
        gradients = torch.autograd.grad(loss, self._parameters)
        self._steps += 1
        first, second = 1 - _MOMENTS[0] ** self._steps, 1 - _MOMENTS[1] ** self._steps
        with torch.no_grad():
            for parameter, gradient, mean, square in zip(
                self._parameters, gradients, self._means, self._squares, strict=True
            ):
                mean.lerp_(gradient, 1 - _MOMENTS[0])
                square.lerp_(gradient * gradient, 1 - _MOMENTS[1])
                parameter.mul_(1 - rate * _WEIGHT_DECAY)
                parameter.addcdiv_(mean, (square / second).sqrt_().add_(_EPSILON), value=-rate / first)


@dataclass(frozen=True, slots=True)
class _Data:
    """Training data of the ensemble."""

    architecture: Tensor
    """(n, a)"""
    recipe: Tensor
    """(n, r)"""
    targets: Tensor
    """(n,)"""
    counts: Tensor
    """(E, n) weights of the losses"""

    def epoch(
        self, encoder: Encoder, head: tuple[Layer, ...], optimizer: Adam, rate: float, generator: torch.Generator
    ) -> None:
        """Train for one pass over the results, in random order."""
        n = len(self.targets)
        for rows in torch.split(torch.randperm(n, generator=generator), max(16, math.ceil(n / _BATCHES))):
            predicted = _accuracy(encoder, head, self.architecture[rows], self.recipe[rows])  # (E, batch)
            targets = self.targets[rows].expand_as(predicted)  # (E, batch)
            losses = functional.huber_loss(predicted, targets, reduction="none", delta=_HUBER)  # (E, batch)
            loss = (losses * self.counts[:, rows]).sum() / len(rows)  # scalar: members do not share weights
            optimizer.step(loss, rate)


def _accuracy(encoder: Encoder, head: tuple[Layer, ...], architecture: Tensor, recipe: Tensor) -> Tensor:
    """(E, n) predictions from (n, a) and (n, r)."""
    embedding = functional.relu(encoder(architecture))  # (E, n, 24)
    both = torch.cat([embedding, recipe.expand(len(embedding), -1, -1)], dim=2)  # (E, n, 24 + r)
    return _forward(head, both).squeeze(2)


def _forward(layers: tuple[Layer, ...], inputs: Tensor) -> Tensor:
    """(E, n, out) from (E, n, in): a multilayer perceptron with ReLU between its layers."""
    for index, (weights, biases) in enumerate(layers):
        inputs = torch.baddbmm(biases, functional.relu(inputs) if index else inputs, weights)  # (E, n, width)
    return inputs


def _layers(widths: tuple[int, ...], members: int, generator: torch.Generator) -> tuple[Layer, ...]:
    """Initialise the layers of a perceptron: weights by He et al. 2015, biases 0."""
    return tuple(
        (
            torch.randn(members, inside, outside, generator=generator) * math.sqrt(2 / max(inside, 1)),  # (E, in, out)
            torch.zeros(members, 1, outside),  # (E, 1, out)
        )
        for inside, outside in pairwise(widths)
    )


def _inputs(encoding: Encoding, matrix: Matrix) -> tuple[Tensor, Tensor]:
    """(n, a) features of the architecture and (n, r) of the recipe, for candidates (n, d)."""
    columns = encoding.features(matrix)  # (n, f)
    architecture, recipe = encoding.halves
    return _tensor(columns[:, architecture]), _tensor(columns[:, recipe])


def _tensor(values: Matrix) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _trainable(layers: tuple[Layer, ...]) -> list[Tensor]:
    return [tensor.requires_grad_() for layer in layers for tensor in layer]


def _detached(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Copy layers without gradients."""
    return tuple((weights.detach().clone(), biases.detach().clone()) for weights, biases in layers)


def _cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))

