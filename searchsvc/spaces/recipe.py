"""The recipe: how any network is trained. One table of parameters, shared by all networks, with defaults and limits.

`FBNETV3` are the seven genes that FBNetV3 searches (arXiv 2006.02049); their ranges are those its authors' later work
and descriptions of the paper give.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from searchsvc.domain.parameters import Categorical, Float, Integer, Parameter, Scalar
from searchsvc.spaces.limits import Limits

OPTIMIZERS = ("sgd", "rmsprop", "adamw")
WITH_MOMENTUM = ("sgd", "rmsprop")

DEFAULTS: Mapping[str, Scalar] = MappingProxyType(
    {
        "optimizer": "sgd",
        "lr": 0.1,
        "sgd_lr_scale": 1.0,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "warmup_epochs": 0.0,
        "lr_decay": 0.0,
        "batch_size": 64,
        "resolution": 0,
        "mixup": 0.0,
        "label_smoothing": 0.0,
        "dropout": 0.0,
        "drop_path": 0.0,
        "ema": False,
        "ema_decay": 0.95,
        "shift": 0.0,
        "flip": False,
        "randaugment": 0.0,
    }
)
"""The value of every parameter where a space does not give it."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "optimizer": "sgd (with Nesterov's momentum), rmsprop (as TensorFlow has it), adamw",
        "lr": "peak learning rate",
        "sgd_lr_scale": "what sgd multiplies it by, where it is on the scale of rmsprop",
        "momentum": "of sgd and rmsprop",
        "weight_decay": "of weights, not of biases and of the scales and shifts of normalisation",
        "warmup_epochs": "epochs in which the rate rises to its peak; 0: a tenth of the training",
        "lr_decay": "factor of the rate from epoch to epoch after the warm-up; 0: half a cosine down to 0 instead",
        "batch_size": "images per step",
        "resolution": "side of the square images that the network sees, in px; 0: as the dataset has them",
        "mixup": "alpha of the beta distribution that lambda is drawn from; 0: no mixup",
        "label_smoothing": "share of a target that goes to all classes alike",
        "dropout": "share of the classifier's inputs that is dropped",
        "drop_path": "probability that the last residual branch is dropped; rises from 0 linearly with depth",
        "ema": "whether a moving average of the weights is measured and kept",
        "ema_decay": "of that average, per step",
        "shift": "largest shift of an image, as a share of its sides",
        "flip": "mirror every other image, left to right",
        "randaugment": "magnitude of RandAugment, 0 to 10; 0: off",
    }
)
"""The same names, in words."""

_WIDEST: tuple[Parameter, ...] = (
    Categorical("optimizer", OPTIMIZERS),
    Float("lr", 1e-8, 100.0),
    Float("sgd_lr_scale", 1e-4, 1e4),
    Float("momentum", 0.0, 0.9999),
    Float("weight_decay", 0.0, 10.0),
    Float("warmup_epochs", 0.0, 1000.0),
    Float("lr_decay", 0.0, 1.0),
    Integer("batch_size", 2, 65536),
    Integer("resolution", 0, 4096),
    Float("mixup", 0.0, 16.0),
    Float("label_smoothing", 0.0, 0.99),
    Float("dropout", 0.0, 0.95),
    Float("drop_path", 0.0, 0.95),
    Categorical("ema", (False, True)),
    Float("ema_decay", 0.0, 0.99999),
    Float("shift", 0.0, 0.5),
    Categorical("flip", (False, True)),
    Float("randaugment", 0.0, 10.0),
)

LIMITS: Limits = MappingProxyType({parameter.name: parameter for parameter in _WIDEST})
"""What can be trained with."""

FBNETV3: tuple[Parameter, ...] = (
    Float("lr", 0.020, 0.030, 0.001),
    Categorical("optimizer", ("rmsprop", "sgd")),
    Categorical("ema", (True, False)),
    Float("dropout", 0.01, 0.31, 0.01),
    Float("drop_path", 0.10, 0.31, 0.01),
    Float("mixup", 0.0, 0.41, 0.01),
    Float("weight_decay", 7e-6, 21e-6, 1e-6),
)
"""18,905,040 recipes."""

FBNETV3_CONSTANTS: Mapping[str, Scalar] = MappingProxyType(
    {
        "sgd_lr_scale": 4.0,
        "warmup_epochs": 5.0,
        "lr_decay": 0.9875,
        "batch_size": 256,
        "label_smoothing": 0.1,
        "ema_decay": 0.99985,
        "flip": True,
        "randaugment": 9.0,
    }
)
"""The fixed part of that recipe, for ImageNet."""

FBNETV3_SHORT: tuple[Parameter, ...] = (
    Float("lr", 0.0005, 0.02, log=True),
    Categorical("optimizer", ("rmsprop", "sgd")),
    Categorical("ema", (True, False)),
    Float("dropout", 0.0, 0.3, 0.01),
    Float("drop_path", 0.0, 0.2, 0.01),
    Float("mixup", 0.0, 0.4, 0.01),
    Float("weight_decay", 1e-6, 1e-2, log=True),
)
"""The same genes for trainings of a few epochs from scratch: a wider rate, and regularisation that can be left out."""

FBNETV3_SHORT_CONSTANTS: Mapping[str, Scalar] = MappingProxyType({"sgd_lr_scale": 10.0, "label_smoothing": 0.1})
