"""Methods: the papers' methods, one file a paper or a family.

round
    The round that most of them are settings of.
typed
    ``@method(name)`` makes a method of a plain function with typed settings; settings has what many of them share,
    docstring fills their docstrings up with it, spec reads their text forms.
second_order
    FedNL, Newton-3PC, Basis Learn, Newton-Learn and their kin: typed functions that set the round.
first_order
    The EF21 family, AdaCGD, MARINA, DIANA and theirs.
argument
    What a user gives for a method.
local
    Methods with local steps: FedAvg, SCAFFOLD, Scaffnew and theirs.
gossip
    Methods without a server, over a graph: exact diffusion, LEAD, BEER, MoTEF, DADAO.
standalone
    Methods that are no settings of the round: DINGO, GIANT, DANE, LocalNewton, FedNew, FedNS, FIB-IOS, BL3, ADIANA,
    Newton-CG, DiSCO, AdaHessian; extragradient, MASHA1 and MASHA2, which solve operators too.

A lower-case function makes a method; what it is made of are classes of the districts below.

May be imported by: monitors, solver, statistics, estimators, checks, experiments, cli.
"""

from newtonfl.components.graph import Complete, Edges, ErdosRenyi, Graph, Line, Ring, Star, Torus
from newtonfl.components.participation import All, Arrivals, Independent, Lost, Participation, Trace, Uniform
from newtonfl.components.protocol import Announcement, ClientProtocol, Exchange, Method, ProblemConstants, Replies
from newtonfl.methods.first_order.adacgd import adacgd
from newtonfl.methods.first_order.asgrad import asgrad, iag
from newtonfl.methods.first_order.bfgs import bfgs
from newtonfl.methods.first_order.byz_vr_marina import byz_vr_marina_pp
from newtonfl.methods.first_order.clip21 import clip21, clip21_sgd2m
from newtonfl.methods.first_order.dasha import dasha
from newtonfl.methods.first_order.diana import artemis, diana, ef_bv, vr_diana
from newtonfl.methods.first_order.dore import dore
from newtonfl.methods.first_order.econtrol import econtrol
from newtonfl.methods.first_order.ef21 import ef21, ef21_bc, ef21_plus, ef21_pp, ef21_w
from newtonfl.methods.first_order.ef21_momentum import ef21_hb, ef21_sgd, ef21_sgdm
from newtonfl.methods.first_order.error_feedback import error_feedback
from newtonfl.methods.first_order.gd import accelerated_gd, gd
from newtonfl.methods.first_order.l_bfgs import l_bfgs
from newtonfl.methods.first_order.m_fac import m_fac
from newtonfl.methods.first_order.marina import marina, pp_marina, vr_marina
from newtonfl.methods.first_order.page import ef21_page
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.first_order.three_point import clag, lag, v1, v2, v3, v4, v5
from newtonfl.methods.gossip.dadao import dadao
from newtonfl.methods.gossip.exact_diffusion import exact_diffusion
from newtonfl.methods.gossip.lead import lead
from newtonfl.methods.gossip.motef import beer, motef, motef_vr
from newtonfl.methods.local.fedavg import fedavg, fedprox
from newtonfl.methods.local.five_gcs import five_gcs, five_gcs_cc
from newtonfl.methods.local.five_gcs_ab import five_gcs_ab
from newtonfl.methods.local.gradskip import gradskip
from newtonfl.methods.local.gradskip_plus import gradskip_plus
from newtonfl.methods.local.i_scaffnew import i_scaffnew
from newtonfl.methods.local.locodl import locodl
from newtonfl.methods.local.scaffnew import scaffnew
from newtonfl.methods.local.scaffold import scaffold
from newtonfl.methods.local.scallion import scafcom, scallion
from newtonfl.methods.local.tamuna import compressed_scaffnew, tamuna
from newtonfl.methods.local.vr_proxskip import vr_proxskip
from newtonfl.methods.round import Descent
from newtonfl.methods.second_order.basis_learn import bl1, bl2
from newtonfl.methods.second_order.dave_qn import dave_qn
from newtonfl.methods.second_order.fednl import fednl, fednl_bc, fednl_cr, fednl_ls, fednl_pp
from newtonfl.methods.second_order.newton import newton, newton_star, newton_zero
from newtonfl.methods.second_order.newton_3pc import (
    newton_3pc,
    newton_3pc_bc,
    newton_3pc_bc_pp,
    newton_3pc_cr,
    newton_3pc_ls,
)
from newtonfl.methods.second_order.newton_learn import cubic_newton_learn, nl1, nl2
from newtonfl.methods.second_order.robust_newton import robust_newton
from newtonfl.methods.second_order.settings import SecondOrder
from newtonfl.methods.standalone.adahessian import adahessian
from newtonfl.methods.standalone.adiana import adiana
from newtonfl.methods.standalone.bl3 import bl3
from newtonfl.methods.standalone.core_gd import core_gd
from newtonfl.methods.standalone.dane import dane
from newtonfl.methods.standalone.dingo import dingo
from newtonfl.methods.standalone.disco import disco
from newtonfl.methods.standalone.extragradient import extragradient
from newtonfl.methods.standalone.fednew import fednew
from newtonfl.methods.standalone.fedns import fedns
from newtonfl.methods.standalone.fib_ios import fib_ios
from newtonfl.methods.standalone.giant import giant
from newtonfl.methods.standalone.lattice_newton import lattice_newton
from newtonfl.methods.standalone.local_newton import local_newton
from newtonfl.methods.standalone.masha import masha1, masha2
from newtonfl.methods.standalone.newton_cg import newton_cg
from newtonfl.methods.typed import method
from newtonfl.registry.lookup import arrange

__all__ = [
    "All", "Announcement", "Arrivals", "ClientProtocol", "Complete", "Descent", "Edges", "ErdosRenyi", "Exchange",
    "FirstOrder", "Graph", "Independent", "Line", "Lost", "Method", "Participation", "ProblemConstants", "Replies",
    "Ring", "SecondOrder", "Star", "Torus", "Trace", "Uniform", "accelerated_gd", "adacgd", "adahessian", "adiana",
    "artemis", "asgrad", "beer", "bfgs", "bl1", "bl2", "bl3", "byz_vr_marina_pp", "clag", "clip21", "clip21_sgd2m",
    "compressed_scaffnew", "core_gd", "cubic_newton_learn", "dadao", "dane", "dasha", "dave_qn", "diana", "dingo",
    "disco", "dore", "econtrol", "ef21", "ef21_bc", "ef21_hb", "ef21_page", "ef21_plus", "ef21_pp", "ef21_sgd",
    "ef21_sgdm", "ef21_w", "ef_bv", "error_feedback", "exact_diffusion", "extragradient", "fedavg", "fednew", "fednl",
    "fednl_bc", "fednl_cr", "fednl_ls", "fednl_pp", "fedns", "fedprox", "fib_ios", "five_gcs", "five_gcs_ab",
    "five_gcs_cc", "gd", "giant", "gradskip", "gradskip_plus", "i_scaffnew", "iag", "l_bfgs", "lag", "lattice_newton",
    "lead", "local_newton", "locodl", "m_fac", "marina", "masha1", "masha2", "method", "motef", "motef_vr", "newton",
    "newton_3pc", "newton_3pc_bc", "newton_3pc_bc_pp", "newton_3pc_cr", "newton_3pc_ls", "newton_cg", "newton_star",
    "newton_zero", "nl1", "nl2", "pp_marina", "robust_newton", "scafcom", "scaffnew", "scaffold", "scallion", "tamuna",
    "v1", "v2", "v3", "v4", "v5", "vr_diana", "vr_marina", "vr_proxskip",
]  # fmt: skip

arrange(
    "method",
    [
        "newton", "newton-star", "newton-zero", "gd", "fednl", "fednl-pp", "fednl-cr", "fednl-ls", "fednl-bc",
        "newton-3pc", "newton-3pc-bc", "newton-3pc-bc-pp", "newton-3pc-cr", "newton-3pc-ls", "bl1", "bl2", "bl3", "nl1",
        "nl2", "cubic-newton-learn", "robust-newton", "dave-qn", "dingo", "giant", "dane", "local-newton", "fednew",
        "fedns", "fib-ios", "newton-cg", "disco", "adahessian", "lattice-newton", "bfgs", "l-bfgs", "accelerated-gd",
        "ef21", "ef21-plus", "ef21-w", "ef21-pp", "ef21-bc", "ef21-hb", "ef21-sgd", "ef21-sgdm", "ef21-page",
        "error-feedback", "econtrol", "clip21", "clip21-sgd2m", "asgrad", "iag", "lag", "clag", "3pc-v1", "3pc-v2",
        "3pc-v3", "3pc-v4", "3pc-v5", "adacgd", "marina", "pp-marina", "vr-marina", "byz-vr-marina-pp", "dasha",
        "diana", "vr-diana", "adiana", "ef-bv", "artemis", "dore", "core-gd", "m-fac", "fedavg", "fedprox", "scaffold",
        "scallion", "scafcom", "scaffnew", "vr-proxskip", "i-scaffnew", "gradskip", "gradskip-plus",
        "compressed-scaffnew", "tamuna", "locodl", "5gcs", "5gcs-cc", "5gcs-ab", "exact-diffusion", "lead", "beer",
        "motef", "motef-vr", "dadao", "extragradient", "masha1", "masha2",
    ],
)  # fmt: skip
