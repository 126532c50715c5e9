"""Methods: the round and its presets."""

from newtonfl.methods.descent import Descent
from newtonfl.methods.fednl import fednl
from newtonfl.methods.gd import gd
from newtonfl.methods.method import Announcement, Exchange, Facts, Method, Replies
from newtonfl.methods.newton import newton, newton_zero
from newtonfl.methods.newton3pc import newton_3pc

__all__ = [
    "Announcement", "Descent", "Exchange", "Facts", "Method", "Replies",
    "fednl", "gd", "newton", "newton_3pc", "newton_zero",
]  # fmt: skip
