"""From rows to numbers by way of moments: accumulated leaf by leaf, merged, and finalised chunk by chunk."""
