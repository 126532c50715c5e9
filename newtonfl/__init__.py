"""newtonfl: minimise convex finite sums over clients, when sending numbers is what costs.

What the package offers stands in __init__.pyi, and is imported when it is asked for: scikit-learn takes a second.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
