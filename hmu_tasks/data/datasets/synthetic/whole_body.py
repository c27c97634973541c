"""Safe whole-body actions on the spot: bending, sitting, stretching, dancing, standing."""

from hmu_tasks.data.datasets.synthetic.moves import FIGHTING, HANG, STAGGERED, Action, Cue, Words, pick, times
from hmu_tasks.data.datasets.synthetic.track import Track


def stand(k: Track, cue: Cue) -> Words:
    """Stand and shift weight slightly."""
    k.key(6, cue.ready)
    for _ in range(int(cue.near(1, 3.99))):
        k.key(12, px=cue.near(-0.03, 0.03), hw=cue.near(-0.15, 0.15))
    k.key(6, cue.ready)
    return {}


def squat(k: Track, cue: Cue) -> Words:
    """Bend the knees deeply and rise again."""
    count = pick(cue.rng, (1, 2, 3))
    k.stand((0.0, 0.16), (0.0, 0.16))
    k.key(6, cue.ready)
    for _ in range(count):
        k.key(10, py=0.56, pz=-0.14, pp=0.40, sp=0.15, lh=(0.0, 0.02, 0.85), rh=(0.0, 0.02, 0.85))
        k.key(3)
        k.key(10, cue.ready)
    return {"n": times(cue, count)}


def sit(k: Track, cue: Cue) -> Words:
    """Sit down on a chair, stay, and get up."""
    k.key(5, cue.ready)
    k.key(8, py=0.85, pz=-0.08, sp=0.45, lh=(0.05, -0.6, 0.5), rh=(0.05, -0.6, 0.5))
    k.key(10, py=0.53, pz=-0.36, sp=0.10, pp=0.0, lh=(0.05, -0.62, 0.45), rh=(0.05, -0.62, 0.45))
    k.key(cue.near(12, 25))
    k.key(7, py=0.62, pz=-0.28, sp=0.60)
    k.key(11, cue.ready)
    return {}


def bow(k: Track, cue: Cue) -> Words:
    """Bend the upper body forward politely and come up."""
    k.key(5, cue.ready)
    k.key(11, pp=0.45, sp=0.55, hp=0.15, pz=-0.10, lh=(0.08, -0.95, 0.08), rh=(0.08, -0.95, 0.08))
    k.key(cue.near(4, 9))
    k.key(11, cue.ready)
    return {}


def pick_up(k: Track, cue: Cue) -> Words:
    """Bend down, take something from the floor with one hand, and stand up."""
    k.key(5, cue.ready)
    k.key(13, py=0.66, pz=-0.10, pp=0.65, sp=0.55, rh=(-0.05, -0.93, 0.30), lh=(0.1, -0.75, 0.25), sw=0.15)
    k.key(5)
    k.key(12, cue.ready, rh=(-0.05, -0.45, 0.50))
    k.key(6)
    k.key(7, cue.ready)
    return {}


def stretch_leg(k: Track, cue: Cue) -> Words:
    """Raise one straight leg slowly to the front or side and hold it."""
    aside = cue.chance(0.4)
    k.key(5, cue.ready, lh=(0.55, -0.45, 0.1), rh=(0.55, -0.45, 0.1))
    place = (0.62, -0.74, 0.05) if aside else (0.02, -0.62, 0.74)
    k.key(14, rw=1.0, rf=place, rt=0.5, px=0.08, pl=0.15 if aside else 0.0, pp=0.0 if aside else -0.15)
    k.key(cue.near(10, 18))
    k.key(13, cue.ready, rw=0.0, rf=HANG)
    return {"d": "to the side" if aside else "to the front"}


def balance(k: Track, cue: Cue) -> Words:
    """Stand on one leg with arms spread."""
    k.key(5, cue.ready)
    k.key(10, rw=1.0, rf=(-0.02, -0.58, 0.15), rt=0.6, px=0.08, lh=(0.92, 0.05, 0.1), rh=(0.92, 0.05, 0.1))
    for _ in range(int(cue.near(2, 3.99))):
        k.key(7, sl=0.08)
        k.key(7, sl=-0.06)
    k.key(10, cue.ready, rw=0.0, rf=HANG)
    return {}


def sway_dance(k: Track, cue: Cue) -> Words:
    """Dance on the spot: hips and arms swing from side to side."""
    count = int(cue.near(3, 5.99))
    k.stand((0.0, 0.14), (0.0, 0.14))
    k.key(6, cue.ready)
    for _ in range(count):
        k.key(7, px=0.09, pl=-0.10, sl=0.22, sw=0.30, py=0.94, lh=(0.60, 0.35, 0.25), rh=(0.10, -0.35, 0.50))
        k.key(
            7, px=-0.09, pl=0.10, sl=-0.22, sw=-0.30, py=0.96, rh=(0.60, 0.35, 0.25), lh=(0.10, -0.35, 0.50)
        )
    k.key(7, cue.ready)
    return {}


def side_bend(k: Track, cue: Cue) -> Words:
    """Bend the trunk sideways with one arm over the head."""
    count = pick(cue.rng, (1, 2, 3))
    k.stand((0.0, 0.15), (0.0, 0.15))
    k.key(5, cue.ready)
    for _ in range(count):
        k.key(10, sl=-0.60, pl=-0.08, px=0.05, lh=(-0.10, 0.92, 0.05), rh=(0.15, -0.85, 0.10))
        k.key(4)
        k.key(9, cue.ready)
    return {"n": times(cue, count)}


def twist(k: Track, cue: Cue) -> Words:
    """Twist the trunk from side to side with the hands before the chest."""
    count = pick(cue.rng, (2, 3, 4))
    k.stand((0.0, 0.14), (0.0, 0.14))
    k.key(7, cue.ready, lh=(-0.25, -0.10, 0.38), rh=(-0.25, -0.10, 0.38), le=0.9, re=0.9)
    for _ in range(count):
        k.key(7, sw=-0.85, pw=-0.15)
        k.key(7, sw=0.85, pw=0.15)
    k.key(9, cue.ready)
    return {"n": times(cue, count)}


def look_around(k: Track, cue: Cue) -> Words:
    """Turn the head to one side, then to the other."""
    k.key(5, cue.ready)
    k.key(9, hw=-0.95, sw=-0.35)
    k.key(7)
    k.key(13, hw=0.95, sw=0.35)
    k.key(7)
    k.key(9, cue.ready)
    return {}


def lunge(k: Track, cue: Cue) -> Words:
    """Step far forward with one leg, sink, and come back."""
    count = pick(cue.rng, (1, 2))
    k.key(5, cue.ready)
    for _ in range(count):
        k.step("r", 0.0, 9.0, ahead=0.62 * cue.size, out=0.10, lift=0.08)
        k.key(13, pz=0.30, py=0.70, lh=(0.30, -0.55, 0.0), rh=(0.30, -0.55, 0.0), le=0.5, re=0.5)
        k.key(5)
        k.step("r", 3.0, 9.0, ahead=0.0, out=0.10, lift=0.08)
        k.key(13, cue.ready)
    return {"n": times(cue, count)}


def jumping_jacks(k: Track, cue: Cue) -> Words:
    """Jump with legs apart and arms up, and back, several times."""
    count = pick(cue.rng, (2, 3, 4))
    k.key(5, cue.ready)
    for _ in range(count):
        for out, hands in ((0.32, (0.35, 0.88, 0.05)), (0.10, (0.15, -0.92, 0.08))):
            k.fly(1.0, 7.0, 0.08)
            k.step("l", 1.0, 6.0, ahead=0.0, out=out, lift=0.01)
            k.step("r", 1.0, 6.0, ahead=0.0, out=out, lift=0.01)
            k.key(4, py=0.97, lh=(0.90, 0.0, 0.1), rh=(0.90, 0.0, 0.1))
            k.key(4, py=0.95, lh=hands, rh=hands)
    k.key(5, cue.ready)
    return {"n": times(cue, count)}


def dodge(k: Track, cue: Cue) -> Words:
    """Duck under something from side to side with the hands up."""
    count = pick(cue.rng, (1, 2, 3))
    k.stand(*STAGGERED)
    k.key(8, FIGHTING)
    for _ in range(count):
        k.key(6, py=0.78, px=-0.10, sl=-0.35, sp=0.35)
        k.key(7, py=0.78, px=0.10, sl=0.35)
        k.key(6, FIGHTING)
    k.stand((0.0, 0.10), (0.0, 0.10))
    k.key(8, cue.ready)
    return {"n": times(cue, count)}


def shrug(k: Track, cue: Cue) -> Words:
    """Open both hands at the sides, as if unsure."""
    count = pick(cue.rng, (1, 2))
    k.key(5, cue.ready)
    for _ in range(count):
        k.key(7, lh=(0.48, -0.42, 0.35), rh=(0.48, -0.42, 0.35), sp=-0.05, hp=0.1)
        k.key(8)
        k.key(7, cue.ready)
    return {"n": times(cue, count)}


POSTURES = (
    Action("stand still", False, stand, weight=0.7, paces=("",)),
    Action("squat", False, squat),
    Action("sit", False, sit),
    Action("bow", False, bow),
    Action("pick up", False, pick_up),
    Action("stretch a leg", False, stretch_leg, paces=("slow", "")),
    Action("balance", False, balance, paces=("",)),
    Action("dance", False, sway_dance, weight=1.2),
    Action("side bend", False, side_bend),
    Action("twist", False, twist),
    Action("look around", False, look_around),
    Action("lunge", False, lunge),
    Action("jumping jacks", False, jumping_jacks, paces=("", "fast")),
    Action("dodge", False, dodge),
    Action("shrug", False, shrug),
)
