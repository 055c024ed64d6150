"""What `reviewmill doctor` looks at, one concern a file; each check yields findings and changes nothing."""
