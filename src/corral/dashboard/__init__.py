"""The dashboard: the page at port 3002, its sign-in, and the management API behind a session.

Nothing is served without sign-in but the sign-in page and /healthz.
"""
