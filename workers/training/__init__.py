"""Training of networks: recipe, optimisers, augmentation, averaging, checkpoints, the loop."""
