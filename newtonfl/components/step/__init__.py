"""The step component: from the server's estimates to x⁺.

base has the Newton steps (plain, H + l·I, [H]_μ); cubic the cubic model's; line_search backtracks along another's
direction, as backtracking says; limited_memory learns the inverse Hessian from the last gradients; fixed steps by a
number γ, which stepsizes finds in theory and step_size holds; trials has what trial points share.
"""
