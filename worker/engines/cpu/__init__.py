"""What the CPU's engines share: the forward pass, the variants of a checkpoint, and what is built and kept of it."""
