"""Aggregation: how the server makes one vector of its clients', some of whom may be Byzantine.

base
    The interface: a rule, and how many vectors it needs.
mean
    Mean: what methods that trust their clients do.
order
    Median and Trimmed: coordinate by coordinate, by rank.
geometric
    GeometricMedian: the point of the least sum of distances.
krum
    Krum: the vector with the nearest neighbours.
centred_clip
    CentredClip: the mean of deviations that are cut to a length.
bucketed
    Any of these, of the means of random buckets.

A rule is (δ, c)-robust where E‖Agg - x̄‖² ≤ cδσ² for the mean x̄ of the honest vectors, a share 1 - δ of all, whose
mean squared distance from each other is at most σ² (arXiv 2311.14127; the rules are from memory).

May be imported by: components, methods, checks.
"""

from newtonfl.components.aggregation.base import Aggregator
from newtonfl.components.aggregation.bucketed import Bucketed
from newtonfl.components.aggregation.centred_clip import CentredClip
from newtonfl.components.aggregation.geometric import GeometricMedian
from newtonfl.components.aggregation.krum import Krum
from newtonfl.components.aggregation.mean import Mean
from newtonfl.components.aggregation.order import Median, Trimmed
from newtonfl.registry.lookup import arrange

__all__ = ["Aggregator", "Bucketed", "CentredClip", "GeometricMedian", "Krum", "Mean", "Median", "Trimmed"]

arrange("aggregator", ["mean", "median", "trimmed", "geometric-median", "krum", "centred-clip", "bucketed"])
