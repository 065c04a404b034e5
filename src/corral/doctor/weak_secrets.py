"""Whether a secret is one that somebody guesses. Pure."""

from __future__ import annotations

#: Below this many characters a patient caller gets there.
GUESSABLE_CHARS = 16

#: Below this many different characters it is typed, not drawn.
FEW_DIFFERENT = 6

#: What examples and first tries are made of; compared without case and punctuation.
PLACEHOLDERS = (
    "changeme", "changethis", "replaceme", "yourpassword", "yoursecret", "yourapikey", "yourkey", "password",
    "passw0rd", "foobared", "supersecret", "topsecret", "mysecret", "examplekey", "placeholder", "qwerty",
    "letmein", "12345678", "abcdefgh",
)  # fmt: skip


def weakness(secret: str) -> str:
    """What is wrong with it, to follow its name in a sentence, or ""."""
    plain = "".join(c for c in secret.lower() if c.isalnum())
    if any(word in plain for word in PLACEHOLDERS):
        return "is an example's"
    if len(secret) < GUESSABLE_CHARS:
        return f"has {len(secret)} characters; {GUESSABLE_CHARS} are the least"
    if len(set(plain)) < FEW_DIFFERENT:
        return "repeats a few characters"
    return ""
