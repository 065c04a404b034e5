"""Handlers in processes of their own: what they do to their process costs their attempt, never the worker.

`pool` is the worker's side: how many children there are and who gets one. `child` is one of them as the
worker sees it, `watch` what is looked at while it works. `main` is what runs inside it, `context` the `job`
that its handlers get. `messages` is what both sides say to each other, `failures` how an error crosses.
"""
