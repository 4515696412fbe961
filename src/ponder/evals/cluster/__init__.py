"""An evaluation on a Ray cluster: workers make the attempts, and one writer keeps what comes of them."""

from ponder.evals.cluster.driving import Cluster
from ponder.evals.cluster.working import Outfit

__all__ = ["Cluster", "Outfit"]
