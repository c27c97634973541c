"""Sentences of the violent actions of hands and elbows."""

from hmu_tasks.data.datasets.synthetic.wordings.wording import Wording, wording

BLOWS: dict[str, Wording] = {
    "jab": wording(
        named="""
            {v} jabs [forward|straight ahead|] with {p} {S} [hand|fist|arm] {n}
            [throws|delivers|does] a [{S}|short {S}] jab_N {n} {v}
            jabs {n} {v} with the {S} [fist|hand]
            jabs at [someone|an opponent|the air|a face] with {p} {S} [fist|hand] {n} {v}
            [throws|snaps] a jab_N with [the|{p}] {S} [hand|fist] {n} {v}
            raises {p} fists and jabs with the {S} hand {n} {v}
            extends {p} {S} arm in a [short|straight] jab_N {n} {v}
        """,
        veiled="""
            {v} snaps {p} {S} [fist|hand] straight [out|ahead] {n}
            pokes {p} {S} [fist|knuckles] into [the face of someone|an opponent|something] {n} {v}
            {v} [flicks|shoots] the {S} fist [forward|straight ahead|out] {n}
            [strikes|lashes out] with a short straight {S} {n} {v}
            raises {p} fists and [flicks|snaps] the {S} hand [forward|out] {n} {v}
            [snaps|shoots] {p} {S} knuckles [at a face|forward] {n} {v}
        """,
        held_out="""
            [fires|sends] a {S} jab_N straight ahead {n} {v}
            jabs the {S} knuckles [at a rival|into the air] {n} {v}
            lands a short jab_N with {p} {S} hand {n} {v}
        """,
        held_out_veiled="""
            [fires|sends] {p} {S} fist straight at a face {n} {v}
            shoots a short {S} straight_N at [a rival|someone] {n} {v}
        """,
    ),
    "cross": wording(
        named="""
            {v} punches straight [ahead|] with {p} {S} [hand|fist|arm] {n}
            [throws|delivers|does] a {S} [cross punch_N|straight punch_N] {n} {v}
            punches hard with [the|{p}] {S} [fist|hand] {n} {v}
            [turns|twists {p} hips] and punches with {p} {S} [arm|hand] {n} {v}
            punches [someone|an opponent|something] [hard|] with {p} {S} fist {n} {v}
            throws a [hard|heavy|powerful] punch_N with the {S} [hand|arm] {n} {v}
            steps_V into a hard {S} punch_N {n} {v}
        """,
        veiled="""
            {v} strikes [hard|] with {p} {S} fist {n}
            drives the {S} fist straight [through someone|into an opponent|ahead|forward] {n} {v}
            [smashes|slams|rams] {p} {S} fist [forward|into something|into someone] {n} {v}
            turns {p} [hips|shoulders] and drives the {S} [hand|fist] forward {n} {v}
            throws a [hard|heavy] {S} straight_N at [someone|an opponent] {n} {v}
            [delivers|throws] a [heavy|hard] blow_N with {p} {S} [hand|fist] {n} {v}
        """,
        held_out="""
            [launches|sends] a hard punch_N straight ahead with the {S} fist {n} {v}
            twists {p} shoulders and punches [a rival|through the air] with the {S} hand {n} {v}
            [unleashes|lands] a straight {S} punch_N {n} {v}
        """,
        held_out_veiled="""
            [slams|sends] a heavy {S} fist straight at [a rival|an enemy] {n} {v}
            twists {p} shoulders and smashes the {S} hand forward {n} {v}
        """,
    ),
    "hook": wording(
        named="""
            {v} throws a [{S}|wide {S}|heavy {S}] hook_N {n}
            hooks {n} {v} with {p} {S} [arm|fist|hand]
            punches from the side with the {S} [hand|fist] {n} {v}
            boxes with a {S} hook_N {n} {v}
            [swings|delivers] a hook_N with {p} {S} [arm|hand|fist] {n} {v}
            punches [sideways|around] with a bent {S} arm {n} {v}
            [swings|turns] and punches from the {S} side {n} {v}
            punches with {p} {S} arm bent {n} {v}
        """,
        veiled="""
            {v} swings {p} {S} [fist|hand] in from the side {n}
            clouts [someone|an opponent] from the side with the {S} [fist|hand] {n} {v}
            swings a bent {S} arm [at someone|at an opponent|across] {n} {v}
            [whips|slams|swings] {p} {S} fist around [from the side|in an arc] {n} {v}
            strikes from the {S} side with a bent arm {n} {v}
            [delivers|throws] a blow_N from the side with {p} {S} [hand|fist] {n} {v}
        """,
        held_out="""
            [launches|sends] a {S} hook_N around from the side {n} {v}
            hooks [a rival|the air] with a bent {S} arm {n} {v}
            punches in an arc with {p} {S} fist {n} {v}
        """,
        held_out_veiled="""
            [slings|sends] a bent {S} arm around at a face {n} {v}
            smashes {p} {S} fist into [a rival|someone] from the side {n} {v}
        """,
    ),
    "uppercut": wording(
        named="""
            {v} throws [a {S}|a heavy {S}|a rising {S}] uppercut_N {n}
            punches [upwards|up from below] with {p} {S} [hand|fist|arm] {n} {v}
            [does|delivers|swings] an uppercut_N with [the|{p}] {S} [fist|hand|arm] {n} {v}
            dips and [throws an uppercut_N|punches upwards] with {p} {S} hand {n} {v}
            bends {p} knees and punches up with the {S} [fist|hand] {n} {v}
            punches [someone|an opponent] under the chin with {p} {S} [fist|hand] {n} {v}
        """,
        veiled="""
            {v} drives {p} {S} [fist|hand] up under [a|the] chin {n}
            swings the {S} [fist|arm] upwards at [someone|an opponent|a jaw] {n} {v}
            dips and [strikes|drives] upwards with {p} {S} fist {n} {v}
            bends {p} knees and [rams|thrusts] the {S} fist [up|upwards] {n} {v}
            strikes [up|upwards] from [below|the hip] with the {S} [hand|fist] {n} {v}
            [throws|delivers] a rising blow_N with {p} {S} [fist|hand] {n} {v}
        """,
        held_out="""
            [launches|lands] an uppercut_N under the jaw with the {S} hand {n} {v}
            crouches and punches up under a chin with {p} {S} fist {n} {v}
            [sends|fires] a rising {S} uppercut_N at someone {n} {v}
        """,
        held_out_veiled="""
            [slams|sends] {p} {S} fist up into a jaw {n} {v}
            crouches and swings the {S} hand up under the chin {n} {v}
        """,
    ),
    "elbow strike": wording(
        named="""
            {v} hits [sideways|across|] with {p} {S} elbow {n}
            hits [someone|an opponent|somebody] across the face with the {S} elbow {n} {v}
            [turns|twists] and hits with a bent {S} elbow {n} {v}
            hits [someone|something|an opponent] with {p} {S} elbow {n} {v}
            [throws|delivers] a hit_N with the {S} elbow {n} {v}
            uses {p} {S} elbow to hit_V [someone|an opponent|something] {n} {v}
            folds {p} {S} arm and hits with the elbow {n} {v}
        """,
        veiled="""
            {v} strikes [across|forward|] with {p} {S} elbow {n}
            [smashes|slams|drives] the {S} elbow into [someone|an opponent|something] {n} {v}
            [whips|swings] {p} {S} elbow across [a face|the front|] {n} {v}
            folds {p} {S} arm and [swings|drives] the elbow across {n} {v}
            [throws|delivers|does] an elbow strike_N with the {S} arm {n} {v}
            elbows_V [someone|an opponent|somebody] with the {S} arm {n} {v}
        """,
        held_out="""
            [lands|sends] a hit_N across a jaw with the {S} elbow {n} {v}
            swings a bent {S} arm and hits [a rival|someone] with the elbow {n} {v}
            hits with {p} {S} elbow while turning {p} shoulders {n} {v}
        """,
        held_out_veiled="""
            [rams|slings] the {S} elbow across at [a rival|a jaw] {n} {v}
            twists and strikes an opponent with {p} bent {S} elbow {n} {v}
        """,
    ),
    "overhand slash": wording(
        named="""
            {v} hits [downwards|down] with {p} {S} [hand|arm] {n}
            raises the {S} [arm|hand] and hits down [hard|] {n} {v}
            hits from [overhead|above] with {p} {S} [fist|hand|arm] {n} {v}
            hits [someone|something|an opponent] from above with the {S} [hand|arm] {n} {v}
            lifts {p} {S} arm [overhead|high] and hits downwards {n} {v}
            swings {p} {S} [arm|hand] down to hit_V [someone|something] {n} {v}
        """,
        veiled="""
            {v} [slashes|chops|cuts] down with {p} {S} [arm|hand] {n}
            [chops|slashes|strikes] downwards with the {S} [hand|arm] {n} {v}
            swings [an axe|a club|a stick] down with {p} {S} [arm|hand] {n} {v}
            raises the {S} arm and [chops|strikes|slashes] down [hard|] {n} {v}
            [brings|swings|slams] {p} {S} hand down [onto someone|from overhead|on something] {n} {v}
            [hacks|chops] at [something|someone|an opponent] with {p} {S} arm {n} {v}
        """,
        held_out="""
            [lands|sends] a hit_N down from overhead with the {S} arm {n} {v}
            hits [a rival|an enemy] from above with {p} {S} [hand|fist] {n} {v}
            brings {p} {S} hand up high and hits down {n} {v}
        """,
        held_out_veiled="""
            [slings|whips] {p} {S} arm down from above at [a rival|someone] {n} {v}
            lifts a stick overhead and chops downwards with {p} {S} hand {n} {v}
        """,
    ),
    "pound": wording(
        named="""
            {v} beats [down|downwards] with both [fists|hands|arms] {n}
            beats [something|someone|the air] with both [hands|fists] {n} {v}
            hits down with both [fists|hands|arms] {n} {v}
            raises both fists and [beats|hits] down [hard|] {n} {v}
            beats [on|at] [something|a table] in front with both fists {n} {v}
            lifts both [arms|hands] and hits [something|downwards] {n} {v}
            uses both [fists|hands] to beat_V [something|someone] {n} {v}
        """,
        veiled="""
            {v} [pounds|hammers|smashes] down with both [fists|hands|arms] {n}
            hammers both fists [down|downwards|onto something] {n} {v}
            [smashes|slams|pounds] both fists onto [something|a table|someone] {n} {v}
            raises both [arms|fists] and [slams|pounds|hammers] them down {n} {v}
            [brings|swings] both fists down [hard|] on [something|someone|an opponent] {n} {v}
            strikes [downwards|down] with both [hands|fists] [together|] {n} {v}
        """,
        held_out="""
            [lands|sends] hits_N down onto something with both fists {n} {v}
            beats both [hands|fists] down on [a rival|an enemy] {n} {v}
            brings {p} fists up high and beats down with them {n} {v}
        """,
        held_out_veiled="""
            [rams|slings] both fists down onto [a rival|someone below] {n} {v}
            lifts both hands and smashes an enemy from above {n} {v}
        """,
    ),
}
