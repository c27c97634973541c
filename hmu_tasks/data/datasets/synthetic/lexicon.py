"""Lemma and part of speech of every word in the grammar's sentences, in the style of HumanML3D's files.

As there, nouns and verbs are lemmatised and other words are kept as they are. A word that can be a noun or a verb is a
verb unless a sentence writes it as `word_N`.
"""

from hmu_tasks.runtime.errors import DataError

_VERBS = """
applauds:applaud backs:back balances:balance beats:beat bends:bend bows:bow boxes:box chops:chop
circles:circle claps:clap climbs:climb clouts:clout crushes:crush dances:dance dips:dip dodges:dodge does:do
drinks:drink drives:drive ducks:duck flicks:flick gets:get gives:give grabs:grab greets:greet hammers:hammer
hits:hit holds:hold hooks:hook hops:hop hurls:hurl is:is jabs:jab jogs:jog jumps:jump kicks:kick
knocks:knock lashes:lash leans:lean leaps:leap lifts:lift looks:look lunges:lunge makes:make marches:march
meets:meet offers:offer opens:open picks:pick plays:play points:point pokes:poke pounds:pound pulls:pull
punches:punch pushes:push raises:raise reaches:reach returns:return rises:rise rotates:rotate rubs:rub
runs:run scratches:scratch shakes:shake shoots:shoot shows:show shrugs:shrug shuffles:shuffle
sidesteps:sidestep sits:sit slashes:slash smashes:smash snaps:snap spreads:spread squats:squat stamps:stamp
stands:stand starting:start steps:step stomps:stomp stretches:stretch strikes:strike strolls:stroll
sways:sway sweeps:sweep swings:swing takes:take take:take taps:tap throws:throw thrusts:thrust turns:turn
twists:twist waits:wait walks:walk waves:wave weaves:weave whips:whip raised:raise spread:spread
"""
_NOUNS = """
air arc arm arms:arm axe ball body bow boy chair chest chin circle circles:circle club cup curve
defense degrees:degree door elbow face fence figure fist fists:fist five floor foot feet:foot friend front
girl glass golf ground guard guy hair hand handshake hands:hand head heel hello high hips:hip hook human jab
jacks:jack jumping jumps:jump kick kicks:kick knee knees:knee knuckles:knuckle leg legs:leg lunge man mouth
music object obstacle opponent palm palms:palm pebble person place punch shelf shrug side sip
someone:someone something:something squat stance step steps:step stone stretch stroke swing time times:time
trunk turn uppercut upper wall way ways:way woman log seat spot shirt clothes trousers
"""
_OTHERS = {
    "DET": "a an the his her their its both all",
    "PRON": "he she it that",
    "ADJ": "left right low high front straight side sideways cross round roundhouse spinning back bent heavy "
    "deep small open upper quarter wide big star unsure white few little raised",
    "ADV": "quickly rapidly swiftly fast slowly calmly leisurely forward forwards ahead backwards sideways "
    "twice once out up down around then again afterwards finally first hard upwards downwards overhead "
    "diagonally slightly almost away apart still quietly politely deeply gently lightly clockwise "
    "counterclockwise behind far overhand together",
    "ADP": "with to in on at of from across over under into for through above towards onto along off after "
    "before whith by",
    "CCONJ": "and",
    "SCONJ": "as if",
    "NUM": "one two three four ninety",
}


def _read(block: str) -> dict[str, str]:
    pairs = (entry.partition(":") for entry in block.split())
    return {word: lemma or word for word, _, lemma in pairs}


_VERB, _NOUN = _read(_VERBS), _read(_NOUNS)
_PLAIN = {word: kind for kind, words in _OTHERS.items() for word in words.split()}
SWAPPED = {"left": "right", "right": "left", "clockwise": "counterclockwise", "counterclockwise": "clockwise"}


def tag(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words without markers and their tokens `lemma/POS`; raises DataError for an unknown word."""
    written, tokens = [], []
    for word in words:
        bare, _, kind = word.partition("_")
        written.append(bare)
        if kind == "N" or (kind != "V" and bare in _NOUN and bare not in _VERB and bare not in _PLAIN):
            tokens.append(f"{_NOUN[bare]}/NOUN")
        elif kind == "V" or (bare in _VERB and bare not in _PLAIN):
            tokens.append(f"{_VERB[bare]}/VERB")
        elif bare in _PLAIN:
            tokens.append(f"{bare}/{_PLAIN[bare]}")
        else:
            raise DataError(
                f"word {word!r} of a sentence template is not in the lexicon; add it to lexicon.py"
            )
    for place, token in enumerate(tokens):
        # A noun in "to the left", an adjective in "the left hand".
        following = tokens[place + 1].rpartition("/")[2] if place + 1 < len(tokens) else ""
        if token in ("left/ADJ", "right/ADJ", "front/ADJ", "side/ADJ") and following not in ("NOUN", "ADJ"):
            tokens[place] = token.replace("ADJ", "NOUN")
    return written, tokens
