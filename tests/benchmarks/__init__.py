"""What the middleware costs, beside its peers and the least that it could cost."""
