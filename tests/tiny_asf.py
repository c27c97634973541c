"""Made-up ASF and AMC files: a body that stands, under CMU's names, moved by given angles."""

from pathlib import Path

import numpy as np

# name, parent, vector from start to end in inches, axis in degrees, degrees of freedom; a body that stands.
BONES = [
    ("lhipjoint", "root", (2.8, -3.1, 0), (0, 0, 0), ""),
    ("lfemur", "lhipjoint", (4.0, -15.0, 0), (0, 0, 20), "rx ry rz"),
    ("ltibia", "lfemur", (0, -15.7, 0.4), (5, 0, 20), "rx"),
    ("lfoot", "ltibia", (0, -2.0, 5.1), (-90, 10, 20), "rx rz"),
    ("ltoes", "lfoot", (0, 0, 2.0), (-90, 0, 20), "rx"),
    ("rhipjoint", "root", (-2.8, -3.1, 0), (0, 0, 0), ""),
    ("rfemur", "rhipjoint", (-4.0, -15.0, 0), (0, 0, -20), "rx ry rz"),
    ("rtibia", "rfemur", (0, -15.7, 0.4), (5, 0, -20), "rx"),
    ("rfoot", "rtibia", (0, -2.0, 5.1), (-90, 10, -20), "rx rz"),
    ("rtoes", "rfoot", (0, 0, 2.0), (-90, 0, -20), "rx"),
    ("lowerback", "root", (0, 4.7, 0), (0, 0, 0), "rx ry rz"),
    ("upperback", "lowerback", (0, 5.5, 0), (0, 0, 0), "rx ry rz"),
    ("thorax", "upperback", (0, 8.3, 0), (0, 0, 0), "rz ry rx"),
    ("lowerneck", "thorax", (0, 4.0, 0.8), (0, 0, 0), "rx ry rz"),
    ("upperneck", "lowerneck", (0, 2.0, 0), (0, 0, 0), "rx ry rz"),
    ("head", "upperneck", (0, 4.0, 0), (0, 0, 0), "rx ry rz"),
    ("lclavicle", "thorax", (6.0, 2.0, 0), (0, 0, 10), "ry rz"),
    ("lhumerus", "lclavicle", (10.2, 0, 0), (180, 20, -90), "rx ry rz"),
    ("lradius", "lhumerus", (6.0, 0, 0), (180, 20, -90), "rx"),
    ("lwrist", "lradius", (4.0, 0, 0), (180, 20, -90), "ry"),
    ("rclavicle", "thorax", (-6.0, 2.0, 0), (0, 0, -10), "ry rz"),
    ("rhumerus", "rclavicle", (-10.2, 0, 0), (180, -20, 90), "rx ry rz"),
    ("rradius", "rhumerus", (-6.0, 0, 0), (180, -20, 90), "rx"),
    ("rwrist", "rradius", (-4.0, 0, 0), (180, -20, 90), "ry"),
]
SCALE = 0.45


def asf_text() -> str:
    lines = [
        "# written for this test",
        ":version 1.10",
        ":units",
        "  mass 1.0",
        f"  length {SCALE}",
        "  angle deg",
    ]
    lines += [
        ":documentation",
        "   length 9 root order RX",
        ":root",
        "   order TX TY TZ RX RY RZ",
        "   axis XYZ",
    ]
    lines += ["   position 0 0 0", "   orientation 0 0 0", ":bonedata"]
    for number, (name, _, vector, axis, dof) in enumerate(BONES, start=1):
        length = float(np.linalg.norm(vector))
        lines += ["  begin", f"    id {number}", f"    name {name}"]
        lines += ["    direction " + " ".join(f"{value / length:.12g}" for value in vector)]
        lines += [f"    length {length * SCALE:.12g}", "    axis {} {} {}  XYZ".format(*axis)]
        if dof:
            lines += [
                f"    dof {dof}",
                "    limits (-160.0 20.0)",
                *["           (-70.0 70.0)"] * dof.count(" "),
            ]
        lines += ["  end"]
    lines += [":hierarchy", "  begin"]
    for parent in dict.fromkeys(parent for _, parent, *_ in BONES):
        lines += ["    " + " ".join([parent, *(name for name, above, *_ in BONES if above == parent)])]
    return "\r\n".join([*lines, "  end", ""])


def motion(frames: int = 60, size: float = 25.0) -> list[dict[str, list[float]]]:
    rng = np.random.default_rng(0)
    phase = {name: rng.uniform(0, 6, 3) for name, *_ in BONES}
    found = []
    for frame in range(frames):
        row = {"root": [0.3 * frame * SCALE, 37.0 * SCALE, 0.1 * frame * SCALE, 3.0, 0.2 * frame, 1.0]}
        for name, *_, dof in BONES:
            if dof:
                row[name] = [
                    size * float(np.sin(frame / 20 + phase[name][k])) for k in range(len(dof.split()))
                ]
        found.append(row)
    return found


def amc_text(rows: list[dict[str, list[float]]]) -> str:
    lines = ["#!OML:ASF C:\\VICON\\01.asf", ":FULLY-SPECIFIED", ":DEGREES"]
    for number, row in enumerate(rows, start=1):
        lines += [
            str(number),
            *(f"{name} " + " ".join(f"{v:.9g}" for v in values) for name, values in row.items()),
        ]
    return "\n".join(lines) + "\n"


def write(folder: Path, *, asf: str = "01.asf", amc: str = "01_01.amc") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / asf).write_text(asf_text())
    (folder / amc).write_text(amc_text(motion()))
    return folder / amc
