"""Violent actions: kicks, punches and other blows, each with wind-up, strike and retraction."""

from hmu_tasks.data.datasets.synthetic.moves import HANG, STAGGERED, Action, Cue, Words, pick, times
from hmu_tasks.data.datasets.synthetic.track import Track

# A blow takes at least eight frames out and back at the fastest tempo, so that a tokenizer cannot smooth it away.


def _repeats(cue: Cue) -> int:
    return pick(cue.rng, (1, 1, 2, 2, 3))


def _height(cue: Cue) -> tuple[str, float]:
    return pick(cue.rng, (("low", -0.42), ("", -0.02), ("", 0.02), ("high", 0.36)))


def _land(k: Track, cue: Cue, frames: float = 6.0) -> None:
    k.key(frames, cue.ready, rf=HANG, rw=0.0, rt=0.0, rk=0.0)


def front_kick(k: Track, cue: Cue) -> Words:
    """Knee up, foot shot out to the front, back to the floor."""
    count, (word, height) = _repeats(cue), _height(cue)
    for _ in range(count):
        k.key(5, rw=1.0, rf=(0.0, -0.50, 0.30), rt=0.3, px=0.07, pp=-0.08, py=0.985)
        k.key(4, snap=0.6, rf=(-0.02, height, 0.95 * cue.size), rt=0.55, pp=-0.30, sp=0.12, pz=0.05)
        k.key(1.5)
        k.key(4.5, rf=(0.0, -0.48, 0.34), rt=0.3, pp=-0.08, sp=0.0, pz=0.0)
        _land(k, cue)
    return {"n": times(cue, count), "h": word}


def side_kick(k: Track, cue: Cue) -> Words:
    """Knee up, foot thrust sideways while the body leans away."""
    count = _repeats(cue)
    for _ in range(count):
        k.key(6, rw=1.0, rf=(0.12, -0.50, 0.22), rk=0.3, rt=0.1, px=0.08, pl=0.10)
        k.key(
            4.5,
            snap=0.6,
            rf=(0.94 * cue.size, cue.near(-0.12, 0.18), 0.05),
            rk=0.5,
            pl=0.50,
            sl=0.12,
            px=0.12,
        )
        k.key(2)
        k.key(5, rf=(0.15, -0.50, 0.20), rk=0.3, pl=0.10, sl=0.0, px=0.07)
        _land(k, cue)
    return {"n": times(cue, count)}


def roundhouse_kick(k: Track, cue: Cue) -> Words:
    """The leg swings in an arc from the side across the front while the hips turn."""
    count, (word, height) = _repeats(cue), _height(cue)
    for _ in range(count):
        k.key(6, rw=1.0, rf=(0.52, -0.38, -0.15), rk=0.9, rt=0.7, px=0.08, pw=-0.35, pl=0.15, sw=-0.25)
        k.key(3, rf=(0.74, height * 0.7, 0.42), pw=0.25, pl=0.38, sw=0.0, snap=0.3)
        k.key(3.5, rf=(-0.42, height, 0.80 * cue.size), pw=0.85, pl=0.32, sw=0.25)
        k.key(5, rf=(-0.05, -0.50, 0.32), rk=0.2, pw=0.45, pl=0.08, sw=0.0)
        _land(k, cue)
    return {"n": times(cue, count), "h": word}


def back_kick(k: Track, cue: Cue) -> Words:
    """The body bends forward and a heel shoots out behind."""
    count = _repeats(cue)
    for _ in range(count):
        k.key(6, rw=1.0, rf=(0.0, -0.55, 0.22), rt=0.1, px=0.07, sp=0.10, hw=-0.5)
        k.key(
            4.5,
            snap=0.6,
            rf=(0.05, cue.near(-0.20, 0.0), -0.93 * cue.size),
            pp=0.55,
            sp=0.12,
            pz=0.05,
            hw=-0.7,
        )
        k.key(2)
        k.key(5, rf=(0.0, -0.55, 0.20), pp=0.10, sp=0.0, pz=0.0, hw=-0.2)
        _land(k, cue)
    return {"n": times(cue, count)}


def knee_strike(k: Track, cue: Cue) -> Words:
    """Both hands pull down while one knee drives up."""
    count = _repeats(cue)
    for _ in range(count):
        k.key(5, lh=(-0.15, 0.12, 0.75), rh=(-0.15, 0.12, 0.75), px=0.04, pp=0.05)
        k.key(4.5, snap=0.5, rw=1.0, rf=(-0.04, -0.27, 0.38), rt=0.9, px=0.08, pp=-0.10, sp=0.35,
              lh=(-0.05, -0.50, 0.35), rh=(-0.05, -0.50, 0.35), pz=0.08)  # fmt: skip
        k.key(2)
        _land(k, cue, 6.5)
    return {"n": times(cue, count)}


def stomp(k: Track, cue: Cue) -> Words:
    """One foot is raised high and driven into the ground."""
    count = pick(cue.rng, (1, 2, 2, 3))
    for _ in range(count):
        k.key(6, rw=1.0, rf=(0.03, -0.42, 0.28), rt=0.0, px=0.07, sp=-0.05, py=1.0)
        k.key(3.5, snap=0.7, rf=HANG, rw=0.0, px=0.0, sp=0.28, hp=0.25, py=0.90,
              lh=(0.35, -0.75, 0.0), rh=(0.35, -0.75, 0.0))  # fmt: skip
        k.key(2.5)
        k.key(6, cue.ready)
    return {"n": times(cue, count)}


def jab(k: Track, cue: Cue) -> Words:
    """The leading hand shoots straight out with little turn of the body."""
    count = pick(cue.rng, (1, 2, 2, 3, 3))
    if cue.guard:
        k.stand(STAGGERED[1], STAGGERED[0])
    for _ in range(count):
        k.key(4, rh=(-0.08, -0.04, 0.22), sw=-0.22, pz=-0.03)
        k.key(4, snap=0.6, rh=(-0.14, 0.06, 0.98 * cue.size), re=0.25, sw=0.32, pz=0.10, sp=0.10)
        k.key(1.5)
        k.key(5, cue.ready)
        k.key(1.5)
    return {"n": times(cue, count)}


def cross(k: Track, cue: Cue) -> Words:
    """The rear hand is driven straight through with hips and shoulders."""
    count = _repeats(cue)
    if cue.guard:
        k.stand(*STAGGERED)
    for _ in range(count):
        k.key(6, rh=(0.12, -0.12, 0.05), lh=(-0.15, 0.02, 0.50), sw=-0.70, pw=-0.20, pz=-0.06, py=0.96)
        k.key(4.5, snap=0.6, rh=(-0.26, 0.02, 0.97 * cue.size), lh=(-0.10, 0.0, 0.22), re=0.2, sw=0.85, pw=0.45,
              pz=0.17, sp=0.24, py=0.93)  # fmt: skip
        k.key(2)
        k.key(6.5, cue.ready)
    return {"n": times(cue, count)}


def hook_punch(k: Track, cue: Cue) -> Words:
    """A bent arm swings in level from the side."""
    count = _repeats(cue)
    for _ in range(count):
        k.key(5.5, rh=(0.62, -0.05, -0.02), re=0.85, sw=-0.65, pw=-0.20, lh=(-0.15, 0.0, 0.38))
        k.key(3, rh=(0.52, 0.05, 0.52), re=1.0, sw=0.0, pw=0.05, snap=0.5)
        k.key(3, rh=(-0.52, 0.06, 0.52), re=1.0, sw=0.85, pw=0.35, pz=0.08)
        k.key(1.5)
        k.key(6, cue.ready)
    return {"n": times(cue, count)}


def uppercut(k: Track, cue: Cue) -> Words:
    """The fist drops to the hip and drives upwards under the chin."""
    count = _repeats(cue)
    for _ in range(count):
        k.key(6, rh=(0.10, -0.72, -0.02), sw=-0.45, sl=-0.20, sp=0.30, py=0.87, lh=(-0.15, 0.0, 0.38))
        k.key(4.5, snap=0.6, rh=(-0.20, 0.50, 0.42), re=0.1, sw=0.55, sl=0.05, sp=-0.12, py=1.01, pz=0.08)
        k.key(2)
        k.key(6.5, cue.ready)
    return {"n": times(cue, count)}


def elbow_strike(k: Track, cue: Cue) -> Words:
    """The folded arm is whipped across, elbow first."""
    count = _repeats(cue)
    for _ in range(count):
        k.key(5.5, rh=(-0.05, 0.02, 0.24), re=1.0, sw=-0.75, pw=-0.20, lh=(-0.15, -0.10, 0.35))
        k.key(4.5, snap=0.6, rh=(-0.42, 0.06, 0.14), re=1.0, sw=0.95, pw=0.40, pz=0.18, sp=0.22, py=0.94)
        k.key(2)
        k.key(6.5, cue.ready)
    return {"n": times(cue, count)}


def overhand_slash(k: Track, cue: Cue) -> Words:
    """One arm goes high overhead and chops down to the hip."""
    count = _repeats(cue)
    for _ in range(count):
        k.key(7, rh=(0.15, 0.88, -0.15), re=0.5, sp=-0.18, sw=-0.35, pz=-0.04, lh=(-0.05, -0.35, 0.40))
        k.key(4.5, snap=0.6, rh=(-0.22, -0.62, 0.58), re=0.2, sp=0.52, sw=0.45, pz=0.10, py=0.90)
        k.key(2)
        k.key(6.5, cue.ready)
    return {"n": times(cue, count)}


def pound(k: Track, cue: Cue) -> Words:
    """Both fists hammer down together again and again."""
    count = pick(cue.rng, (2, 3, 3, 4))
    for _ in range(count):
        k.key(5.5, lh=(-0.12, 0.70, 0.25), rh=(-0.12, 0.70, 0.25), le=0.4, re=0.4, sp=-0.10, py=0.99)
        k.key(4, snap=0.6, lh=(-0.20, -0.45, 0.62), rh=(-0.20, -0.45, 0.62), le=0.2, re=0.2, sp=0.48, py=0.91)
        k.key(1.5)
    k.key(6, cue.ready)
    return {"n": times(cue, count)}


_PACES = ("", "", "fast")
STRIKES = (
    Action("front kick", True, front_kick, paces=_PACES),
    Action("side kick", True, side_kick, paces=_PACES),
    Action("roundhouse kick", True, roundhouse_kick, paces=_PACES),
    Action("back kick", True, back_kick, paces=_PACES),
    Action("knee strike", True, knee_strike, paces=_PACES),
    Action("stomp", True, stomp, paces=_PACES),
    Action("jab", True, jab, paces=_PACES),
    Action("cross", True, cross, paces=_PACES),
    Action("hook", True, hook_punch, paces=_PACES),
    Action("uppercut", True, uppercut, paces=_PACES),
    Action("elbow strike", True, elbow_strike, paces=_PACES),
    Action("overhand slash", True, overhand_slash, paces=_PACES),
    Action("pound", True, pound, paces=_PACES),
)
