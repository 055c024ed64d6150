"""What `reviewmill top` shows: gathered, told in cells, and laid out to fit a terminal."""
