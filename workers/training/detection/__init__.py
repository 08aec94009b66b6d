"""How a detector is trained: what happens to images and their boxes before the network sees them, batches of them."""
