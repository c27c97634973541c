"""The embedded benchmark: bodies, floor, feet, labels, captions, twins, and determinism from one seed."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from running import processes_in

from hmu_tasks.data.datasets.synthetic.captions import mirrored
from hmu_tasks.data.datasets.synthetic.compose import ACTIONS, MAX_FRAMES, MIN_FRAMES, SyntheticClip, compose
from hmu_tasks.data.datasets.synthetic.lexicon import tag
from hmu_tasks.data.datasets.synthetic.writer import sample_clip, write_raw_folder
from hmu_tasks.data.motion.features import from_joints, mirror_joints
from hmu_tasks.data.motion.recovery import to_joints
from hmu_tasks.data.motion.skeleton import PARENTS
from hmu_tasks.runtime.errors import ConfigError, DataError

VIOLENT = np.array([action.violent for action in ACTIONS])
SEED = 5
KEYWORDS = ("kick", "punch", "hit", "beat", "boxe", "boxing", "jab", "uppercut", "hook")


@pytest.fixture(scope="module")
def clips() -> list[SyntheticClip]:
    return [sample_clip(SEED, "test", index, forget_share=0.5) for index in range(240)]


def _named(text: str) -> bool:
    return any(keyword in text for keyword in KEYWORDS)


def test_grammar_has_enough_actions() -> None:
    assert VIOLENT.sum() >= 10
    assert (~VIOLENT).sum() >= 20
    assert len({action.name for action in ACTIONS}) == len(ACTIONS)


def test_every_action_plays_on_both_sides_and_is_labelled() -> None:
    for number, action in enumerate(ACTIONS):
        for seed in range(4):
            clip = compose(np.random.default_rng([seed, number]), violent=action.violent, plan=[action])
            assert (clip.labels == number).sum() >= 8, action.name
            assert np.isfinite(clip.joints).all()


def test_frames_and_shapes(clips: list[SyntheticClip]) -> None:
    for clip in clips:
        frames = len(clip.labels)
        assert MIN_FRAMES <= frames <= MAX_FRAMES
        assert clip.joints.shape == (frames + 1, 22, 3)
        assert clip.joints.dtype == np.float32
        assert clip.labels.dtype == np.int16


def test_bones_keep_their_length_and_differ_between_clips(clips: list[SyntheticClip]) -> None:
    children, parents = np.arange(1, 22), np.array(PARENTS[1:])
    means = []
    for clip in clips:
        bones = np.linalg.norm(clip.joints[:, children] - clip.joints[:, parents], axis=-1)
        assert np.ptp(bones, axis=0).max() < 1e-5
        means.append(bones.mean(axis=0))
    spread = np.array(means) / np.mean(means, axis=0)
    assert spread.min() > 0.90
    assert spread.max() < 1.10
    assert spread.std(axis=0).min() > 0.01
    left, right = means[0][[0, 3, 6, 15, 17, 19]], means[0][[1, 4, 7, 16, 18, 20]]
    np.testing.assert_allclose(left, right, atol=1e-5)


def test_feet_stay_on_the_floor(clips: list[SyntheticClip]) -> None:
    assert min(clip.joints[..., 1].min() for clip in clips) > -0.02
    slides = []
    for clip in clips:
        toes = clip.joints[:, [10, 11]]
        low = toes[..., 1] < 0.035
        step = np.linalg.norm(np.diff(toes[..., [0, 2]], axis=0), axis=-1)
        slides.append(step[low[1:] & low[:-1]])
        assert low.any(axis=1).mean() > 0.3, clip.actions
    assert np.concatenate(slides).mean() < 0.005
    assert np.quantile(np.concatenate(slides), 0.99) < 0.02


def test_nothing_jumps(clips: list[SyntheticClip]) -> None:
    for clip in clips:
        assert np.linalg.norm(np.diff(clip.joints, axis=0), axis=-1).max() < 0.75, clip.actions
        assert np.linalg.norm(np.diff(clip.joints, 2, axis=0), axis=-1).max() < 0.65, clip.actions


def test_left_is_left_and_knees_bend_forward(clips: list[SyntheticClip]) -> None:
    for clip in clips:
        first = clip.joints[0]
        assert first[1, 0] > first[2, 0]
        assert first[16, 0] > first[17, 0]
    still = next(action for action in ACTIONS if action.name == "squat")
    joints = compose(np.random.default_rng(0), violent=False, plan=[still]).joints
    deep = joints[joints[:, 0, 1].argmin()]
    assert deep[4, 2] > max(deep[1, 2], deep[7, 2])


def test_features_recover_the_joints(clips: list[SyntheticClip]) -> None:
    for clip in clips[:20]:
        bones = np.linalg.norm(clip.joints[0, 4] - clip.joints[0, 1])
        recovered = to_joints(from_joints(clip.joints))
        assert np.abs(np.linalg.norm(recovered[:, 4] - recovered[:, 1], axis=-1) - bones).max() < 1e-4
        # No clip turns far enough for the official heading to flip and bend the recovered path.
        true = clip.joints[-2, 0, [0, 2]] - clip.joints[0, 0, [0, 2]]
        found = recovered[-1, 0, [0, 2]] - recovered[0, 0, [0, 2]]
        np.testing.assert_allclose(np.linalg.norm(true), np.linalg.norm(found), atol=1e-3)


def test_labels_agree_with_what_is_played(clips: list[SyntheticClip]) -> None:
    for clip in clips:
        played = {ACTIONS[number].name for number in set(clip.labels.tolist())}
        assert set(clip.actions) <= played <= {*clip.actions, "stand still", "guard"}
        assert VIOLENT[clip.labels].any() == clip.violent
        assert not VIOLENT[clip.labels[0]]
        assert not VIOLENT[clip.labels[-1]]


def test_violent_frames_move_fast(clips: list[SyntheticClip]) -> None:
    speeds: dict[bool, list[float]] = {True: [], False: []}
    for clip in clips:
        local = clip.joints - clip.joints[:, :1]
        speed = np.linalg.norm(np.diff(local[:, [7, 8, 20, 21]], axis=0), axis=-1).max(axis=1)
        speeds[clip.violent].append(float(np.quantile(speed, 0.98)))
    # The ranges overlap: a safe clip can be faster than many violent ones.
    assert np.median(speeds[True]) > np.median(speeds[False])
    assert np.quantile(speeds[False], 0.95) > np.quantile(speeds[True], 0.25)


def test_the_first_pose_does_not_reveal_violence() -> None:
    clips = [sample_clip(SEED, "val", index, forget_share=0.5) for index in range(400)]
    violent = np.array([clip.violent for clip in clips])
    wrists = np.array(
        [(clip.joints[0, 20, 1] + clip.joints[0, 21, 1]) / clip.joints[0, 15, 1] for clip in clips]
    )
    raised = wrists > 1.4
    shares = raised[violent].mean(), raised[~violent].mean()
    assert 0.25 < shares[1] < shares[0] + 0.10
    assert shares[0] < 0.60
    assert shares[0] - shares[1] < 0.20


def test_captions_are_three_lines_in_the_official_format(clips: list[SyntheticClip]) -> None:
    pattern = re.compile(r"^[a-z ,.]+#([a-z]+/[A-Z]+)( [a-z]+/[A-Z]+)*#0\.0#0\.0$")
    for clip in clips:
        assert len(clip.captions) == 3
        for caption in clip.captions:
            assert pattern.match(caption.line), caption.line
            assert len(caption.tokens.split()) == len(caption.text.split())


def test_tokens_are_lemmas() -> None:
    written, tokens = tag(["a", "man", "kicks", "with", "his", "left", "leg", "twice"])
    assert " ".join(written) == "a man kicks with his left leg twice"
    assert " ".join(tokens) == "a/DET man/NOUN kick/VERB with/ADP his/DET left/ADJ leg/NOUN twice/ADV"
    assert tag(["throws", "a", "kick_N", "to", "the", "left"])[1][2:] == [
        "kick/NOUN",
        "to/ADP",
        "the/DET",
        "left/NOUN",
    ]
    assert tag(["a", "hard", "kick_N"])[1][1] == "hard/ADJ"
    assert tag(["seen_V", "kicking_V", "hard"])[1] == ["see/VERB", "kick/VERB", "hard/ADV"]
    with pytest.raises(DataError, match="xylophone"):
        tag(["xylophone"])


def test_keyword_shares(clips: list[SyntheticClip]) -> None:
    veiled = []
    for clip in clips:
        hits = [_named(caption.text) for caption in clip.captions]
        if clip.violent:
            assert any(hits)
            veiled += [not hit for hit in hits]
        elif any(hits):
            text = next(caption.text for caption in clip.captions if _named(caption.text))
            assert "white" in text or "whith" in text or "flick a pebble" in clip.actions
    assert 0.25 < np.mean(veiled) < 0.42


@pytest.mark.slow
def test_safe_lookalikes_are_rare_but_present() -> None:
    safe = [sample_clip(SEED, "train", index, forget_share=0.0) for index in range(1500)]
    odd = [any(_named(caption.text) for caption in clip.captions) for clip in safe]
    pebbles = ["flick a pebble" in clip.actions for clip in safe]
    assert 0.008 < np.mean(odd) < 0.045
    assert 0.0 < np.mean(pebbles) < 0.012


def test_captions_are_diverse(clips: list[SyntheticClip]) -> None:
    texts = [caption.text.rstrip(".") for clip in clips for caption in clip.captions]
    assert len(set(texts)) / len(texts) > 0.9


def test_mirrored_captions_swap_sides() -> None:
    caption = sample_clip(SEED, "train", 0).captions[0]
    text = "a man turns clockwise to the left before he waves with his right hand"
    swapped = mirrored(type(caption)(text, "left/NOUN right/ADJ clockwise/ADV"))
    assert swapped.text == "a man turns counterclockwise to the right before he waves with his left hand"
    assert swapped.tokens == "right/NOUN left/ADJ counterclockwise/ADV"


def test_a_clip_depends_only_on_seed_split_and_index() -> None:
    first, again = sample_clip(3, "train", 7), sample_clip(3, "train", 7)
    np.testing.assert_array_equal(first.joints, again.joints)
    assert first.captions == again.captions
    assert not np.array_equal(first.joints, sample_clip(4, "train", 7).joints)
    assert first.captions != sample_clip(3, "test", 7).captions


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_folder_is_complete_reproducible_and_grows_without_change(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_raw_folder(tmp_path / "a", clips=24, seed=1, test=12, val=4, progress=lambda *at: seen.append(at))
    write_raw_folder(tmp_path / "b", clips=24, seed=1, test=12, val=4)
    write_raw_folder(tmp_path / "c", clips=40, seed=1, test=20, val=4)
    write_raw_folder(tmp_path / "d", clips=24, seed=1, test=12, val=4, processes=2)
    a, b, c, d = (_contents(tmp_path / name) for name in "abcd")
    assert a == b == d
    clips = [name for name in a if "/" in name]
    assert len(clips) == 3 * 40
    assert all(a[name] == c[name] for name in clips)
    assert seen[-1] == (20, 20)

    ids = {
        name: (tmp_path / "a" / f"{name}.txt").read_text().split() for name in ("train", "val", "test", "all")
    }
    assert [len(ids[name]) for name in ("train", "val", "test", "all")] == [24, 4, 12, 40]
    assert len(set(ids["all"])) == 40
    for name in ("train", "val", "test"):
        assert {f"M{clip_id}" for clip_id in ids[name] if clip_id[0] != "M"} <= set(ids[name])
    table = json.loads((tmp_path / "a" / "actions.json").read_text())
    assert table["violent"] == VIOLENT.tolist()
    std, mean = np.load(tmp_path / "a" / "Std.npy"), np.load(tmp_path / "a" / "Mean.npy")
    assert std.shape == mean.shape == (263,)
    assert len(np.unique(std[4:67])) == 1
    assert (std > 0).all()

    clip_id = ids["train"][0]
    features = np.load(tmp_path / "a" / "new_joint_vecs" / f"{clip_id}.npy")
    twin = np.load(tmp_path / "a" / "new_joint_vecs" / f"M{clip_id}.npy")
    joints = sample_clip(1, "train", 0).joints
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, from_joints(joints))
    np.testing.assert_array_equal(twin, from_joints(mirror_joints(joints)))
    assert len(np.load(tmp_path / "a" / "labels" / f"M{clip_id}.npy")) == len(twin)


WRITE = """
from pathlib import Path
from hmu_tasks.data.datasets.synthetic.writer import write_raw_folder
if __name__ == "__main__":
    write_raw_folder(Path("raw"), clips=100_000, seed=1, test=2, val=2, processes=2)
"""


def test_nothing_outlives_a_killed_writer(tmp_path: Path) -> None:
    (tmp_path / "write.py").write_text(WRITE, encoding="utf-8")
    process = subprocess.Popen([sys.executable, "write.py"], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not any((tmp_path / "raw").rglob("*.npy")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(processes_in(tmp_path)) >= 3
    process.kill()
    process.wait()
    while processes_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_in(tmp_path) == []


def test_forget_share_is_exact_in_every_split(tmp_path: Path) -> None:
    write_raw_folder(tmp_path, clips=100, seed=2, test=40, val=20, forget_share=0.12, eval_forget_share=0.5)
    for split, share in (("train", 0.12), ("val", 0.5), ("test", 0.5)):
        ids = (tmp_path / f"{split}.txt").read_text().split()
        violent = [VIOLENT[np.load(tmp_path / "labels" / f"{clip_id}.npy")].any() for clip_id in ids]
        assert np.mean(violent) == pytest.approx(share)


def test_invalid_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clips: 3"):
        write_raw_folder(tmp_path, clips=3, seed=1, test=2, val=2)
    with pytest.raises(ConfigError, match="forget_share"):
        write_raw_folder(tmp_path, clips=2, seed=1, test=2, val=2, forget_share=1.5)
