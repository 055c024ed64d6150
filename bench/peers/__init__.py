"""The peers: each a script run in a process of its own, by the interpreter of the peers' own environment.

Nothing of Reviewmill is imported here, and nothing here is imported by it.
"""
