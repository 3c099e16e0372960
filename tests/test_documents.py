"""What the README and the examples show is run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mtc_hw.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SHELL = re.findall(r"```sh\n(.*?)```", README, re.S)
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.slow
def test_the_readme_s_commands_run_in_order(tmp_path, monkeypatch, capsys):
    assert len(SHELL) == 7
    monkeypatch.chdir(tmp_path)
    for line in (line for block in SHELL for line in block.splitlines() if line):
        assert line.startswith("mtc-hw ")
        with pytest.raises(SystemExit) as ended:
            main(line.split()[1:])
        said = capsys.readouterr()
        assert ended.value.code == 0, f"{line}\n{said.err}"
        assert said.out.strip()


def test_the_readme_s_library_lines_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in PYTHON:
        exec(compile(block, "README.md", "exec"), {})


def test_the_readme_s_neuron_file_is_one(tmp_path):
    from mtc_hw.neuron_file import load_neuron

    (block,) = re.findall(r"```toml\n(.*?)```", README, re.S)
    file = tmp_path / "neuron.toml"
    file.write_text(block)
    assert load_neuron(file).name == "bursting"


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_is_short(script, tmp_path):
    assert len(script.read_text().splitlines()) < 60
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
