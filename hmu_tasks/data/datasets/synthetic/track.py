"""The track of a clip: keyframes of posture channels, steps, flights and labels, and its rendering into joints."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from hmu_tasks.data.datasets.synthetic.body import (
    ANKLE_HEIGHT,
    TOE_HEIGHT,
    Array,
    Body,
    Posture,
    Smoother,
    pose,
)

FPS = 20.0

# (channel, width, sign under mirroring, channel on the other side)
_LAYOUT = (
    ("ahead", 1, 1.0, "ahead"),  # m/s forward
    ("aside", 1, -1.0, "aside"),  # m/s to the left
    ("spin", 1, -1.0, "spin"),  # rad/s to the left
    ("px", 1, -1.0, "px"),  # pelvis to the left, m
    ("pz", 1, 1.0, "pz"),  # pelvis forward, m
    ("py", 1, 1.0, "py"),  # pelvis height, 1 = relaxed standing
    ("pp", 1, 1.0, "pp"),  # pelvis pitch forwards
    ("pl", 1, -1.0, "pl"),  # pelvis lean to the left
    ("pw", 1, -1.0, "pw"),  # pelvis yaw to the left
    ("sp", 1, 1.0, "sp"),  # the same three for the spine
    ("sl", 1, -1.0, "sl"),
    ("sw", 1, -1.0, "sw"),
    ("hp", 1, 1.0, "hp"),  # head pitch and yaw
    ("hw", 1, -1.0, "hw"),
    ("lh", 3, 1.0, "rh"),  # hands: outwards, up, forward, in arm lengths from the shoulder
    ("rh", 3, 1.0, "lh"),
    ("le", 1, 1.0, "re"),  # elbow out
    ("re", 1, 1.0, "le"),
    ("lf", 3, 1.0, "rf"),  # free feet: outwards, up, forward, in leg lengths from the hip
    ("rf", 3, 1.0, "lf"),
    ("lw", 1, 1.0, "rw"),  # weight of the free foot
    ("rw", 1, 1.0, "lw"),
    ("lk", 1, 1.0, "rk"),  # knee turned out
    ("rk", 1, 1.0, "lk"),
    ("lt", 1, 1.0, "rt"),  # toe pointed
    ("rt", 1, 1.0, "lt"),
)


def _columns() -> tuple[dict[str, slice], dict[str, tuple[slice, float]], int]:
    straight: dict[str, slice] = {}
    first = 0
    for name, width, _, _ in _LAYOUT:
        straight[name] = slice(first, first + width)
        first += width
    return straight, {name: (straight[other], sign) for name, _, sign, other in _LAYOUT}, first


_STRAIGHT, _MIRRORED, WIDTH = _columns()
Value = float | tuple[float, float, float]
Pose = dict[str, Value]


@dataclass(frozen=True)
class Step:
    """One step of a foot from lift-off to landing, in frames at 20 fps.

    The foot lands (ahead, out) metres from the travelling frame's position at frame `reference`, turned outwards by
    `yaw`; the heel starts to rise over the toe `heel` frames before `start`.
    """

    foot: int
    start: float
    end: float
    reference: float
    ahead: float
    out: float
    lift: float
    heel: float = 0.0
    yaw: float = 0.0


@dataclass
class Track:
    """Keyframes of a clip, written in order; `flip` swaps left and right, `tempo` above 1 shortens what is written."""

    body: Body
    first: Pose
    stance: list[tuple[float, float]]
    flip: bool = False
    tempo: float = 1.0
    now: float = 0.0
    times: list[float] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)
    snaps: list[float] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    flights: list[tuple[float, float, float]] = field(default_factory=list)
    labels: list[tuple[float, int]] = field(default_factory=list)
    opening: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.opening = list(self.stance)
        self.times, self.values, self.snaps = [0.0], [np.zeros(WIDTH)], [0.0]
        self._set(self.values[0], self.first)

    def _set(self, row: Array, pose: Pose) -> None:
        if self.flip:
            for name, value in pose.items():
                place, sign = _MIRRORED[name]
                row[place] = value if sign > 0 else -np.asarray(value)
        else:
            for name, value in pose.items():
                row[_STRAIGHT[name]] = value

    def key(self, frames: float, pose: Pose | None = None, *, snap: float = 0.0, **channels: Value) -> None:
        """Add a keyframe `frames` (at tempo 1) from now; channels not given keep their value.

        snap: 0 eases in and out, 1 accelerates to the end.
        """
        row = self.values[-1].copy()
        if pose is not None:
            self._set(row, pose)
        self._set(row, channels)
        self.now += frames / self.tempo
        self.times.append(self.now)
        self.values.append(row)
        self.snaps.append(snap)

    def mark(self, label: int) -> None:
        """Label frames from now on with this action id."""
        self.labels.append((self.now, label))

    def step(
        self,
        foot: str,
        delay: float,
        frames: float,
        *,
        ahead: float,
        out: float,
        lift: float = 0.06,
        **rest: float,
    ) -> None:
        """Lift foot "l" or "r" `delay` frames from now; it lands `frames` later at (ahead, out) of the body then."""
        side = (0 if foot == "l" else 1) ^ int(self.flip)
        start = self.now + delay / self.tempo
        end = start + frames / self.tempo
        reference = end + rest.pop("later", 0.0) / self.tempo
        heel = rest.pop("heel", 0.0) / self.tempo
        self.stance[side] = (ahead, out)
        self.steps.append(Step(side, start, end, reference, ahead, out, lift, heel=heel, **rest))

    def stand(self, left: tuple[float, float], right: tuple[float, float]) -> None:
        """Move the feet to a stance with quick small steps, unless they are nearly there."""
        wanted = (right, left) if self.flip else (left, right)
        delay = 0.0
        for side, (ahead, out) in enumerate(wanted):
            gone = np.hypot(self.stance[side][0] - ahead, self.stance[side][1] - out)
            if gone > 0.06:
                foot = "lr"[side ^ int(self.flip)]
                self.step(foot, delay, 6.0, ahead=ahead, out=out, lift=0.05, later=0.0)
                delay += 6.5

    def fly(self, start: float, end: float, height: float) -> None:
        """Raise the whole body on a parabola between `start` and `end` frames from now (at tempo 1)."""
        self.flights.append((self.now + start / self.tempo, self.now + end / self.tempo, height))


def _curves(track: Track, n: int) -> Array:
    """Interpolate all channels at frames 0 to n - 1: [n, WIDTH]."""
    times, values, snaps = np.array(track.times), np.array(track.values), np.array(track.snaps)
    frames = np.arange(n, dtype=np.float64)
    left = np.clip(np.searchsorted(times, frames, side="right") - 1, 0, len(times) - 2)
    u = np.clip((frames - times[left]) / np.maximum(times[left + 1] - times[left], 1e-6), 0.0, 1.0)
    snap = snaps[left + 1]
    eased = (1.0 - snap) * u * u * (3.0 - 2.0 * u) + snap * u * u
    curve: Array = values[left] + eased[:, None] * (values[left + 1] - values[left])
    for name in ("lh", "rh"):
        bulge = _around_shoulder(values[:, _STRAIGHT[name]])[left]
        curve[:, _STRAIGHT[name]] += (4.0 * bulge * eased * (1.0 - eased))[:, None] * _FORWARD
    return curve


_FORWARD = np.array([0.45, 0.0, 0.90])
_CLEARANCE = 0.50  # arm lengths


def _around_shoulder(hands: Array) -> Array:
    """How far each straight path between hand keyframes [k, 3] must bulge forward to clear the shoulder: [k - 1]."""
    path = np.diff(hands, axis=0)
    length = np.maximum((path**2).sum(axis=1), 1e-9)
    nearest = np.clip(-(hands[:-1] * path).sum(axis=1) / length, 0.0, 1.0)
    closest = np.sqrt(((hands[:-1] + nearest[:, None] * path) ** 2).sum(axis=1))
    ends = np.sqrt((hands**2).sum(axis=1))
    # Only paths that pass the shoulder count, not hands that rest near it.
    spared = np.minimum(np.minimum(ends[:-1], ends[1:]), _CLEARANCE)
    bulge: Array = np.maximum(spared - closest, 0.0)
    return bulge


def _drift(rng: np.random.Generator, n: int) -> Array:
    """Slow small drift [n, WIDTH] of hands, spine and head, so that no two clips stand alike."""
    out = np.zeros((n, WIDTH))
    rate = rng.uniform(0.15, 0.7, (2, 11)) * (2.0 * np.pi / FPS)
    phase = rng.uniform(0.0, 2.0 * np.pi, (2, 11))
    size = np.array([0.012] * 6 + [0.012, 0.012, 0.02, 0.02, 0.04]) * rng.uniform(0.3, 1.0, 11)
    frames = np.arange(n)[:, None]
    waves = (np.sin(rate[0] * frames + phase[0]) + np.sin(rate[1] * frames + phase[1])) * size
    out[:, 14:20] = waves[:, :6]
    out[:, 9:14] = waves[:, 6:]
    return out


@dataclass(frozen=True)
class _Feet:
    place: Array  # [n, 2, 3] ankles in world coordinates
    pitch: Array  # [n, 2]
    yaw: Array  # [n, 2] in world coordinates


def _play_steps(track: Track, path: Array, heading: Array) -> _Feet:
    n = len(path)
    place, pitch, yaw = np.zeros((n, 2, 3)), np.zeros((n, 2)), np.zeros((n, 2))
    body = track.body
    flat = body.foot_forward
    rest = np.arctan2(ANKLE_HEIGHT - TOE_HEIGHT, flat)
    for side, sign in ((0, 1.0), (1, -1.0)):
        ahead, out = track.opening[side]
        at = np.array([path[0, 0] + sign * out, ANKLE_HEIGHT, path[0, 1] + ahead])
        turn = float(heading[0])
        place[:, side], yaw[:, side] = at, turn
        free = 0
        for step in sorted((s for s in track.steps if s.foot == side), key=lambda s: s.start):
            start = max(round(step.start), free)
            if start >= n - 1:
                break
            end = max(round(step.end), start + 3)
            free = end
            reference = min(round(step.reference), n - 1)
            facing = float(heading[reference])
            c, s = np.cos(facing), np.sin(facing)
            goal = np.array(
                [
                    path[reference, 0] + sign * step.out * c + step.ahead * s,
                    ANKLE_HEIGHT,
                    path[reference, 1] - sign * step.out * s + step.ahead * c,
                ]
            )
            goal_turn = facing + sign * step.yaw
            begin, tilt = at, 0.0
            heel = min(round(step.heel), start)
            if heel > 1:
                # The heel rises over the planted toe, which carries the ankle up and forward.
                tilt = 0.75
                u = np.linspace(0.0, 1.0, heel + 1)
                angle = tilt * u * u
                run = flat - body.foot * np.cos(rest + angle)
                toe = turn + 0.12 * sign
                rising = np.stack(
                    [
                        at[0] + run * np.sin(toe),
                        TOE_HEIGHT + body.foot * np.sin(rest + angle),
                        at[2] + run * np.cos(toe),
                    ],
                    axis=1,
                )
                place[start - heel : start + 1, side] = rising
                pitch[start - heel : start + 1, side] = angle
                begin = rising[-1]
            u = np.arange(1, end - start + 1) / (end - start)
            eased = u * u * (3.0 - 2.0 * u)
            stop = min(end + 1, n)
            kept = stop - start - 1
            moving = begin + eased[:, None] * (goal - begin)
            moving[:, 1] += step.lift * 4.0 * u * (1.0 - u)
            place[start + 1 : stop, side] = moving[:kept]
            pitch[start + 1 : stop, side] = (tilt * (1.0 - u) ** 2 + 0.12 * np.sin(np.pi * u))[:kept]
            yaw[start + 1 : stop, side] = (turn + eased * (goal_turn - turn))[:kept]
            place[stop:, side], yaw[stop:, side] = goal, goal_turn
            at, turn = goal, goal_turn
    return _Feet(place, pitch, yaw)


def play(track: Track, frames: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Render a track into joints.

    frames: number of joint frames n. Returns [n, 22, 3] in metres, Y up, starting at the origin facing +Z.
    """
    n = frames
    curve: Array = gaussian_filter1d(_curves(track, n), 0.8, axis=0, mode="nearest") + _drift(rng, n)

    def column(name: str) -> Array:
        return curve[:, _STRAIGHT[name]]

    heading = np.concatenate([[0.0], np.cumsum(column("spin")[:-1, 0]) / FPS])
    c, s = np.cos(heading), np.sin(heading)
    ahead, aside = column("ahead")[:, 0], column("aside")[:, 0]
    speed = np.stack([aside * c + ahead * s, -aside * s + ahead * c], axis=1) / FPS
    path = np.concatenate([np.zeros((1, 2)), np.cumsum(speed[:-1], axis=0)])
    feet = _play_steps(track, path, heading)
    shift = feet.place[..., [0, 2]] - path[:, None]
    ankles = feet.place.copy()
    ankles[..., 0] = shift[..., 0] * c[:, None] - shift[..., 1] * s[:, None]
    ankles[..., 2] = shift[..., 0] * s[:, None] + shift[..., 1] * c[:, None]

    pelvis = np.concatenate([column("px"), column("py") * track.body.standing, column("pz")], axis=1)
    hip, spine = curve[:, 6:9], curve[:, 9:12]
    turns = np.stack([hip, hip + 0.35 * spine, hip + 0.7 * spine, hip + spine, hip + spine], axis=1)
    turns[:, 4, [0, 2]] += curve[:, 12:14]
    posture = Posture(
        pelvis=pelvis,
        turns=turns,
        hands=np.stack([column("lh"), column("rh")], axis=1),
        elbows=np.concatenate([column("le"), column("re")], axis=1),
        ankles=ankles,
        foot_pitch=feet.pitch,
        foot_yaw=feet.yaw - heading[:, None],
        kicks=np.stack([column("lf"), column("rf")], axis=1),
        weight=np.concatenate([column("lw"), column("rw")], axis=1),
        knee_out=np.concatenate([column("lk"), column("rk")], axis=1),
        toe_point=np.concatenate([column("lt"), column("rt")], axis=1),
    )
    local = pose(track.body, posture, Smoother())
    for start, end, height in track.flights:
        u = np.clip((np.arange(n) - start) / (end - start), 0.0, 1.0)
        local[..., 1] += (4.0 * height * u * (1.0 - u))[:, None]
    joints = np.empty((n, 22, 3), np.float32)
    joints[..., 0] = local[..., 0] * c[:, None] + local[..., 2] * s[:, None] + path[:, :1]
    joints[..., 1] = local[..., 1]
    joints[..., 2] = -local[..., 0] * s[:, None] + local[..., 2] * c[:, None] + path[:, 1:]
    return joints
