"""Decks of the other dialects back in ngspice's spelling, so that ngspice can run what they say.

Only a test's tool: line by line, knowing nothing of the deck that the dialect was written from.
"""

import re

from mtc_hw.netlist.expression import formula

END = (".end",)


def from_xyce(text: str, commands: list[str]) -> str:
    """`commands` stand for the analysis, whose spelling is Xyce's own."""
    title, *lines = _joined(text)
    kept, names = [], set()
    for line in lines:
        if line.startswith(".subckt"):
            names = set(re.findall(r"(\w+)=", line))
        if line.startswith((".options", ".ic", ".print", ".tran", ".end")) and not line.startswith(".ends"):
            continue
        if found := re.fullmatch(r"(B\w* \w+ \w+ [VI]=)\{(.*)\}", line):
            line = found[1] + _braced(found[2].replace("fasttable", "pwl"), names)
        kept.append(line.replace(" PARAMS:", ""))
    return "\n".join([title, *kept, *commands, *END]) + "\n"


def from_spectre(text: str, commands: list[str]) -> str:
    """The models come back as level 54; an element's letter is put before a name that lacks it."""
    title, *lines = _joined(text)
    kept, names = [], set()
    for line in lines:
        if line.startswith("subckt"):
            names = set()
            kept.append("." + re.sub(r"[()]", "", line))
        elif line.startswith("parameters"):
            if kept and kept[-1].startswith(".subckt"):
                names = set(re.findall(r"(\w+)=", line))
                kept[-1] += line.removeprefix("parameters")
            else:
                kept.append(f".param{line.removeprefix('parameters')}")
        elif line.startswith("ends"):
            kept.append(f".{line}")
        elif line.startswith("model"):
            line = re.sub(r"=(\([^ ]*\))", r"={\1}", line)
            kept.append(re.sub(r"model (\w+) bsim4 type=(\w)", r".model \1 \2mos level=54", line))
        elif found := re.fullmatch(r"(\w+) \(([\w ]+)\) (\w+)(.*)", line):
            kept.append(_element(*found.groups(), names))
    return "\n".join([title, *kept, *commands, *END]) + "\n"


def _joined(text: str) -> list[str]:
    """Title and statements, continuations joined, comments gone."""
    title, *lines = text.replace("\n+ ", " ").splitlines()
    return ["* " + title.lstrip("*/ "), *(line for line in lines if line and not line.startswith(("*", "//")))]


def _element(name: str, nodes: str, master: str, rest: str, names: set[str]) -> str:
    values = dict(re.findall(r"(\w+)=(\[[^\]]*\]|\S+)", rest))
    match master:
        case "resistor" | "capacitor" | "vccs" | "vcvs":
            letter = {"resistor": "R", "capacitor": "C", "vccs": "G", "vcvs": "E"}[master]
            return f"{_lettered(name, letter)} {nodes} {_value(next(iter(values.values())))}"
        case "vsource" | "isource":
            wave = f"pwl({values['wave'].strip('[] ')})" if values["type"] == "pwl" else f"dc {_value(values['dc'])}"
            return f"{_lettered(name, master[0].upper())} {nodes} {wave}"
        case "ccvs":
            return f"{_lettered(name, 'H')} {nodes} {values['probe']} {values['rm']}"
        case "bsource":
            ((quantity, text),) = values.items()
            return f"{_lettered(name, 'B')} {nodes} {quantity}={_braced(text, names)}"
        case _:
            assigned = "".join(f" {key}={_value(value)}" for key, value in values.items())
            return f"{name} {nodes} {master}{assigned}"


def _lettered(name: str, letter: str) -> str:
    return name if name.upper().startswith(letter) else f"{letter}_{name}"


def _value(text: str) -> str:
    return f"{{{text}}}" if text.startswith("(") else text


def _braced(text: str, names: set[str]) -> str:
    """ngspice takes a subcircuit's parameters in braces only."""
    wanted = formula(text).names & names
    return re.sub(r"\b\w+\b", lambda found: f"{{{found[0]}}}" if found[0] in wanted else found[0], text)
