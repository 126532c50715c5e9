"""The curvature component: how ∇²f_i reaches the server, and the matrix with which it steps.

base is the interface; learned has Hessians learned in a basis by a mechanism (FedNL, Newton-3PC, BL1); robust a rule of
aggregation for them; learned_rows φ″ learned at every data row (Newton-Learn); fisher the empirical Fisher matrix of
M-FAC.
"""
