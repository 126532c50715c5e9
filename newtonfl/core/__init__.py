"""Core: arrays of any library, ragged arrays, packed triangles, memory, random streams, clocks, .npy files, messages.

backend
    Which array library holds the data (NumPy, CuPy, any of the Array API), and the only places where host and device
    meet: ``to_host``, ``to_device``, ``resident``.
ragged
    ``Blocks``: one vector a client, of the client's own length, end to end in one flat array.
memory
    How much of it is free: on the machine, and in a control group.
symmetric
    ``Triangle``: the upper triangle of a symmetric matrix as a vector, and the index tables between the two.
random
    ``Key``: every random draw by (seed, round, client, purpose), so that it does not depend on who draws when.
timing
    Where time goes, by phase, while somebody wants to know.
npy
    Arrays in NumPy's file format, from files that may be damaged.
optional
    Libraries that are not needed: imported where they are asked for.
arguments
    What settings and arguments must be.
quoting
    What messages show of what they were given.
raised
    Where in a user's own code an error arose.

May be imported by: every district.
"""
