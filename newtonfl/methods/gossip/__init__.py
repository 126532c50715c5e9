"""Methods without a server: clients send to their neighbours in a graph, and mix what they hear."""
