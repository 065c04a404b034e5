"""Pictures: from an untrusted source file to finished sizes.

`plan` says what to make, `pool` makes it in a process of its own, so that a file which crashes the
decoder costs one job. `pipeline` is the engine itself: pure, bytes in and bytes out. Only `vips` and
what imports it load the image library; the process that asks for pictures never does.
"""
