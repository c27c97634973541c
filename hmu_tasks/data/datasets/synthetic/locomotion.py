"""Safe actions that travel or turn; steps are planned so that a planted foot never slides."""

import numpy as np

from hmu_tasks.data.datasets.synthetic.moves import HANG, Action, Cue, Words, pick, times
from hmu_tasks.data.datasets.synthetic.track import FPS, Track, Value

_STRIDE = {"slow": 0.88, "": 1.0, "fast": 1.12}


def _gait(
    k: Track,
    *,
    steps: int,
    beat: float,
    ahead: float = 0.0,
    aside: float = 0.0,
    spin: float = 0.0,
    swing: float = 0.88,
    arms: float = 0.30,
    lift: float = 0.06,
    bounce: float = 0.012,
    heel: float = 0.35,
    bent: float = 0.12,
    lean: float = 0.0,
    knees: float = 0.0,
) -> None:
    """Alternate steps, right foot first, while the travelling frame moves at the given speeds (m/s, rad/s at tempo 1).

    beat: frames per step; swing: share of a beat that a foot is in the air; heel: share of a beat before lift-off
    during which the heel rises; arms: amplitude of the arm swing; bent: how far the elbows bend; knees: extra drop of
    the pelvis.
    """
    ahead, aside, spin = ahead * k.tempo, aside * k.tempo, spin * k.tempo
    low = 0.985 - knees
    k.key(2.0, _swing(arms, bent, 0.0), sp=lean, py=low)
    for i in range(steps):
        foot, sign = ("r", 1.0) if i % 2 == 0 else ("l", -1.0)
        # The last two steps end beside the position where the frame stops.
        later = {steps - 2: 1.95 * beat, steps - 1: 0.95 * beat}.get(i, (1.0 - 0.5 * swing) * beat)
        rising = heel * beat if i > 0 and ahead > 0.3 else 0.0
        k.step(foot, 0.1 * beat, swing * beat, ahead=0.0, out=0.09, lift=lift, later=later, heel=rising)
        going = {0: 0.55, steps - 1: 0.35}.get(i, 1.0)
        k.key(0.5 * beat, _swing(arms, bent, 0.0), ahead=ahead * going, aside=aside * going, spin=spin * going,
              py=low + bounce, sl=0.02 * sign, px=0.018 * sign)  # fmt: skip
        k.key(0.5 * beat, _swing(arms, bent, sign), py=low - bounce, sw=0.4 * arms * sign, pw=0.10 * sign,
              px=0.0, sl=0.0)  # fmt: skip
    k.key(
        0.8 * beat,
        _swing(0.0, 0.3 * bent, 0.0),
        ahead=0.0,
        aside=0.0,
        spin=0.0,
        sp=0.0,
        sw=0.0,
        pw=0.0,
        py=1.0,
    )


def _swing(arms: float, bent: float, phase: float) -> dict[str, Value]:
    """Hand positions at a phase of the arm swing: 1 has the left hand in front, -1 the right."""
    high = -0.93 + 0.55 * bent
    rest = 0.10 + 0.45 * bent

    def hand(forward: float) -> tuple[float, float, float]:
        return (
            0.12 - 0.05 * forward,
            high + 0.25 * arms * max(forward, 0.0) * (1.0 + bent),
            rest + arms * forward,
        )

    return {"lh": hand(phase), "rh": hand(-phase)}


def _beats(steps: int, beat: float) -> float:
    """Duration of `_gait` in equivalent seconds at full speed, ramps included."""
    return (steps - 1.05) * beat / FPS


def _steps(cue: Cue, low: int, high: int) -> int:
    return low + int(cue.rng.random() * (high - low + 1))


def walk(k: Track, cue: Cue) -> Words:
    """Walk straight ahead or diagonally."""
    slant = pick(cue.rng, (0.0, 0.0, -1.0))
    k.key(5, cue.ready)
    speed = 1.0 * _STRIDE[cue.pace] * cue.size
    _gait(k, steps=_steps(cue, 4, 7), beat=10.5, ahead=speed, aside=slant * 0.45 * speed,
          arms=0.26 * _STRIDE[cue.pace] ** 2)  # fmt: skip
    return {
        "d": "diagonally to the {S}" if slant else pick(cue.rng, ("forward", "forwards", "straight ahead"))
    }


def walk_back(k: Track, cue: Cue) -> Words:
    """Walk backwards."""
    k.key(5, cue.ready)
    _gait(k, steps=_steps(cue, 4, 7), beat=11.0, ahead=-0.72 * _STRIDE[cue.pace] * cue.size, arms=0.14)
    return {}


def walk_curve(k: Track, cue: Cue) -> Words:
    """Walk in a curve to the right."""
    k.key(5, cue.ready)
    steps = _steps(cue, 6, 9)
    wide = cue.chance(0.5)
    angle = cue.near(0.7, 0.9) if wide else cue.near(1.5, 2.1)
    spin = -angle / _beats(steps, 10.5)
    _gait(k, steps=steps, beat=10.5, ahead=0.92 * _STRIDE[cue.pace], spin=spin, arms=0.24)
    return {"d": "a wide curve" if wide else pick(cue.rng, ("a quarter circle", "an arc"))}


def jog(k: Track, cue: Cue) -> Words:
    """Run forward with bent arms."""
    k.key(4, cue.ready)
    _gait(k, steps=_steps(cue, 6, 11), beat=7.0, ahead=2.1 * _STRIDE[cue.pace] * cue.size, swing=1.1, arms=0.34,
          lift=0.16, bounce=0.025, bent=0.75, lean=0.14, heel=0.45, knees=0.03)  # fmt: skip
    return {}


def march(k: Track, cue: Cue) -> Words:
    """Lift the knees high in place."""
    beat, high = 9.5, (0.0, -0.50, 0.38 * cue.size)
    front, rear = (0.05, -0.60, 0.55), (0.15, -0.85, -0.20)
    k.key(5, cue.ready)
    for i in range(_steps(cue, 5, 9)):
        if i % 2 == 0:
            k.key(0.5 * beat, rw=1.0, rf=high, px=0.05, lh=front, rh=rear)
            k.key(0.5 * beat, rw=0.0, rf=HANG, px=0.0)
        else:
            k.key(0.5 * beat, lw=1.0, lf=high, px=-0.05, rh=front, lh=rear)
            k.key(0.5 * beat, lw=0.0, lf=HANG, px=0.0)
    k.key(5, cue.ready)
    return {}


# The official features lose the path where the heading crosses 180 degrees, so no turn goes that far.
_TURNS = (
    (0.70, 3, ("slightly", "a little")),
    (1.57, 5, ("ninety degrees", "a quarter turn_N")),
    (2.25, 6, ("around", "almost all the way around")),
)


def turn(k: Track, cue: Cue) -> Words:
    """Turn on the spot to the right with small steps."""
    angle, steps, words = pick(cue.rng, _TURNS)
    k.key(4, cue.ready, hw=-0.4)
    _gait(k, steps=steps, beat=6.5, spin=-angle / _beats(steps, 6.5), swing=0.7, arms=0.06, lift=0.05, heel=0.0,
          bounce=0.005)  # fmt: skip
    k.key(4, hw=0.0)
    return {"d": pick(cue.rng, words), "c": "counterclockwise" if k.flip else "clockwise"}


def sidestep(k: Track, cue: Cue) -> Words:
    """Shuffle sideways to the right."""
    count, beat = _steps(cue, 2, 4), 7.5
    speed = 0.40 * cue.size * FPS * k.tempo / (1.9 * beat)
    k.key(5, cue.ready)
    k.key(0.3 * beat, py=0.96)
    for i in range(count):
        k.step("r", 0.0, 0.8 * beat, ahead=0.0, out=0.16, lift=0.05, later=0.4 * beat)
        rest = 0.6 * beat if i < count - 1 else 1.2 * beat
        k.step(
            "l",
            0.95 * beat,
            0.8 * beat,
            ahead=0.0,
            out=0.10 if i == count - 1 else 0.04,
            lift=0.05,
            later=rest,
        )
        k.key(0.95 * beat, aside=-speed, py=0.96)
        k.key(0.95 * beat, aside=-speed, py=0.98)
    k.key(0.9 * beat, cue.ready)
    k.stand((0.0, 0.10), (0.0, 0.10))
    k.key(6)
    return {"n": {2: "twice", 3: "three times", 4: "four times"}[count]}


def jump(k: Track, cue: Cue) -> Words:
    """Jump straight up."""
    count = pick(cue.rng, (1, 1, 2, 3))
    height = cue.near(0.16, 0.34)
    k.key(5, cue.ready)
    flight = 2.0 * float(np.sqrt(2.0 * height / 9.81)) * FPS
    for _ in range(count):
        k.key(7, py=0.72, sp=0.35, lh=(0.15, -0.80, -0.45), rh=(0.15, -0.80, -0.45))
        k.key(4, snap=0.5, py=1.01, sp=0.0, lh=(0.10, 0.25, 0.85), rh=(0.10, 0.25, 0.85))
        k.fly(0.0, flight * k.tempo, height)
        k.key(flight * k.tempo * 0.9, lh=(0.3, -0.5, 0.45), rh=(0.3, -0.5, 0.45))
        k.key(4, py=0.80, sp=0.25)
        k.key(6, cue.ready)
    return {"n": times(cue, count), "h": "high" if height > 0.26 else ""}


def leap(k: Track, cue: Cue) -> Words:
    """Jump forward with both feet."""
    count = pick(cue.rng, (1, 2))
    k.key(5, cue.ready)
    for _ in range(count):
        far = cue.near(0.5, 0.9)
        flight = 9.0
        k.key(7, py=0.72, sp=0.40, lh=(0.15, -0.75, -0.50), rh=(0.15, -0.75, -0.50))
        k.fly(3.0, 3.0 + flight, 0.17)
        for foot in ("l", "r"):
            k.step(foot, 3.0, flight, ahead=0.0, out=0.11, lift=0.02, later=3.0)
        speed = far * FPS * k.tempo / (flight + 2.0)
        k.key(3, snap=0.4, py=0.96, lh=(0.10, 0.0, 0.85), rh=(0.10, 0.0, 0.85), ahead=speed)
        k.key(flight - 2.0, py=0.90, ahead=speed)
        k.key(3, py=0.80, sp=0.35, ahead=0.0, lh=(0.25, -0.6, 0.45), rh=(0.25, -0.6, 0.45))
        k.key(7, cue.ready)
    return {"n": times(cue, count)}


def step_over(k: Track, cue: Cue) -> Words:
    """Lift one leg after the other over an obstacle."""
    beat, speed, arms = 14.0, 0.48 * k.tempo, (0.40, -0.75, 0.2)
    k.key(5, cue.ready)
    for foot, side, later in (("r", 0.05, 1.5), ("l", -0.05, 0.5)):
        k.step(foot, 0.2 * beat, 0.75 * beat, ahead=0.0, out=0.10, lift=0.34 * cue.size, later=later * beat)
        k.key(0.5 * beat, ahead=speed, px=side, sp=0.14, hp=0.2, lh=arms, rh=arms)
        k.key(0.5 * beat, ahead=speed, px=0.0)
    k.key(0.5 * beat, cue.ready)
    return {}


def flick_pebble(k: Track, cue: Cue) -> Words:
    """A gentle kick at a pebble; harmless, although its sentence contains a keyword."""
    k.key(5, cue.ready)
    k.key(6, rw=1.0, rf=(0.03, -0.86, -0.22), rt=0.5, px=0.05)
    k.key(5, rf=(0.03, -0.88, 0.36), rt=0.4, hp=0.25)
    k.key(4, rf=(0.03, -0.90, 0.28))
    k.key(7, cue.ready, rw=0.0, rf=HANG)
    return {}


TRAVEL = (
    Action("walk", False, walk, weight=2.2),
    Action("walk backwards", False, walk_back, weight=1.2),
    Action("walk in a curve", False, walk_curve, weight=1.4),
    Action("jog", False, jog, weight=1.3),
    Action("march", False, march),
    Action("turn", False, turn, weight=1.6),
    Action("sidestep", False, sidestep),
    Action("jump", False, jump, paces=("",)),
    Action("jump forward", False, leap, paces=("",)),
    Action("step over", False, step_over, paces=("slow", "", "fast")),
    Action("flick a pebble", False, flick_pebble, weight=0.12, paces=("slow", "")),
)
