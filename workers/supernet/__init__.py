"""One network whose weights all candidates of a space share."""

from workers.supernet.kinds import shared_network
from workers.supernet.network import SharedNetwork

__all__ = ["SharedNetwork", "shared_network"]
