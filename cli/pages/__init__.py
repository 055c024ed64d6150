"""What the pages have in common that reports are written as: one file each, which needs no network and runs nothing."""
