"""The measured programs on Python: each runs in a process of its own and says its findings as JSON lines."""
