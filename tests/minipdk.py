"""A PDK of two corners in a folder of its own, with what real ones do: bins, expressions, scale, statistics."""

from pathlib import Path

DEVICE = """.subckt {kind}_x d g s b w=1 l=1 ad=0 as=0 pd=0 ps=0
.param mis='sw_mm*agauss(0,0.005,1)' wider='sw_mm*agauss(0,0.02,1)'
m0 d g s b {kind}_m w='w*(1+wider)' l='l' ad='ad' as='as' pd='pd' ps='ps' nrd=0.1 nrs=0.1 delvto='mis'
.model {kind}_m.0 {kind} level=54 version=4.5 lmin=1e-6 lmax=3e-6 wmin=1e-6 wmax=50e-6 binunit=2
+ toxe={{4.1e-9*skew}} vth0={sign}0.45 lvth0=1e-8 k1=0.5 u0={{0.03*skew}} nfactor=1.3 voff=-0.09 rsh=1 rbodymod=1
.model {kind}_m.1 {kind} level=54 version=4.5 lmin=3e-6 lmax=50e-6 wmin=1e-6 wmax=50e-6 binunit=2
+ toxe={{4.1e-9*skew}} vth0={sign}0.40 lvth0=2e-8 k1=0.5 u0={{0.03*skew}} nfactor=1.3 voff=-0.09 rsh=1 rbodymod=1
.ends
"""
LIBRARY = """* a library
.lib usual
.param skew=1
.include "devices/all.spice"
.endl usual
.lib quick
.param skew=0.97
.include "devices/all.spice"
.endl
"""
RECORD = """name = "mini"
supply = 1.8
supply_range = [1.6, 2.0]
analog_ground = 1.1
temperature = 27.0
temperature_range = [-40.0, 125.0]
diffusion = 0.3e-6
[grid]
width = [1e-6, 40e-6]
length = [1e-6, 40e-6]
step = 50e-9
[nmos]
model = "nmos_x"
threshold_mismatch = 5e-9
threshold_source = "none"
gain_mismatch = 1e-8
gain_source = "none"
[pmos]
model = "pmos_x"
threshold_mismatch = 5e-9
threshold_source = "none"
gain_mismatch = 1e-8
gain_source = "none"
[library]
pdk = "miniA"
path = "tech/mini.lib"
remedy = "ask the foundry"
unit = 1e-6
switches = { sw_mm = 0 }
mismatch_switch = "sw_mm"
sections = { tt = "usual", ff = "quick" }
[library.digests."mini 1"]
tt = "TT"
ff = "FF"
"""


def write_pdk(root: Path) -> Path:
    """The PDK's files below `root`; returns the library."""
    tech = root / "miniA" / "tech"
    (tech / "devices").mkdir(parents=True)
    (tech / "mini.lib").write_text(LIBRARY)
    kinds = "".join(DEVICE.format(kind=kind, sign=sign) for kind, sign in (("nmos", ""), ("pmos", "-")))
    (tech / "devices" / "all.spice").write_text(".option scale=1u\n" + kinds)
    return tech / "mini.lib"


def write_record(path: Path, tt: str, ff: str) -> Path:
    """The PDK's technology file, which knows one version by its digests."""
    path.write_text(RECORD.replace('"TT"', f'"{tt}"').replace('"FF"', f'"{ff}"'))
    return path
