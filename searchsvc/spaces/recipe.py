"""Recipes: the parameters by which networks are trained, as a table per task with defaults and limits.

All networks of a task share its table, and the tables share the parameters that do not depend on the task. `FBNETV3`
has the seven genes that FBNetV3 searches (arXiv 2006.02049), with ranges from its authors' later work and from
descriptions of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from searchsvc.domain.parameters import Categorical, Float, Integer, Parameter, Scalar
from searchsvc.domain.trial_task import REPLICATE
from searchsvc.spaces.limits import Limits

OPTIMIZERS = ("sgd", "rmsprop", "adamw")
WITH_MOMENTUM = ("sgd", "rmsprop")
CLASS_LOSSES = ("focal", "qfl")
FOLDS = (0, 2, 3, 5, 10)
BOXES = ("dirac", "dfl")
SAMPLE_WEIGHTINGS = ("none", "swn")
AUGMENTATIONS = ("S1", "S2", "S3", "S4")
INIT, SCRATCH, PRETRAINED = "init", "scratch", "pretrained"
FROZEN_STAGES, LAYER_DECAY, DATA_FRACTION = "frozen_stages", "layer_decay", "data_fraction"
SELF_TRAINING = "self_training"
"""The parameter that switches self-training on."""
PSEUDO_LABELS = ("soft", "hard")


@dataclass(frozen=True, slots=True)
class RecipeParameter:
    """A parameter of a recipe."""

    widest: Parameter
    """The widest range that training supports."""
    default: Scalar
    """The value for spaces without this parameter."""
    meaning: str


@dataclass(frozen=True, slots=True)
class RecipeTable:
    """All parameters of the recipe of a task."""

    entries: tuple[RecipeParameter, ...]

    @property
    def defaults(self) -> Mapping[str, Scalar]:
        """Default values by parameter name."""
        return MappingProxyType({entry.widest.name: entry.default for entry in self.entries})

    @property
    def limits(self) -> Limits:
        """Widest ranges by parameter name."""
        return MappingProxyType({entry.widest.name: entry.widest for entry in self.entries})

    @property
    def meanings(self) -> Mapping[str, str]:
        """Descriptions by parameter name."""
        return MappingProxyType({entry.widest.name: entry.meaning for entry in self.entries})


@dataclass(frozen=True, slots=True)
class ClassifierLoss:
    """A loss for the training of classifiers."""

    name: str
    meaning: str
    independent: bool = False
    """True if a network trained by it predicts an independent probability for each class, by a sigmoid."""


CLASSIFIER_LOSSES: Mapping[str, ClassifierLoss] = MappingProxyType(
    {
        loss.name: loss
        for loss in (
            ClassifierLoss("softmax", "one choice among all classes"),
            ClassifierLoss("sigmoid", "yes or no for each class", independent=True),
        )
    }
)
"""Losses by name. `workers.training.classification.class_loss` computes them."""


def has_independent_classes(values: Mapping[str, Any]) -> bool:
    """Return whether a classifier trained with these values predicts an independent probability for each class."""
    return CLASSIFIER_LOSSES[values.get("class_loss", "softmax")].independent


_OF_ALL = (
    RecipeParameter(
        Categorical("optimizer", OPTIMIZERS),
        "sgd",
        "sgd (with Nesterov's momentum), rmsprop (TensorFlow's variant), adamw",
    ),
    RecipeParameter(Float("lr", 1e-8, 100.0), 0.1, "peak learning rate"),
    RecipeParameter(
        Float("sgd_lr_scale", 1e-4, 1e4), 1.0, "factor by which sgd multiplies lr, if lr is on the scale of rmsprop"
    ),
    RecipeParameter(Float("momentum", 0.0, 0.9999), 0.9, "momentum of sgd and rmsprop"),
    RecipeParameter(
        Float("weight_decay", 0.0, 10.0),
        1e-4,
        "decay of weights, not of biases or of the scales and shifts of normalisation",
    ),
    RecipeParameter(
        Float("warmup_epochs", 0.0, 1000.0),
        0.0,
        "epochs in which the rate rises to its peak; 0: a tenth of the training",
    ),
    RecipeParameter(
        Float("lr_decay", 0.0, 1.0),
        0.0,
        "factor of the rate from epoch to epoch after the warm-up; 0: half a cosine down to 0 instead",
    ),
    RecipeParameter(Integer("batch_size", 2, 65536), 64, "images per step"),
    RecipeParameter(
        Integer("resolution", 0, 4096),
        0,
        "side of the square images that the network sees, in px; 0: as in the dataset",
    ),
    RecipeParameter(
        Categorical(INIT, (SCRATCH, PRETRAINED)),
        SCRATCH,
        "first weights: random weights, or the weights of the job's section `pretrained`",
    ),
    RecipeParameter(
        Float(LAYER_DECAY, 0.01, 1.0),
        1.0,
        "factor of the learning rate from each stage to the stage below it",
    ),
    RecipeParameter(
        Float(DATA_FRACTION, 0.0001, 1.0),
        1.0,
        "share of the training images; an epoch keeps its number of steps",
    ),
    RecipeParameter(
        Integer(REPLICATE, 0, 1_000_000),
        0,
        "number of a repetition, which sets the seed; 0: the number of the trial sets it",
    ),
    RecipeParameter(
        Float("clip_norm", 0.0, 1e6),
        0.0,
        "maximum norm of the whole gradient; a larger gradient is scaled down; 0: no clipping",
    ),
)
_AVERAGE = (
    RecipeParameter(
        Categorical("ema", (False, True)), False, "whether a moving average of the weights is measured and kept"
    ),
    RecipeParameter(Float("ema_decay", 0.0, 0.99999), 0.95, "final decay of the average, per step"),
)

_SELF_TRAINING = (
    RecipeParameter(
        Categorical(SELF_TRAINING, (False, True)),
        False,
        "whether the network also learns from pseudo labels of unlabelled images",
    ),
    RecipeParameter(Float("pseudo_threshold", 0.0, 1.0), 0.5, "minimum score of a pseudo label"),
    RecipeParameter(
        Float("self_training_alpha", 1e-3, 1e3), 1.0, "weight of the pseudo labels in the loss, relative to labels"
    ),
)

CLASSIFICATION = RecipeTable(
    (
        *_OF_ALL,
        RecipeParameter(
            Float("mixup", 0.0, 16.0),
            0.0,
            "alpha of the beta distribution from which lambda is drawn; 0: no mixup",
        ),
        RecipeParameter(
            Categorical("class_loss", tuple(CLASSIFIER_LOSSES)),
            "softmax",
            ", ".join(f"{loss.name} ({loss.meaning})" for loss in CLASSIFIER_LOSSES.values()),
        ),
        RecipeParameter(
            Categorical("clean_folds", FOLDS),
            0,
            "number of folds; images whose labels the other folds contradict are left out; 0: off",
        ),
        RecipeParameter(
            Float("label_smoothing", 0.0, 0.99), 0.0, "share of the target that is spread over all classes"
        ),
        RecipeParameter(Float("dropout", 0.0, 0.95), 0.0, "share of the classifier's inputs that is dropped"),
        RecipeParameter(
            Float("drop_path", 0.0, 0.95),
            0.0,
            "probability that the last residual branch is dropped; it rises linearly with depth, from 0",
        ),
        *_AVERAGE,
        RecipeParameter(Float("shift", 0.0, 0.5), 0.0, "maximum shift of an image, as a share of its sides"),
        RecipeParameter(
            Categorical("flip", (False, True)), False, "mirror each image left to right with probability one half"
        ),
        RecipeParameter(Float("randaugment", 0.0, 10.0), 0.0, "magnitude of RandAugment, 0 to 10; 0: off"),
        RecipeParameter(
            Categorical("augmentation", ("none", *AUGMENTATIONS)),
            "none",
            "S1 to S4: a level of arXiv 2006.06882 that replaces shift and randaugment",
        ),
        RecipeParameter(
            Integer(FROZEN_STAGES, 0, 7), 0, "number of stages that are not trained; the stem is then frozen too"
        ),
        *_SELF_TRAINING,
        RecipeParameter(
            Categorical("pseudo_labels", PSEUDO_LABELS),
            "soft",
            "soft: the teacher's probabilities; hard: its most likely class",
        ),
    )
)

DETECTION = RecipeTable(
    (
        *_OF_ALL,
        *_AVERAGE,
        RecipeParameter(
            Categorical("class_loss", CLASS_LOSSES),
            "qfl",
            "focal (with a centerness branch, as in ATSS), qfl (Quality Focal Loss)",
        ),
        RecipeParameter(Float("qfl_beta", 0.0, 8.0), 2.0, "power of qfl's modulating factor"),
        RecipeParameter(
            Categorical("boxes", BOXES), "dfl", "dirac (a number per side), dfl (a distribution per side); both by GIoU"
        ),
        RecipeParameter(Integer("dfl_bins", 3, 64), 17, "number of distances in the distribution: 0, 1, ... strides"),
        RecipeParameter(Float("dfl_weight", 0.0, 10.0), 0.25, "weight of Distribution Focal Loss"),
        RecipeParameter(
            Categorical("sample_weighting", SAMPLE_WEIGHTINGS), "none", "swn: a Sample Weighting Network weights losses"
        ),
        RecipeParameter(
            Categorical("augmentation", ("none", *AUGMENTATIONS)),
            "S1",
            "S1 jitter of scale, S2 with AutoAugment, S3 with wider jitter, S4 RandAugment and wider jitter",
        ),
        RecipeParameter(
            Categorical("flip", (False, True)), False, "mirror each image left to right with probability one half"
        ),
        RecipeParameter(
            Float("color", 0.0, 0.9), 0.0, "maximum change of brightness, contrast and saturation, as a share"
        ),
        RecipeParameter(
            Integer(FROZEN_STAGES, 0, 4),
            0,
            "number of backbone stages that are not trained; the stem is then frozen too",
        ),
        *_SELF_TRAINING,
    )
)

TABLES: Mapping[str, RecipeTable] = MappingProxyType({"classification": CLASSIFICATION, "detection": DETECTION})
"""Recipe tables by task."""

FBNETV3: tuple[Parameter, ...] = (
    Float("lr", 0.020, 0.030, 0.001),
    Categorical("optimizer", ("rmsprop", "sgd")),
    Categorical("ema", (True, False)),
    Float("dropout", 0.01, 0.31, 0.01),
    Float("drop_path", 0.10, 0.31, 0.01),
    Float("mixup", 0.0, 0.41, 0.01),
    Float("weight_decay", 7e-6, 21e-6, 1e-6),
)
"""The 18,905,040 recipes of FBNetV3."""

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
"""The fixed part of the FBNetV3 recipe for ImageNet."""

FBNETV3_SHORT: tuple[Parameter, ...] = (
    Float("lr", 0.0005, 0.02, log=True),
    Categorical("optimizer", ("rmsprop", "sgd")),
    Categorical("ema", (True, False)),
    Float("dropout", 0.0, 0.3, 0.01),
    Float("drop_path", 0.0, 0.2, 0.01),
    Float("mixup", 0.0, 0.4, 0.01),
    Float("weight_decay", 1e-6, 1e-2, log=True),
)
"""The genes of `FBNETV3` for short trainings from scratch: a wider learning rate, and optional regularisation."""

FBNETV3_SHORT_CONSTANTS: Mapping[str, Scalar] = MappingProxyType({"sgd_lr_scale": 10.0, "label_smoothing": 0.1})
