"""The parts of the dead letter desk, `queue.dead`: see `corral.dead`.

`stacks` and `fingerprint` tell what kind of failure it was (pure); `indexing` keeps the groups; `groups`,
`letters` and `operations` are what an operator sees; `carrying` moves operations on; `exporting` writes
files.
"""
