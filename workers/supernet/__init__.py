"""Networks whose weights are shared by all candidates of a space."""

from workers.supernet.kinds import shared_network
from workers.supernet.network import SharedNetwork

__all__ = ["SharedNetwork", "shared_network"]
