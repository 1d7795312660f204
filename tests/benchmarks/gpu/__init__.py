"""What a GPU is worth to each step that may run on one, held against the CPU's numbers: `make gpu`."""
