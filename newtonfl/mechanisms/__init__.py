"""Three-point mechanisms: what is sent, given what was sent before."""

from newtonfl.mechanisms.ef21 import EF21, Alpha
from newtonfl.mechanisms.frozen import Frozen
from newtonfl.mechanisms.mechanism import Mechanism, Sent

__all__ = ["EF21", "Alpha", "Frozen", "Mechanism", "Sent"]
