"""Claims chunks, tokenizes, batches, infers and trains. Imports db and broker, never producer or cli."""
