"""Verbs of the grammar and their forms."""

import re

# Verbs, with an irregular past where there is one. `shake` has none: "shook" would contain a keyword.
_VERBS = """
applaud avoid back balance beat:beat beckon bend:bent boogie bounce bound bow box bring:brought celebrate check cheer
chop circle clamber clap climb clout collect come:came congratulate cover cross crouch crush curve cut:cut dance
deliver dip do:did dodge drink:drank draw:drew drive:drove drop drum duck edge escape evade execute exercise extend
fetch fire flick fold follow gather gaze get:got give:gave glance go:went grab greet groove gulp hack hammer have:had
hit:hit hoist hold:held hook hop hurl hurry idle incline indicate jab jog jump keep:kept kick knock land lash launch
lean leap lift linger lob look lower lunge make:made march meet:met move nudge offer open pace parade pass pause
perform pick pivot pitch play plop point poke poise pound practise press protect pull punch push put:put putt raise
ram rap reach remain rest retreat return ripple rise:rose rock rotate rub ruffle run:ran say:said scratch search
seize send:sent settle shake: shield shoot:shot shove show:showed shrug shuffle sidestep sidle signal sink:sank sip
sit:sat slam slash sling:slung smash snap spread:spread spring:sprang squat stamp stand:stood stay step stomp stoop
straighten stretch stride:strode strike:struck stroke stroll sway sweep:swept swing:swung swivel take:took tap thank
throw:threw thrust:thrust tilt tip toss touch train tramp trample trot turn twist unleash use vault veer wait walk
wander wave weave:wove welcome whip whirl wind:wound withdraw:withdrew amble ask start begin:began proceed watch
"""
# Nouns as well: verbs only where a sentence writes `elbows_V`.
_MARKED = "elbow knee"
_DOUBLING = """
begin chop clap cut dip drop drum get grab hit hop jab jog lob plop put putt rap ram rub run shrug sidestep sip sit slam
snap squat step stop swivel tap tip trot whip
"""
_DOUBLED = frozenset(_DOUBLING.split())
_ENDING = re.compile(r"(s|x|z|ch|sh|o)$")


def _third(verb: str) -> str:
    if verb == "have":
        return "has"
    if _ENDING.search(verb):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if re.search(r"[^aeiou]y$", verb) else f"{verb}s"


def _stem(verb: str) -> str:
    return verb + verb[-1] if verb in _DOUBLED else verb


def _gerund(verb: str) -> str:
    return f"{verb[:-1]}ing" if re.search(r"[^eo]e$", verb) else f"{_stem(verb)}ing"


def _past(verb: str) -> str:
    if verb.endswith("e"):
        return f"{verb}d"
    return f"{verb[:-1]}ied" if re.search(r"[^aeiou]y$", verb) else f"{_stem(verb)}ed"


BASE: dict[str, str] = {}  # third person -> dictionary form
GERUND: dict[str, str] = {}  # third person -> "kicking"
PAST: dict[str, str] = {}  # third person -> "kicked"; `shakes` is left out
for _entry in (*_VERBS.split(), *_MARKED.split()):
    _verb, _colon, _irregular = _entry.partition(":")
    _key = _third(_verb)
    BASE[_key], GERUND[_key] = _verb, _gerund(_verb)
    if _irregular or not _colon:
        PAST[_key] = _irregular or _past(_verb)
MARKED = frozenset(_third(verb) for verb in _MARKED.split())
LEMMAS = {"seen": "see"} | {  # any form -> dictionary form
    form: verb
    for key, verb in BASE.items()
    for form in (verb, key, GERUND[key], *([PAST[key]] if key in PAST else []))
}
