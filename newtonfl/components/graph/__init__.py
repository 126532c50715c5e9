"""Graph: who is whose neighbour where there is no server, and the weights by which neighbours mix.

base
    The interface: edges, and of them the mixing matrix W with its spectrum.
shapes
    Ring, Line, Star, Complete, Torus, ErdosRenyi.
edge_list
    Edges: as they were given, or from a file.

May be imported by: components, methods, solver, checks.
"""

from newtonfl.components.graph.base import Graph
from newtonfl.components.graph.edge_list import Edges
from newtonfl.components.graph.shapes import Complete, ErdosRenyi, Line, Ring, Star, Torus

__all__ = ["Complete", "Edges", "ErdosRenyi", "Graph", "Line", "Ring", "Star", "Torus"]
