"""Mechanisms: what is sent, given what was sent before.

A three-point mechanism C_{h,y}(x) sends what is new about a target x, given the estimate h that both ends hold and the
last target y (3PC, arXiv 2202.00998, inequality (4)). One class a file, a frozen dataclass around its compressors:

ef21, clag (LAG with it), cbag (BAG with it), v1 to v5 (MARINA in v5), adacgd, adaptive_topk, ef_bv (DIANA), econtrol,
dasha, noisy_clip, frozen.

``Mechanism.messages`` is all that a new one needs; one with a memory of its own beside (h, y) adds
``init_own_memory`` and ``update_own_memory``. ``Mechanism.send`` and ``Mechanism.receive`` are the two ends.
constants holds what their theory shares. ``newtonfl.checks.check_mechanism`` holds one to its constants.

May be imported by: components, methods, checks.
"""

from newtonfl.mechanisms.adacgd import AdaCGD
from newtonfl.mechanisms.adaptive_topk import AdaptiveTopK
from newtonfl.mechanisms.cbag import BAG, CBAG
from newtonfl.mechanisms.clag import CLAG, LAG
from newtonfl.mechanisms.dasha import Dasha
from newtonfl.mechanisms.econtrol import EControl
from newtonfl.mechanisms.ef21 import EF21, Alpha
from newtonfl.mechanisms.ef_bv import EFBV, Diana
from newtonfl.mechanisms.frozen import Frozen
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, Memory, OwnMemory, SendResult, StepUses, ThreePoints
from newtonfl.mechanisms.noisy_clip import NoisyClip
from newtonfl.mechanisms.v1 import ThreePCv1
from newtonfl.mechanisms.v2 import ThreePCv2
from newtonfl.mechanisms.v3 import ThreePCv3
from newtonfl.mechanisms.v4 import ThreePCv4
from newtonfl.mechanisms.v5 import Marina, ThreePCv5

__all__ = [
    "AdaCGD", "AdaptiveTopK", "Alpha", "BAG", "CBAG", "CLAG", "Dasha", "Diana", "EControl", "EF21", "EFBV", "Encoder",
    "Frozen", "LAG", "Marina", "Mechanism", "Memory", "NoisyClip", "OwnMemory", "SendResult", "StepUses", "ThreePCv1",
    "ThreePCv2", "ThreePCv3", "ThreePCv4", "ThreePCv5", "ThreePoints",
]  # fmt: skip
