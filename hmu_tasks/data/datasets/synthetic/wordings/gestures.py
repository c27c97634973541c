"""Sentences of the safe actions of the arms and hands."""

from hmu_tasks.data.datasets.synthetic.wordings.wording import Wording, wording

HANDS: dict[str, Wording] = {
    "reach": wording(
        named="""
            {v} reaches {h} forward with {p} {S} [arm|hand]
            stretches {p} {S} [hand|arm] {h} to [take|grab|touch] something {v}
            {v} reaches {h} for something [in front|ahead] with the {S} hand
            [extends|holds] {p} {S} [arm|hand] {h} [forward|to the front] {v}
            reaches {h} [in front|] with {p} {S} [arm|hand] {v}
            leans forward to [touch|grab] something with the {S} hand {v}
        """,
        held_out="""
            [sends|brings] the {S} hand {h} to the front to touch something {v}
            stretches {h} forward for [an object|a thing] with {p} {S} arm {v}
        """,
    ),
    "reach up": wording(
        named="""
            {v} reaches up to [a shelf|a high shelf|something high] with {p} {S} [hand|arm]
            takes something [from high above|from a high shelf|off a shelf] with the {S} hand {v}
            [stretches|extends] the {S} arm up [over|above] {p} head {v}
            reaches [high|upwards|overhead] with {p} {S} [hand|arm] {v}
            {v} reaches for something above {p} head with the {S} hand
            [rises|stands] on {p} toes and reaches up with the {S} [arm|hand] {v}
        """,
        held_out="""
            stretches for [a cupboard|a shelf] above with {p} {S} hand {v}
            [fetches|gets] something down from overhead with the {S} hand {v}
        """,
    ),
    "push a door": wording(
        named="""
            {v} pushes [a heavy door|a door|a gate] open with both [hands|arms]
            leans forward and pushes [something|something heavy|a box] with both hands {v}
            {v} pushes [a wall|something in front|something heavy] with both [arms|hands]
            puts both hands on a [door|wall] and pushes [hard|] {v}
            opens a heavy door with both [hands|arms] {v}
            [moves|pushes] something heavy [forward|ahead] with both [hands|arms] {v}
            steps_V forward and pushes with both [hands|arms] {v}
        """,
        held_out="""
            [shoves|presses] against a heavy door with both hands {v}
            leans on a wall and moves it forward with both arms {v}
            [gives|makes] a push_N to a [gate|wall] with both hands {v}
        """,
    ),
    "high-five": wording(
        named="""
            {v} gives [a|someone a|a friend a] high five with {p} {S} [hand|palm] {n}
            raises {p} {S} [palm|hand] for a high five {n} {v}
            meets [a friend|someone] with a {S} high five {n} {v}
            [does|makes|offers] a high five with [the|{p}] {S} hand {n} {v}
            lifts {p} {S} hand and gives [a|someone a] high five {n} {v}
            claps {p} {S} [hand|palm] against the hand of [a friend|someone] {n} {v}
        """,
        held_out="""
            greets [a buddy|a friend] with a high five of {p} {S} hand {n} {v}
            [celebrates|meets] with a {S} high five {n} {v}
            lifts an open {S} palm to meet the hand of a friend {n} {v}
        """,
    ),
    "throw": wording(
        named="""
            {v} throws [a ball|something|a stone] [forward|] with {p} {S} [hand|arm]
            hurls [something|a ball|a stone] [far|forward] with the {S} [arm|hand] {v}
            steps_V and throws [something|a ball] overhand with {p} {S} hand {v}
            [winds up|takes a step_N] and throws [a ball|something] with the {S} [arm|hand] {v}
            [makes|does] an overhand throw_N with {p} {S} [arm|hand] {v}
            [throws|hurls] an object [far|far away|ahead] with {p} {S} hand {v}
        """,
        held_out="""
            [tosses|lobs|pitches] a ball [forward|far away] with {p} {S} hand {v}
            sends a ball far ahead with an overhand throw_N of the {S} arm {v}
            steps_V and hurls an object from behind {p} head with the {S} arm {v}
        """,
    ),
    "wave": wording(
        named="""
            {v} waves [with|] {p} {S} [hand|arm]
            waves [hello|goodbye|to someone] with the {S} [hand|arm] {v}
            waves {p} {S} [arm|hand] at [a friend|someone] {v}
            raises {p} {S} hand and waves [hello|at someone|] {v}
            [greets|welcomes] [someone|a friend] with a wave_N of {p} {S} hand {v}
            gives a [friendly|little] wave_N with the {S} hand {v}
            moves {p} raised {S} hand from side to side {v}
        """,
        held_out="""
            says [hello|goodbye] with {p} raised {S} hand {v}
            [signals|beckons] to a friend with a waving {S} hand {v}
            swings the raised {S} arm from side to side to greet someone {v}
        """,
    ),
    "clap": wording(
        named="""
            {v} claps {p} hands
            applauds [someone|] {v}
            claps both hands in front of {p} [chest|body] {v}
            [claps|applauds] [happily|politely] with both hands {v}
            puts {p} hands together and claps {v}
            [gives|offers] [some|a little] applause [to someone|] {v}
            moves {p} [hands|palms] together and apart again to clap_V {v}
        """,
        held_out="""
            [cheers|thanks] someone with clapping hands {v}
            brings both palms together again and again in applause {v}
        """,
    ),
    "golf swing": wording(
        named="""
            swings a golf club [to the {O}|with both hands to the {O}] {n}
            [makes|does] a [low|wide] golf swing_N to the {O} {n}
            plays a golf [stroke|shot] [towards|to] the {O} {n}
            swings both [hands|arms] [low|in a low arc] to the {O} {n} as if playing golf
            plays golf and swings [the club|both arms] to the {O} {n}
            bends forward and swings a [golf club|club] to the {O} {n}
        """,
        held_out="""
            [sends|putts] a golf ball to the {O} with a club {n}
            [practises|performs] a golf shot towards the {O} with both arms {n}
        """,
    ),
    "raise both arms": wording(
        named="""
            {v} raises both [arms|hands] [overhead|above {p} head] {n}
            lifts both [arms|hands] [above|over] {p} head {n} {v}
            {v} stretches both arms up [high|] {n}
            [raises|lifts|brings] both arms [up from the sides|high into the air|upwards] {n} {v}
            puts both [hands|arms] up [in the air|over {p} head] {n} {v}
            [reaches|stretches] [up high|upwards] with both [hands|arms] {n} {v}
        """,
        held_out="""
            [hoists|swings] both arms up from the sides {n} {v}
            reaches into the air above {p} head with both hands {n} {v}
            [takes|extends] both hands up high and lowers them {n} {v}
        """,
    ),
    "raise one arm": wording(
        named="""
            {v} raises {p} {S} [arm|hand] [to the side|sideways] {n}
            lifts the {S} arm out [sideways|to the side] {n} {v}
            [extends|stretches|holds] {p} {S} arm out [to the side|sideways] {n} {v}
            [raises|lifts] {p} straight {S} arm [sideways|to the side] {n} {v}
            moves {p} {S} arm [up|out] to the side [and down again|] {n} {v}
            brings {p} {S} arm up sideways {n} {v}
        """,
        held_out="""
            [hoists|puts] the {S} arm out to the side and lowers it {n} {v}
            makes {p} straight {S} arm rise_V sideways {n} {v}
        """,
    ),
    "arm circles": wording(
        named="""
            {v} makes [big|wide|large] circles_N with {p} {S} [arm|hand] {n}
            rotates the {S} arm in [circles_N|a circle|big circles_N] {n} {v}
            [circles_V|rotates] {p} {S} arm [beside {p} body|] {n} {v}
            [draws|makes] [a big circle|big circles_N] in the air with the {S} [hand|arm] {n} {v}
            swings {p} straight {S} arm [around in circles_N|in a big circle] {n} {v}
            [does|performs] arm circles_N with {p} {S} arm {n} {v}
        """,
        held_out="""
            [whirls|moves] {p} {S} arm around in the air in big circles_N {n} {v}
            performs wide rotations of the {S} arm {n} {v}
        """,
    ),
    "point": wording(
        named="""
            points {d} with [{p}|the] {S} [hand|arm|index finger]
            points {d} with the {S} [arm|hand] and [holds it|keeps it there]
            shows the way {d} with [the|{p}] {S} [arm|hand]
            raises {p} {S} [arm|hand] and points {d}
            [extends|stretches] {p} {S} arm and points {d}
            points {d} [at something|to show the way] with {p} {S} [hand|index finger]
        """,
        held_out="""
            [indicates|signals] something {d} with a raised {S} [arm|hand]
            holds the {S} arm out {d} to show something
        """,
    ),
    "drink": wording(
        named="""
            {v} drinks [from a cup|from a glass|something|some water] with {p} {S} hand
            lifts a [glass|cup|bottle] to {p} mouth with the {S} hand {v}
            takes a [sip|drink_N] [from a cup|of water|] with the {S} hand {v}
            [holds|picks] up a cup in {p} {S} hand and drinks {v}
            {v} [raises|brings] a [cup|glass] to {p} [mouth|lips] with the {S} hand
            drinks [a little|] water out of a [glass|bottle] in {p} {S} hand {v}
        """,
        held_out="""
            [sips|gulps] from a cup in {p} {S} hand {v}
            has a drink_N from a [mug|bottle] with {p} {S} hand {v}
            lifts some water to {p} lips with the {S} hand {v}
        """,
    ),
    "knock": wording(
        named="""
            {v} knocks on [a door|the door|a wall] with {p} {S} [hand|knuckles] {n}
            taps on [a door|a window|something] with the {S} hand {n} {v}
            taps [a wall|a door|a window] with {p} {S} [knuckles|fingers] {n} {v}
            [gives|makes] a [light|little] knock_N on a [door|window] with {p} {S} hand {n} {v}
            lifts {p} {S} hand and knocks [on a door|] {n} {v}
            stands at a door and knocks with {p} {S} [hand|knuckles] {n} {v}
        """,
        held_out="""
            [raps|drums] on a door with the {S} knuckles {n} {v}
            taps {p} {S} knuckles [lightly|] on a [gate|window] {n} {v}
            asks to come in with a knock_N of {p} {S} hand {n} {v}
        """,
    ),
    "shake hands": wording(
        named="""
            {v} shakes hands [with someone|with a friend|] with {p} {S} hand
            offers the {S} hand and shakes it [up and down|] {v}
            greets [someone|a friend|somebody] with a {S} handshake {v}
            [shakes|takes and shakes] the hand of [someone|a friend] with {p} {S} hand {v}
            [gives|offers] [someone|a friend] a {S} handshake {v}
            holds out {p} {S} hand for a handshake {v}
            moves {p} {S} hand up and down in a handshake {v}
        """,
        held_out="""
            [welcomes|congratulates] a friend with a {S} handshake {v}
            extends {p} {S} hand to greet somebody and shakes {v}
        """,
    ),
    "scratch the head": wording(
        named="""
            {v} scratches {p} head with the {S} [hand|fingers]
            rubs [{p} head|the back of {p} head] with {p} {S} hand {v}
            scratches {p} [hair|head] with the {S} [hand|fingers] {v}
            lifts {p} {S} hand and [scratches|rubs] {p} [head|hair] {v}
            moves {p} {S} fingers through {p} hair {v}
            [touches|rubs] the top of {p} head with the {S} hand {v}
        """,
        held_out="""
            [ruffles|strokes] {p} hair with {p} {S} fingers {v}
            puts the {S} hand on {p} head and scratches there {v}
        """,
    ),
    "guard": wording(
        named="""
            raises both [fists|hands] and holds [a guard|them there|a guard stance_N]
            stands in a guard [stance_N|position] with raised [fists|hands]
            holds up both [fists|hands] in defense and [sways|waits]
            lifts both fists to {p} [face|chin] and [waits|sways|stays there]
            [protects|covers] {p} face with both [fists|hands]
            keeps both [fists|hands] up in front of {p} [face|chest]
            sways from side to side with raised [fists|hands]
        """,
        held_out="""
            [shields|covers] {p} head with raised fists and stays in place
            holds {p} hands before {p} chin in a guard and rocks
        """,
    ),
}
