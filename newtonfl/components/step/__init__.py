"""The step component: from the server's estimates to x⁺.

base has the Newton steps (plain, H + l·I, [H]_μ); cubic the cubic model's; line_search backtracks along another's
direction, as backtracking says; quasi_newton learns the inverse Hessian from how gradients differ, of
all rounds (full_memory) or the last few (limited_memory); fixed steps by a
number γ, which stepsizes finds in theory and step_size holds, shortened by one that no step may be longer than; trials
has what trial points share.
"""
