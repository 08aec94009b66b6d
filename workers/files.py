"""Names of the files that a trial leaves in its directory as results."""

from searchsvc.labels import predictions

MODEL = "model.safetensors"
"""Weights of the best step, and the card that says what they are."""
DISTRIBUTIONS = "distributions.json"
"""What a supernet has found: probabilities by parameter, the derived candidate, the finalists with their rewards."""
PICTURE, PICTURES = "boxes-{}.png", "boxes-*.png"
"""Of a detector: validation images of the best step with what was found in them, numbered from 0; a pattern of all."""
PREDICTIONS = predictions.FILE
"""Of a classifier: what the weights of the best step say of the validation images."""
DROPPED = "dropped.json"
"""Of a classifier trained on cleaned labels: places, among the training images, of those that were left out."""
