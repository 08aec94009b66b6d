"""Networks, and trained models as files."""

from workers.models.networks import build
from workers.models.trained import Classifier, ModelCard, load

__all__ = ["Classifier", "ModelCard", "build", "load"]
