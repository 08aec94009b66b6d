"""The installation: its health, its cluster, its tokens."""
