"""One network whose weights all architectures of a space share."""

from workers.supernet.supernet import Supernet

__all__ = ["Supernet"]
