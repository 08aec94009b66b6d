"""How a network is trained: recipe, optimisers, augmentation, averaging, checkpoints, the loop."""
