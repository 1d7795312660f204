"""What the array API cannot say: products added to their sums in place. One module per array library."""
