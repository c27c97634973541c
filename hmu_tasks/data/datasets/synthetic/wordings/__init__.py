"""Sentences for every action of the grammar, with some that are held out of all captions."""

from hmu_tasks.data.datasets.synthetic.wordings.blows import BLOWS
from hmu_tasks.data.datasets.synthetic.wordings.gestures import HANDS
from hmu_tasks.data.datasets.synthetic.wordings.kicks import KICKS
from hmu_tasks.data.datasets.synthetic.wordings.postures import POSTURES
from hmu_tasks.data.datasets.synthetic.wordings.travel import TRAVEL
from hmu_tasks.data.datasets.synthetic.wordings.wording import Wording

WORDINGS: dict[str, Wording] = {**KICKS, **BLOWS, **TRAVEL, **HANDS, **POSTURES}
