"""The model component: what the clients get to see of x.

base has the iterate itself and a mechanism that sends it; replayed has the direction sent, and clients that step
themselves (EF21-BC, bidirectional AdaCGD, Artemis).
"""
