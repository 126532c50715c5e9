"""Components: what a round is made of.

protocol
    What passes between server and clients: Announcement, Replies, ProblemConstants; and the interface Method.
participation
    Who takes part, S^k.
aggregation
    What stands for the mean where clients may be Byzantine.
graph
    Who is whose neighbour, where there is no server.
mixed
    What clients know after a round with their neighbours.
client_lists
    Text files of clients' numbers.
model
    What clients see of x.
gradient
    How ∇f_i reaches the server: whole, lazily, by a mechanism, as an invariant.
curvature
    How ∇²f_i reaches the server: learned in a basis, learned row by row, or not at all.
step
    From the estimates to x⁺.
client_state
    A part of the clients of a state.

A component has a client's side (``init_clients``, ``encode``) and a server's side (``init_server``, ``aggregate``), and
asks another through its interface alone.

May be imported by: methods, solver, checks.
"""
