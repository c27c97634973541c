"""Sentences of the safe whole-body actions on the spot."""

from hmu_tasks.data.datasets.synthetic.wordings.wording import Wording, wording

POSTURES: dict[str, Wording] = {
    "stand still": wording(
        named="""
            stands [still|quietly|in place]
            stands in place and [waits|rests|looks ahead]
            [waits|rests|pauses] [in place|on the spot] [quietly|]
            [stays|remains] [in place|on the spot] [quietly|]
            keeps still [for a moment|for a while]
            does nothing [for a moment|for a while|]
        """,
        held_out="""
            [lingers|idles] in place [for a moment|]
            remains still and waits [for someone|]
        """,
    ),
    "squat": wording(
        named="""
            {v} squats [down|] {n}
            bends {p} knees deeply and [rises|stands up] {n} {v}
            [does|performs|makes] a [squat_N|deep squat_N] {n} {v}
            [lowers|drops] {p} hips [into a squat_N|deeply|] and [rises|stands up] {n} {v}
            goes down [on bent knees|into a squat_N] and comes up [again|] {n} {v}
            bends {p} legs and holds {p} arms forward {n} {v}
        """,
        held_out="""
            [sinks|gets] down with deeply bent knees and rises again {n} {v}
            lowers the body into a deep squat_N {n} {v}
        """,
    ),
    "sit": wording(
        named="""
            {v} sits down [on a chair|on a stool|] and [gets|stands] up [again|]
            takes a seat and [stands up|rises] again {v}
            sits down [for a moment|on a chair|] {v} and rises
            [sits|rests] on a [chair|stool|bench] for a moment and stands up {v}
            [lowers {p} body|drops] onto a [chair|seat] and gets up [again|] {v}
            bends {p} knees to sit_V on a chair and then rises {v}
        """,
        held_out="""
            [settles|plops] down on a [bench|sofa] and rises again {v}
            takes a rest_N on a [stool|sofa] and gets up {v}
        """,
    ),
    "bow": wording(
        named="""
            {v} bows [deeply|politely|]
            bows [forward|deeply|] [politely|] {v}
            bends the upper body forward [in a bow_N|politely] {v}
            [makes|takes|gives] a [bow_N|polite bow_N|deep bow_N] {v}
            leans forward from the hips and [straightens|rises] up {v}
            [greets|thanks_V] [someone|the audience] with a bow_N {v}
            lowers {p} head and upper body in a bow_N {v}
        """,
        held_out="""
            [shows respect|says goodbye] with a deep bow_N {v}
            [inclines|tips] {p} upper body politely and straightens up {v}
        """,
    ),
    "pick up": wording(
        named="""
            {v} picks [something|an object|a box] up from the [floor|ground] with {p} {S} hand
            bends down and [lifts|picks up|takes] an object with the {S} hand {v}
            takes something off the [ground|floor] with {p} {S} hand {v}
            bends [forward|over] to pick_V something up with the {S} hand {v}
            [lifts|grabs] something from the [floor|ground] with {p} {S} hand {v}
            reaches down to the [floor|ground] and picks something up with the {S} hand {v}
        """,
        held_out="""
            [stoops|bows] down and gets something off the floor with {p} {S} hand {v}
            [collects|gathers] an object from the ground with the {S} hand {v}
            reaches for something on the ground and rises with it in {p} {S} hand {v}
        """,
    ),
    "stretch a leg": wording(
        named="""
            {v} stretches {p} {S} leg {d} and holds it [there|]
            [lifts|raises] the straight {S} leg {d} and [holds|keeps] it [there|up|] {v}
            raises {p} {S} leg {d} for a stretch_N {v}
            [extends|holds|stretches] {p} {S} leg [out|] {d} {v}
            stands on the {O} leg and [lifts|stretches] the {S} leg {d} {v}
            holds {p} [straight|raised] {S} leg {d} {v}
        """,
        held_out="""
            [hoists|brings] the straight {S} leg {d} and stays like that {v}
            does a leg_N stretch_N {d} with the {S} foot off the floor {v}
        """,
    ),
    "balance": wording(
        named="""
            balances on {p} {O} [leg|foot]
            stands on [the|{p}] {O} leg with [arms spread|both arms out]
            lifts the {S} [knee|foot|leg] and balances
            keeps {p} balance on [the|{p}] {O} [leg|foot]
            [raises|lifts] {p} {S} knee and stands on the {O} [leg|foot]
            spreads both arms and [balances|stands] on the {O} [leg|foot]
        """,
        held_out="""
            [poises|stays] on the {O} foot with both arms spread to the sides
            holds the {S} knee up and keeps [steady|balance]
        """,
    ),
    "dance": wording(
        named="""
            {v} dances [in place|on the spot]
            dances [from side to side|to music|to a song] {v}
            sways {p} hips and [arms|shoulders] to [music|a song] {v}
            [swings|moves] {p} hips from side to side [to music|in a dance_N] {v}
            [does|performs] a [little|short|] dance_N [on the spot|to music|in place] {v}
            moves {p} [arms|body] to [the music|a song] {v}
            swings {p} arms and hips [from side to side|in a dance_N] {v}
        """,
        held_out="""
            [grooves|boogies] on the spot to music {v}
            shakes {p} hips and swings both arms to a song {v}
            moves from side to side in a little dance_N {v}
        """,
    ),
    "side bend": wording(
        named="""
            {v} bends sideways to the {S} {n}
            stretches_V the upper body [over|] to the {S} {n} {v}
            leans to the {S} with the {O} arm [overhead|over {p} head] {n} {v}
            [leans|bends] [over|] to the {S} side [for a stretch_N|] {n} {v}
            [does|performs] a side bend_N to the {S} {n} {v}
            bends {p} [trunk|upper body] to the {S} {n} {v}
            raises the {O} arm and bends [over|] to the {S} {n} {v}
        """,
        held_out="""
            tips {p} trunk over to the {S} side {n} {v}
            [curves|inclines] {p} upper body to the {S} with one arm overhead {n} {v}
        """,
    ),
    "twist": wording(
        named="""
            {v} twists {p} [upper body|trunk|body] from side to side {n}
            rotates the [trunk|upper body] [both ways|to both sides] {n} {v}
            turns {p} [shoulders|upper body] [to the left and to the right|from side to side] {n} {v}
            [swings|moves] {p} [elbows|shoulders] from side to side {n} {v}
            holds {p} hands [before|at] {p} chest and twists {n} {v}
            [does|performs] a [trunk|body] twist_N to both sides {n} {v}
        """,
        held_out="""
            [swivels|turns] {p} trunk both ways with raised elbows {n} {v}
            rotates {p} shoulders from one side to the other {n} {v}
        """,
    ),
    "look around": wording(
        named="""
            {v} looks to the {S} and then to the {O}
            looks around [starting on|beginning on] the {S} {v}
            turns {p} head to the {S} and then to the {O} {v}
            looks [over|] to the {S} side and then to the {O} [side|] {v}
            [checks|watches] the {S} side and then the {O} side {v}
            moves {p} head from the {S} to the {O} {v}
            looks [for something|out] on the {S} and then on the {O} {v}
        """,
        held_out="""
            [gazes|glances] to the {S} and then to the {O} {v}
            searches the place with {p} eyes from the {S} to the {O} {v}
        """,
    ),
    "lunge": wording(
        named="""
            {v} lunges [forward|ahead] with {p} {S} leg {n}
            takes a [deep|long|big] step_N forward with the {S} leg and [returns|comes back] {n} {v}
            [does|performs|makes] a [lunge_N|forward lunge_N] with the {S} leg {n} {v}
            steps_V far forward with {p} {S} [foot|leg] and bends the knees {n} {v}
            [drops|goes down] into a lunge_N on {p} {S} leg {n} {v}
            puts {p} {S} foot far ahead and lowers {p} hips {n} {v}
        """,
        held_out="""
            [sinks|lowers the body] into a deep step_N with the {S} foot ahead {n} {v}
            makes a long step_N ahead with the {S} leg and rises back {n} {v}
        """,
    ),
    "jumping jacks": wording(
        named="""
            [does|performs] jumping_N jacks {n}
            [does|performs] star jumps_N {n}
            jumps with arms and legs [apart|spread] {n}
            jumps and [spreads|opens] {p} arms and legs {n}
            [spreads|opens] {p} legs and raises both arms in a jump_N {n}
            [hops|springs] with {p} legs apart and {p} arms [up|overhead] {n}
        """,
        held_out="""
            [exercises|trains] with star jumps_N {n}
            hops into a star with spread legs and arms {n}
        """,
    ),
    "dodge": wording(
        named="""
            {v} ducks and weaves with raised [hands|fists] {n}
            dodges to the {S} and back under something {n} {v}
            ducks under something [from the {S}|to the {O}|] {n} {v}
            [ducks|bends] down and moves from side to side {n} {v}
            [dodges|avoids] something with a [low|deep] duck_N to the {S} {n} {v}
            lowers {p} head and weaves to the {S} [and back|] {n} {v}
            [dips|ducks] low with both [hands|fists] raised {n} {v}
        """,
        held_out="""
            [evades|escapes] something with a duck_N to the {S} {n} {v}
            bends {p} knees and weaves under something with both hands up {n} {v}
        """,
    ),
    "shrug": wording(
        named="""
            {v} shrugs with open hands {n}
            opens both hands in a shrug_N {n} {v}
            [spreads|opens|turns up] both [palms|hands] as if unsure {n} {v}
            [gives|makes] a shrug_N with [open hands|both hands] {n} {v}
            [lifts|raises] both palms [at the sides|to the sides|] as if unsure {n} {v}
            shrugs and [opens|spreads] both [hands|arms] {n} {v}
        """,
        held_out="""
            [signals|shows] doubt with open palms {n} {v}
            spreads both arms a little in a shrug_N {n} {v}
        """,
    ),
}
