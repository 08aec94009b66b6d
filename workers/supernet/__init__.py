"""One network whose weights all candidates of a space share."""

from workers.supernet.fbnetv3 import Supernet
from workers.supernet.kinds import shared_network
from workers.supernet.network import SharedNetwork

__all__ = ["SharedNetwork", "Supernet", "shared_network"]
