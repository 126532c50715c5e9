"""Communication: what travels between server and clients, in which bytes, by which way, and who counts it.

messages
    The closed set of message forms.
coding, packets
    Numbers and index sets as bits; packets with a header, parts and a checksum. Golden bytes hold their layout.
transport, mpi
    How rank 0 calls all ranks and gathers their answers: in one process, or over MPI.
mpi_wait, mpi_end
    How a rank waits for others, and how a job ends where one fails. The files mpi… alone may name mpi4py.
launcher
    What mpiexec or srun says of this process in its environment, read without MPI.
collective
    What all ranks come to know together before a solve.
ledger, ledger_table, sections
    Bytes and formula bits of every client, up and down, the set-up apart; the same by part, as a table; how much of
    many packets a part takes.

May be imported by: objectives, compressors, datasets, bases, mechanisms, components, methods, monitors, solver,
statistics, estimators, checks, experiments, cli.
"""
