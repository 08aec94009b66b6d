"""Networks, and trained models as files."""

from workers.models.mbconv import MBConvNet
from workers.models.trained import Classifier, ModelCard, load

__all__ = ["Classifier", "MBConvNet", "ModelCard", "load"]
