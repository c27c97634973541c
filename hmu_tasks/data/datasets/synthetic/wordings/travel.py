"""Sentences of the safe actions that travel or turn."""

from hmu_tasks.data.datasets.synthetic.wordings.wording import Wording, wording

TRAVEL: dict[str, Wording] = {
    "walk": wording(
        named="""
            {v} walks {d}
            [walks|strolls|paces|moves] {d} {v}
            takes [a few|several|some] steps_N {d} {v}
            {v} [strolls|paces|moves] {d}
            [goes|steps_V] {d} {v}
            takes [short|small|long] steps_N {d} {v}
            goes for a [short|little] walk_N {d}
            puts one foot in front of the other and [walks|moves] {d} {v}
        """,
        held_out="""
            [strides|ambles|wanders] {d} {v}
            makes {p} way {d} on foot {v}
            moves {d} with [some|several] steps_N {v}
        """,
    ),
    "walk backwards": wording(
        named="""
            {v} walks [backwards|backward|in reverse]
            [walks|steps_V|goes|moves] [back|backwards] {v}
            takes [a few|several|some] steps_N [backwards|back|to the rear] {v}
            backs away [from something|] {v}
            {v} [moves|steps_V] backwards [with small steps_N|]
            takes [small|short|long] steps_N backwards {v}
        """,
        held_out="""
            [retreats|withdraws] [with a few steps_N|a little] {v}
            [goes|paces] in reverse with some steps_N {v}
            moves away to the back on foot {v}
        """,
    ),
    "walk in a curve": wording(
        named="""
            {v} [walks|moves|strolls] in {d} to the {S}
            [walks|goes|paces] along {d} to the {S} {v}
            {v} walks in {d} towards the {S}
            follows {d} to the {S} {v}
            [walks|steps_V] forward and [curves|bends] to the {S} {v}
            takes [several|some] steps_N in {d} to the {S} {v}
        """,
        held_out="""
            [strides|wanders] along {d} towards the {S} {v}
            goes for a walk_N in {d} to the {S} {v}
            [veers|bends] to the {S} on {p} way ahead {v}
        """,
    ),
    "jog": wording(
        named="""
            {v} [jogs|runs] [forward|forwards|ahead]
            [runs|jogs] [forward|straight ahead|ahead] {v}
            {v} [runs|jogs] straight ahead
            goes for a [short|little] [run_N|jog_N]
            [runs|jogs] [a few|several|some] steps_N [forward|ahead] {v}
            runs [a little|] with bent arms {v}
            moves [forward|ahead] at a [run_N|jog_N] {v}
        """,
        held_out="""
            [trots|hurries] [forward|straight ahead] {v}
            goes straight ahead at a jog_N {v}
            takes some running steps_N forward {v}
        """,
    ),
    "march": wording(
        named="""
            {v} marches [in place|on the spot]
            marches [on the spot|in place|without moving ahead] {v}
            [lifts|raises] {p} knees high [in place|on the spot|one after the other] {v}
            [walks|steps_V] in place with [high|raised] knees {v}
            [does|performs] a march_N [on the spot|in place] {v}
            [raises|lifts] one knee after the other [in place|] {v}
        """,
        held_out="""
            [parades|tramps] on the spot with raised knees {v}
            brings {p} knees up one after the other in place {v}
            walks on the spot and lifts the knees high {v}
        """,
    ),
    "turn": wording(
        named="""
            {v} [turns|rotates] {d} to the {S}
            [turns|rotates] {d} {c} {v}
            [rotates|turns] {d} to the {S} [with small steps_N|on the spot|] {v}
            turns {p} [whole|] body {d} to the {S} {v}
            [turns|rotates] in place {d} {c} {v}
            steps_V on the spot and turns {d} to the {S} {v}
        """,
        held_out="""
            [pivots|swivels] {d} to the {S} {v}
            moves {p} feet and rotates the body {d} {c} {v}
            makes small steps_N and rotates {d} to the {S} {v}
        """,
    ),
    "sidestep": wording(
        named="""
            {v} [sidesteps|shuffles] to the {S} {n}
            [steps_V|moves|walks] sideways to the {S} {n} {v}
            shuffles [sideways|over|] to the {S} {n} {v}
            takes [side|sideways] steps_N to the {S} {n} {v}
            steps_V [out|over] to the {S} side {n} {v}
            {v} moves to the {S} with side steps_N {n}
        """,
        held_out="""
            [sidles|edges] to the {S} {n} {v}
            goes to the {S} side with shuffling steps_N {n} {v}
            makes a sideways step_N to the {S} {n} {v}
        """,
    ),
    "jump": wording(
        named="""
            jumps {h} [in place|on the spot|] {n}
            [jumps|hops|springs] up {h} {n}
            hops [up|] {h} {n} with both feet
            [does|makes|performs] a {h} jump_N [in place|on the spot|] {n}
            bends {p} knees and jumps {h} {n}
            [jumps|leaps] [straight up|into the air] {n}
            swings both arms up and jumps {h} {n}
        """,
        held_out="""
            [bounces|bounds] {h} into the air {n}
            springs {h} off the ground with both feet {n}
            performs a {h} hop_N straight up {n}
        """,
    ),
    "jump forward": wording(
        named="""
            jumps [forward|forwards|ahead] {n}
            leaps [forward|forwards|ahead] {n} with both feet
            hops [forwards|forward|straight ahead] {n}
            [does|makes|performs] a [forward jump_N|jump_N forward|long jump_N] {n}
            swings {p} arms and [jumps|leaps] forward {n}
            bends {p} knees and [jumps|hops] [ahead|forward] {n}
        """,
        held_out="""
            [bounds|vaults] ahead {n} with both feet
            springs forward [off both feet|from bent knees] {n}
            makes a long hop_N ahead {n}
        """,
    ),
    "step over": wording(
        named="""
            {v} steps_V over [an obstacle|something low|a log]
            steps_V over something on the [ground|floor] {v}
            lifts {p} [legs|feet|knees] over [a log|an obstacle|a low wall] {v}
            climbs over a low [fence|wall] {v} with the {S} leg first
            [takes|makes] a high step_N over [something|a log|an obstacle] {v}
            {v} [gets|walks|climbs] over [an obstacle|something low] [with the {S} foot first|]
        """,
        held_out="""
            [clambers|goes] over a [log|barrier] with the {S} foot first {v}
            lifts the {S} leg and then the {O} leg over something low {v}
            crosses_V a low [barrier|fence] with high steps_N {v}
        """,
    ),
    "flick a pebble": wording(
        named="""
            [gently|softly|lightly] kicks a [pebble|small stone] [away|] with {p} {S} foot
            kicks a [small stone|little stone|pebble] with [the|{p}] {S} foot
            gives a [pebble|small stone] a [light|gentle] kick_N with {p} {S} foot
            kicks a pebble [along|across the ground] with the {S} [foot|leg]
        """,
        held_out="""
            kicks a [stone|pebble] lightly over the floor with {p} {S} foot
            nudges a pebble with a gentle kick_N of {p} {S} foot
        """,
    ),
}
