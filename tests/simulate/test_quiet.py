"""A worker whose parent is gone ends quietly; every other error is told. Run apart: importing it sets a hook."""

import subprocess
import sys

CODE = """
import sys
import mtc_hw.simulate.quiet
from multiprocessing import reduction
from io import BytesIO
{0}
"""


def said(line):
    done = subprocess.run([sys.executable, "-c", CODE.format(line)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_the_parent_s_end_is_no_news():
    line = "import multiprocessing.connection as c; r, w = c.Pipe(); w.close(); r.recv_bytes()"
    assert said(line) == ""


def test_other_errors_are_told():
    assert "ZeroDivisionError" in said("1 / 0")
    assert "FileNotFoundError" in said("open('/nowhere')")
