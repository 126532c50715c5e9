"""Methods with local steps: clients move on their own between two exchanges. One file a paper or a family."""
