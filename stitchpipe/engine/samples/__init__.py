"""Indices that are no function of moments: over pooled or flattened samples side by side, and over minibatches."""
