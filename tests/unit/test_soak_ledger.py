"""The ledger outlives those who write it, however they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.soak.ledger import Answer, Ledger, Run, Trouble, done_so_far, read

ROOT = Path(__file__).parents[2]

#: It writes, and is killed without having closed anything.
WRITER = """
import os, signal, sys
from pathlib import Path
from bench.soak.ledger import Ledger, Run
ledger = Ledger(Path(sys.argv[1]), "work")
ledger.begun(Run(7, "j7", 1, 1, 5.0))
ledger.effect(Run(7, "j7", 1, 1, 5.0, 6.0))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_rows_of_a_killed_process_are_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "conductor")
    ledger.answer(Answer(7, "node", "j7", 4.0))
    ledger.trouble(Trouble("a fault", 1.0, 2.0, 3, "detail"))
    ledger.memory(1.0, "Redis", 5)
    killed = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, timeout=60, check=False)
    assert killed.returncode == -9
    assert done_so_far(tmp_path) == 1
    book = read(tmp_path)
    assert book.answers == (Answer(7, "node", "j7", 4.0),)
    assert book.begun == (Run(7, "j7", 1, 1, 5.0),)
    assert book.effects == (Run(7, "j7", 1, 1, 5.0, 6.0),)
    assert book.troubles == (Trouble("a fault", 1.0, 2.0, 3, "detail", 2.0),)
    assert book.memory == ((1.0, "Redis", 5),)
    ledger.close()
