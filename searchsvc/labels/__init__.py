"""Label sets: the classes that are correct for an image, accuracy against them, and the reliability of raters.

Pure numpy and files: no training, no store.
"""

from searchsvc.labels.accuracy import hits, ranked, real_accuracy
from searchsvc.labels.dawid_skene import Consensus, dawid_skene
from searchsvc.labels.files import LabelDocument, read_labels
from searchsvc.labels.matching import label_sets, statistics
from searchsvc.labels.predictions import Predictions
from searchsvc.labels.sets import LabelSets, Statistics

__all__ = [
    "Consensus",
    "LabelDocument",
    "LabelSets",
    "Predictions",
    "Statistics",
    "dawid_skene",
    "hits",
    "label_sets",
    "ranked",
    "read_labels",
    "real_accuracy",
    "statistics",
]
