"""Methods: the round and its presets."""

from newtonfl.methods.basis_learn import bl1, bl2
from newtonfl.methods.bl3 import bl3
from newtonfl.methods.descent import Descent
from newtonfl.methods.dingo import dingo
from newtonfl.methods.fednl import fednl, fednl_bc, fednl_cr, fednl_ls, fednl_pp
from newtonfl.methods.fib_ios import fib_ios
from newtonfl.methods.gd import gd
from newtonfl.methods.giant import giant
from newtonfl.methods.method import Announcement, Exchange, Facts, Method, Replies
from newtonfl.methods.newton import newton, newton_star, newton_zero
from newtonfl.methods.newton3pc import newton_3pc, newton_3pc_bc, newton_3pc_bc_pp, newton_3pc_cr, newton_3pc_ls
from newtonfl.methods.newton_learn import cubic_newton_learn, nl1, nl2
from newtonfl.methods.participation import All, Independent, Participation, Trace, Uniform

__all__ = [
    "All", "Announcement", "Descent", "Exchange", "Facts", "Independent", "Method", "Participation", "Replies", "Trace",
    "Uniform", "bl1", "bl2", "bl3", "cubic_newton_learn", "dingo", "fednl", "fednl_bc", "fednl_cr", "fednl_ls",
    "fednl_pp", "fib_ios", "gd", "giant", "newton", "newton_3pc", "newton_3pc_bc", "newton_3pc_bc_pp", "newton_3pc_cr",
    "newton_3pc_ls", "newton_star", "newton_zero", "nl1", "nl2",
]  # fmt: skip
