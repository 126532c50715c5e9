"""The gradient component: how ∇f_i reaches the server, and the point w from which the server steps.

base is the interface; anchored has gradients sent whole, lazily or by a mechanism; invariant what stays true while a
client is away (FedNL-PP, BL2); shared_gradient MARINA's one estimate; ef21_plus the better of two; oracle where a
client's gradient comes from: all rows, a minibatch, an average over the rounds.
"""
