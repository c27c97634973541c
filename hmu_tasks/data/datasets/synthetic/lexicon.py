"""Lemma and part of speech of every word in the grammar's sentences, in the style of HumanML3D's files.

As there, nouns and verbs are lemmatised and other words are kept as they are. A word that can be a noun or a verb is a
verb unless a sentence writes it as `word_N`.
"""

from functools import cache

from hmu_tasks.data.datasets.synthetic.verbs import BASE, GERUND, LEMMAS, MARKED, PAST
from hmu_tasks.runtime.errors import DataError

_NOUNS = """
adult air applause arc arm arms:arm athlete audience axe balance ball barrier belly bench bend blow body bottle bow box
boy buddy character chair chest chin circle circles:circle club cup cupboard curve dance defense degrees:degree
door doubt drink duck elbow elbows:elbow enemy eyes:eye face feet:foot fence figure finger fingers:finger fist
fists:fist five floor foot friend front gate girl glass golf goodbye ground guard guy hair hand hands:hand handshake
head heel hello high hip hips:hip hit hits:hit hook hop human index jab jacks:jack jaw jog jump jumping jumps:jump kick
kicks:kick knee knees:knee knock knuckles:knuckle lady leg legs:leg lips:lip log lunge male man march moment mouth
mug music object obstacle opponent palm palms:palm pebble person place position punch push rear respect rest reverse
rival rotations:rotation run seat shelf shot shoulders:shoulder shrug side sides:side sip sofa sole somebody:somebody
someone:someone something:something song spot squat stance step steps:step stick stomach stone stool straight stretch
strike stroke swing table teenager thing throw time times:time toes:toe top trunk turn twist uppercut walk wall water
wave way ways:way while window woman shirt clothes trousers
"""
_OTHERS = {
    "DET": "a an the his her their its both all some several",
    "PRON": "he she it that them nothing",
    "ADJ": "left right low high front straight side cross round roundhouse spinning back bent heavy deep small open "
    "upper quarter wide big star unsure white few little raised other short long large light gentle polite friendly "
    "powerful steady half whole young tall",
    "ADV": "quickly rapidly swiftly briskly hastily slowly calmly leisurely gradually very forward forwards ahead "
    "backwards backward sideways twice once out up down around then again afterwards finally first next hard upwards "
    "downwards overhead diagonally slightly almost away apart still quietly politely happily deeply gently softly "
    "lightly clockwise counterclockwise behind far overhand together there",
    "ADP": "with to in on at of from across over under into onto for through above towards along off after before "
    "whith by against beside below like without",
    "CCONJ": "and",
    "SCONJ": "as if",
    "AUX": "is was can be",
    "NUM": "one two three four ninety",
}


def _read(block: str) -> dict[str, str]:
    pairs = (entry.partition(":") for entry in block.split())
    return {word: lemma or word for word, _, lemma in pairs}


_NOUN = _read(_NOUNS)
_PLAIN = {word: kind for kind, words in _OTHERS.items() for word in words.split()}
_SIDES = frozenset(("left", "right", "front", "side", "back"))
_BOTH = frozenset(("hard", "forward", "backward", "sideways"))  # adjectives before a noun, otherwise adverbs
SWAPPED = {"left": "right", "right": "left", "clockwise": "counterclockwise", "counterclockwise": "clockwise"}


def _is_verb(word: str) -> bool:
    """Whether an unmarked word is a verb in the third person."""
    return word in BASE and word not in MARKED and word not in _PLAIN


def conjugate(clause: str, form: str) -> str:
    """Put the verbs of a clause in the third person into another form, marked as verbs.

    form: "present", "past", "gerund" or "base". Raises KeyError for a verb without that form.
    """
    if form == "present":
        return clause
    return " ".join([_conjugated(word, form) for word in clause.split()])


@cache
def _conjugated(word: str, form: str) -> str:
    forms = {"past": PAST, "gerund": GERUND, "base": BASE}[form]
    bare, _, kind = word.partition("_")
    third = bare in BASE if kind == "V" else not kind and _is_verb(bare)
    return f"{forms[bare]}_V" if third else word


@cache
def _tagged(word: str) -> tuple[str, str, str]:
    """The word without its marker, its lemma and its part of speech, regardless of the words around it."""
    bare, _, kind = word.partition("_")
    if kind == "V" or (not kind and _is_verb(bare)):
        lemmas, name = LEMMAS, "VERB"
    elif kind != "N" and bare in _PLAIN:
        return bare, bare, _PLAIN[bare]
    elif bare in _NOUN:
        lemmas, name = _NOUN, "NOUN"
    else:
        lemmas, name = LEMMAS, "VERB"
    if bare not in lemmas:
        raise DataError(
            f"word {word!r} of a sentence template is not in the lexicon; add it to lexicon.py or verbs.py"
        )
    return bare, lemmas[bare], name


def tag(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words without markers and their tokens `lemma/POS`; raises DataError for an unknown word."""
    tagged = [_tagged(word) for word in words]
    kinds = [kind for _, _, kind in tagged]
    for place, (word, _, kind) in enumerate(tagged):
        following = kinds[place + 1] if place + 1 < len(kinds) else ""
        if kind == "ADJ" and word in _SIDES and following not in ("NOUN", "ADJ"):
            kinds[place] = "NOUN"  # "to the left", not "the left hand"
        elif kind == "ADV" and word in _BOTH and following in ("NOUN", "ADJ"):
            kinds[place] = "ADJ"  # "a hard punch"
        elif kind == "ADP" and word == "to" and following == "VERB":
            kinds[place] = "PART"
    tokens = [f"{lemma}/{kind}" for (_, lemma, _), kind in zip(tagged, kinds, strict=True)]
    return [word for word, _, _ in tagged], tokens
