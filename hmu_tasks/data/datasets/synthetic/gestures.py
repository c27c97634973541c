"""Safe actions of the arms and hands; many resemble a blow, but are slower, held or aimed elsewhere."""

from hmu_tasks.data.datasets.synthetic.moves import FIGHTING, STAGGERED, Action, Cue, Words, pick, times
from hmu_tasks.data.datasets.synthetic.track import Track


def reach(k: Track, cue: Cue) -> Words:
    """Stretch one arm forward as if to take something, stay, and come back."""
    word, height = pick(cue.rng, (("", 0.02), ("", -0.05), ("low", -0.40), ("up", 0.42)))
    k.key(5, cue.ready)
    k.key(11, rh=(-0.05, height, 0.93 * cue.size), sp=0.16, sw=0.22, pz=0.05)
    k.key(cue.near(7, 12))
    k.key(11, cue.ready)
    return {"h": word}


def reach_up(k: Track, cue: Cue) -> Words:
    """Reach to a high shelf."""
    k.key(5, cue.ready)
    k.key(12, rh=(-0.02, 0.94, 0.22), sl=0.12, hp=-0.35, py=1.01)
    k.key(cue.near(8, 14))
    k.key(11, cue.ready)
    return {}


def push_door(k: Track, cue: Cue) -> Words:
    """Lay both hands on a door and lean into it while stepping."""
    k.key(9, cue.ready, lh=(-0.05, 0.05, 0.50), rh=(-0.05, 0.05, 0.50))
    k.step("r", 0.0, 10.0, ahead=0.25, out=0.11, lift=0.05)
    k.key(14, lh=(-0.02, 0.10, 0.93), rh=(-0.02, 0.10, 0.93), sp=0.30, pz=0.14, py=0.95)
    k.key(8, sp=0.36, pz=0.18)
    k.step("r", 0.0, 9.0, ahead=0.0, out=0.10, lift=0.05)
    k.key(11, cue.ready)
    return {}


def high_five(k: Track, cue: Cue) -> Words:
    """Lift an open hand above the head in front, meet another, hold, and lower it."""
    count = pick(cue.rng, (1, 1, 2))
    k.key(4, cue.ready)
    k.key(8, rh=(0.10, 0.62, 0.10), re=0.4, sw=-0.15)
    for i in range(count):
        if i:
            k.key(5, rh=(0.10, 0.60, 0.20))
        k.key(5, rh=(-0.02, 0.74, 0.60), sw=0.18, sp=0.04)
        k.key(5)
    k.key(10, cue.ready)
    return {"n": times(cue, count)}


def throw(k: Track, cue: Cue) -> Words:
    """Wind up behind the head, hurl, and follow through across the body."""
    k.key(4, cue.ready)
    k.step("l", 6.0, 8.0, ahead=0.32, out=0.11, lift=0.07)
    k.key(11, rh=(0.45, 0.30, -0.50), re=0.7, lh=(0.0, 0.05, 0.75), sw=-0.80, sp=-0.12, pz=-0.05)
    k.key(4, snap=0.3, rh=(0.10, 0.75, 0.45), re=0.5, sw=0.10, pz=0.08)
    k.key(4, rh=(-0.35, -0.40, 0.65), lh=(0.2, -0.8, -0.1), sw=0.70, sp=0.30, pz=0.14, re=0.1)
    k.key(9, rh=(-0.30, -0.70, 0.45), sp=0.25)
    k.step("l", 0.0, 9.0, ahead=0.0, out=0.10, lift=0.05)
    k.key(11, cue.ready)
    return {}


def wave(k: Track, cue: Cue) -> Words:
    """Wave a raised hand from side to side."""
    count = int(cue.near(3, 6.99))
    k.key(4, cue.ready)
    k.key(9, rh=(0.28, 0.48, 0.25), re=0.3)
    for _ in range(count):
        k.key(4.5, rh=(0.48, 0.42, 0.20))
        k.key(4.5, rh=(0.08, 0.52, 0.25))
    k.key(10, cue.ready)
    return {}


def clap(k: Track, cue: Cue) -> Words:
    """Clap both hands in front of the chest."""
    count = int(cue.near(3, 7.99))
    k.key(4, cue.ready)
    k.key(8, lh=(0.08, -0.18, 0.50), rh=(0.08, -0.18, 0.50), le=0.3, re=0.3)
    for _ in range(count):
        k.key(3.5, lh=(-0.33, -0.15, 0.55), rh=(-0.33, -0.15, 0.55))
        k.key(3.5, lh=(0.12, -0.18, 0.50), rh=(0.12, -0.18, 0.50))
    k.key(9, cue.ready)
    return {}


def golf_swing(k: Track, cue: Cue) -> Words:
    """Swing both hands in a low wide arc from one side to the other."""
    count = pick(cue.rng, (1, 1, 2))
    k.stand((0.0, 0.18), (0.0, 0.18))
    k.key(9, cue.ready, lh=(-0.30, -0.72, 0.45), rh=(-0.30, -0.72, 0.45), sp=0.42, py=0.94, hp=0.25)
    for _ in range(count):
        k.key(12, lh=(-0.75, 0.05, 0.25), rh=(0.35, 0.10, 0.05), sw=-1.0, pw=-0.25, px=-0.05)
        k.key(5, snap=0.3, lh=(-0.30, -0.74, 0.42), rh=(-0.30, -0.74, 0.42), sw=0.05, pw=0.0, px=0.0)
        k.key(5, lh=(0.35, 0.20, 0.05), rh=(-0.75, 0.15, 0.25), sw=1.1, pw=0.45, px=0.06, sp=0.22, hp=0.0)
        k.key(8)
        k.key(9, lh=(-0.30, -0.72, 0.45), rh=(-0.30, -0.72, 0.45), sw=0.0, pw=0.0, px=0.0, sp=0.40)
    k.stand((0.0, 0.10), (0.0, 0.10))
    k.key(13, cue.ready)
    return {"n": times(cue, count)}


def raise_arms(k: Track, cue: Cue) -> Words:
    """Raise both arms overhead and lower them."""
    count = pick(cue.rng, (1, 1, 2, 3))
    k.key(4, cue.ready)
    for _ in range(count):
        k.key(6, lh=(0.92, 0.0, 0.15), rh=(0.92, 0.0, 0.15))
        k.key(6, lh=(0.12, 0.95, 0.05), rh=(0.12, 0.95, 0.05), hp=-0.2)
        k.key(5)
        k.key(6, lh=(0.92, 0.0, 0.15), rh=(0.92, 0.0, 0.15), hp=0.0)
        k.key(6, cue.ready)
    return {"n": times(cue, count)}


def raise_arm(k: Track, cue: Cue) -> Words:
    """Raise one straight arm to the side and lower it."""
    count = pick(cue.rng, (1, 2, 3))
    k.key(4, cue.ready)
    for _ in range(count):
        k.key(9, rh=(0.95, 0.05, 0.10))
        k.key(4)
        k.key(9, rh=(0.15, -0.93, 0.08))
    k.key(4, cue.ready)
    return {"n": times(cue, count)}


def arm_circles(k: Track, cue: Cue) -> Words:
    """Draw big circles with one straight arm beside the body."""
    count = pick(cue.rng, (2, 3, 4))
    k.key(4, cue.ready)
    k.key(5, rh=(0.20, -0.90, 0.05))
    for _ in range(count):
        k.key(4.5, rh=(0.20, 0.0, 0.92))
        k.key(4.5, rh=(0.15, 0.93, 0.05))
        k.key(4.5, rh=(0.50, 0.0, -0.72))
        k.key(4.5, rh=(0.20, -0.92, 0.0))
    k.key(5, cue.ready)
    return {"n": times(cue, count)}


def point(k: Track, cue: Cue) -> Words:
    """Point forward or to the side and keep the arm there."""
    aside = cue.chance(0.5)
    k.key(4, cue.ready)
    place = (0.93, 0.12, 0.22) if aside else (0.02, 0.12, 0.95)
    k.key(8, rh=place, hw=-0.6 if aside else 0.0)
    k.key(cue.near(14, 22))
    k.key(9, cue.ready)
    return {"d": "to the {S}" if aside else "forward"}


def drink(k: Track, cue: Cue) -> Words:
    """Lift a cup to the mouth, tip it, lower it."""
    k.key(4, cue.ready)
    k.key(9, rh=(-0.02, -0.45, 0.45))
    k.key(9, rh=(-0.24, 0.24, 0.30), re=0.5)
    k.key(5, hp=-0.30, re=0.7)
    k.key(cue.near(8, 14))
    k.key(6, hp=0.0)
    k.key(11, cue.ready)
    return {}


def knock(k: Track, cue: Cue) -> Words:
    """Tap a door with small movements of one hand."""
    count = pick(cue.rng, (3, 4))
    k.key(4, cue.ready)
    k.key(9, rh=(-0.02, 0.10, 0.52), re=0.1)
    for _ in range(count):
        k.key(3, rh=(-0.02, 0.08, 0.66))
        k.key(3, rh=(-0.02, 0.13, 0.50))
    k.key(10, cue.ready)
    return {"n": times(cue, count)}


def shake_hands(k: Track, cue: Cue) -> Words:
    """Offer a hand at waist height and shake it up and down."""
    count = int(cue.near(3, 5.99))
    k.key(4, cue.ready)
    k.key(9, rh=(-0.08, -0.45, 0.68), sp=0.08)
    for _ in range(count):
        k.key(3.5, rh=(-0.08, -0.33, 0.68))
        k.key(3.5, rh=(-0.08, -0.53, 0.66))
    k.key(9, cue.ready)
    return {}


def scratch(k: Track, cue: Cue) -> Words:
    """Scratch the head."""
    count = int(cue.near(4, 7.99))
    k.key(4, cue.ready)
    k.key(10, rh=(-0.12, 0.55, 0.10), re=0.8, hp=0.10)
    for _ in range(count):
        k.key(2.5, rh=(-0.12, 0.49, 0.14))
        k.key(2.5, rh=(-0.12, 0.58, 0.06))
    k.key(10, cue.ready)
    return {}


def guard(k: Track, cue: Cue) -> Words:
    """Stand with both hands raised before the face and sway."""
    k.stand(*STAGGERED)
    k.key(8, FIGHTING)
    for _ in range(int(cue.near(2, 4.99))):
        k.key(7, px=0.04, pz=0.02, py=0.95)
        k.key(7, px=-0.04, pz=-0.02, py=0.97)
    k.key(6, cue.ready)
    return {}


HANDS = (
    Action("reach", False, reach),
    Action("reach up", False, reach_up),
    Action("push a door", False, push_door),
    Action("high-five", False, high_five),
    Action("throw", False, throw),
    Action("wave", False, wave, weight=1.2),
    Action("clap", False, clap),
    Action("golf swing", False, golf_swing, paces=("", "", "fast")),
    Action("raise both arms", False, raise_arms),
    Action("raise one arm", False, raise_arm),
    Action("arm circles", False, arm_circles),
    Action("point", False, point, paces=("",)),
    Action("drink", False, drink),
    Action("knock", False, knock),
    Action("shake hands", False, shake_hands),
    Action("scratch the head", False, scratch),
    Action("guard", False, guard, paces=("",)),
)
