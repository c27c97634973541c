"""Sentences of the violent actions of feet and knees."""

from hmu_tasks.data.datasets.synthetic.wordings.wording import Wording, wording

KICKS: dict[str, Wording] = {
    "front kick": wording(
        named="""
            {v} kicks {h} [to the front|straight ahead|out in front] with {p} {S} [leg|foot] {n}
            kicks {h} forward {n} {v} with [the|{p}] {S} [foot|leg]
            [throws|delivers|does|executes] a {h} [front|straight|forward] kick_N with {p} {S} [leg|foot] {n} {v}
            lifts {p} {S} knee and kicks {h} [forward|straight out] {n} {v}
            uses {p} {S} [leg|foot] to kick_V {h} [forward|at something in front] {n} {v}
            {v} kicks {h} at [someone|an opponent|something] in front with the {S} foot {n}
            extends {p} {S} leg in a {h} front kick_N {n} {v}
        """,
        veiled="""
            {v} [snaps|thrusts|shoots] {p} {S} [foot|leg] {h} [to the front|straight ahead] {n}
            [thrusts|drives|rams] the {S} [foot|heel] {h} forward [at|into] [someone|an opponent|something] {n} {v}
            shoots {p} {S} leg {h} straight out {n} {v}
            lifts {p} {S} knee and [shoots|thrusts|snaps] the foot {h} [forward|out] {n} {v}
            [strikes|lashes out] {h} [forward|to the front] with {p} {S} [foot|heel|leg] {n} {v}
        """,
        held_out="""
            [lands|sends] a {h} kick_N straight ahead with the {S} [foot|leg] {n} {v}
            kicks {h} with the {S} foot at [a rival|an enemy] [in front|ahead] {n} {v}
            [brings the {S} knee up|raises {p} {S} knee] for a {h} kick_N to the front {n} {v}
        """,
        held_out_veiled="""
            [drives|slams] the sole of {p} {S} foot {h} into [a rival|someone ahead] {n} {v}
            raises {p} {S} knee and rams the heel {h} straight ahead {n} {v}
        """,
    ),
    "side kick": wording(
        named="""
            {v} kicks [out|] sideways with {p} {S} [leg|foot|heel] {n}
            [does|throws|performs|delivers] a side kick_N with [the|{p}] {S} [foot|leg] {n} {v}
            [throws|executes] a sideways kick_N to the {S} {n} {v}
            kicks [out|] to the {S} side [with the heel|] {n} {v}
            leans [away|to the {O}] and kicks out to the {S} {n} {v}
            lifts {p} {S} leg and kicks [sideways|to the side] {n} {v}
            uses {p} {S} [foot|heel] to kick_V [something|someone] at {p} side {n} {v}
        """,
        veiled="""
            {v} thrusts {p} {S} [foot|leg|heel] out [to the side|sideways] {n}
            drives the {S} [heel|foot] sideways into [an opponent|someone|something] {n} {v}
            {v} lashes out [sideways|to the {S}] with {p} {S} [leg|foot] {n}
            leans [away|to the {O}] and [shoots|rams] the {S} foot out to the side {n} {v}
            strikes [sideways|to the {S} side] with {p} {S} [heel|foot] {n} {v}
            lifts {p} {S} knee and snaps the foot [sideways|out to the side] {n} {v}
        """,
        held_out="""
            [launches|sends] a kick_N out to the {S} side {n} {v}
            tilts away and kicks an opponent [on {p} {S}|at {p} side] with the heel {n} {v}
            shoots out {p} {S} leg in a side kick_N {n} {v}
        """,
        held_out_veiled="""
            [rams|slams] {p} {S} heel into someone at {p} side {n} {v}
            tilts away and drives the {S} leg out sideways {n} {v}
        """,
    ),
    "roundhouse kick": wording(
        named="""
            {v} [throws|delivers|performs] a {h} roundhouse kick_N with {p} {S} [leg|foot] {n}
            does a {h} [spinning|round|roundhouse] kick_N with the {S} [leg|foot] {n} {v}
            kicks {h} in [an arc|a half circle] with {p} {S} [foot|leg] {n} {v}
            swings a {h} round kick_N with the {S} leg {n} {v}
            [turns|rotates] {p} hips and kicks {h} [around|across] with the {S} [leg|foot] {n} {v}
            {v} kicks {h} from the side [with a swing_N of|with] {p} {S} leg {n}
            swings {p} {S} leg around to kick_V [someone|an opponent] {h} {n} {v}
        """,
        veiled="""
            {v} swings {p} {S} [leg|foot] {h} around at [someone|an opponent] {n}
            [whips|swings] the {S} leg {h} around in [an arc|a half circle] {n} {v}
            sweeps {p} {S} [foot|leg] {h} across [an opponent|someone|the front] {n} {v}
            turns {p} hips and [whips|sweeps] the {S} [foot|leg] {h} across {n} {v}
            strikes {h} in an arc with {p} {S} [foot|leg] {n} {v}
            lashes out {h} in a [wide arc|curve] with the {S} [leg|foot] {n} {v}
        """,
        held_out="""
            [launches|whips] a {h} roundhouse kick_N around with the {S} leg {n} {v}
            kicks {h} across in a wide curve with {p} {S} foot {n} {v}
            [sends|unleashes] a {h} round kick_N from the {S} {n} {v}
        """,
        held_out_veiled="""
            [slings|whips] the {S} foot {h} across at [a rival|an opponent] {n} {v}
            twists {p} hips and swings the {S} leg {h} around in a wide curve {n} {v}
        """,
    ),
    "back kick": wording(
        named="""
            {v} kicks [backwards|to the rear|to the back] with {p} {S} [leg|foot|heel] {n}
            [does|throws|delivers|performs] a [back|backward] kick_N with the {S} [foot|leg] {n} {v}
            kicks behind [with the {S} heel|{p} body with the {S} foot] {n} {v}
            leans forward and kicks [behind|backwards|out to the back] with the {S} leg {n} {v}
            {v} kicks [someone|something|an opponent] behind with {p} {S} [heel|foot] {n}
            bends forward and kicks the {S} leg [back|out behind] {n} {v}
        """,
        veiled="""
            {v} drives {p} {S} [heel|foot] back into [someone|something|an opponent] {n}
            [thrusts|shoots] the {S} [leg|foot] out behind {n} {v}
            lashes out [backwards|behind] with the {S} [foot|leg|heel] {n} {v}
            leans forward and [rams|thrusts|drives] {p} {S} heel [backwards|back] {n} {v}
            strikes [backwards|to the rear|behind] with the {S} [heel|foot] {n} {v}
        """,
        held_out="""
            [launches|sends] a kick_N backwards with the {S} heel {n} {v}
            tilts forward for a back kick_N with {p} {S} leg {n} {v}
            kicks [a rival|an enemy] to the rear with {p} {S} foot {n} {v}
        """,
        held_out_veiled="""
            [slams|rams] the {S} heel out behind into someone {n} {v}
            tilts forward and shoots {p} {S} foot backwards {n} {v}
        """,
    ),
    "knee strike": wording(
        named="""
            {v} hits [upwards|forward|] with {p} {S} knee {n}
            hits [someone|an opponent|somebody] with [the|{p}] {S} knee {n} {v}
            grabs [an opponent|someone|a head] and hits [upwards|] with the {S} knee {n} {v}
            pulls [someone|an opponent|something] down and hits with {p} {S} knee {n} {v}
            [throws|delivers] a hit_N with {p} {S} knee {n} {v}
            uses {p} {S} knee to hit_V [someone|an opponent|something] {n} {v}
        """,
        veiled="""
            {v} strikes [upwards|forward|] with {p} {S} knee {n}
            [drives|rams|thrusts] the {S} knee up into [someone|an opponent|a stomach] {n} {v}
            pulls [an opponent|someone] down onto {p} {S} knee {n} {v}
            grabs [someone|a head] and [drives|thrusts] the {S} knee [up|upwards] {n} {v}
            [delivers|throws|does] a [knee_N strike_N|strike_N] with {p} {S} knee {n} {v}
            knees_V [someone|an opponent|somebody] with the {S} leg {n} {v}
        """,
        held_out="""
            [lands|sends] a hit_N upwards with the {S} knee {n} {v}
            seizes someone and hits [the stomach|a rival] with {p} {S} knee {n} {v}
            hits with the {S} knee while pulling someone down {n} {v}
        """,
        held_out_veiled="""
            [slams|drives] {p} {S} knee into [a rival|the belly] {n} {v}
            seizes an opponent and rams the {S} knee upwards {n} {v}
        """,
    ),
    "stomp": wording(
        named="""
            {v} hits the [ground|floor] [hard|] with {p} {S} [foot|heel] {n}
            kicks down at [the ground|the floor|something] with the {S} foot {n} {v}
            lifts {p} {S} [leg|foot|knee] and hits the [floor|ground] hard {n} {v}
            kicks downwards [hard|] with {p} {S} [heel|foot] {n} {v}
            hits [something|someone] on the [floor|ground] with {p} {S} foot {n} {v}
            raises {p} {S} knee and kicks [down|downwards] {n} {v}
        """,
        veiled="""
            {v} stomps [down|hard|] with {p} {S} [foot|leg] {n}
            [stamps|slams] the {S} foot [on|onto|into] the [ground|floor] {n} {v}
            crushes [something|someone] under {p} {S} [heel|foot] {n} {v}
            lifts {p} {S} [knee|leg] and [stomps|stamps] [on the floor|down hard] {n} {v}
            drives {p} {S} heel [down|downwards] into [the ground|something|someone] {n} {v}
            tramples [something|someone] with {p} {S} foot {n} {v}
        """,
        held_out="""
            [sends|lands] a kick_N down onto the floor with {p} {S} heel {n} {v}
            hits the ground below with {p} {S} [sole|heel] {n} {v}
            kicks down hard at someone on the floor with the {S} foot {n} {v}
        """,
        held_out_veiled="""
            [rams|pounds] {p} {S} foot into the floor {n} {v}
            raises {p} {S} leg and crushes an enemy below {n} {v}
        """,
    ),
}
