"""The reference pages of the documentation that are made from the code.

.venv/bin/python -m tools.reference            # write docs/reference/
.venv/bin/python -m tools.reference --check    # exit 1 and say which page is old

A file a page; each has `text()`, which gives the whole page.
"""
