"""Components read from official checkpoints instead of being trained: `train.mode: pretrained`."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hmu_tasks.models import model_named
from hmu_tasks.models.evaluators.words import GloveWords
from hmu_tasks.models.generators.length import save_length
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import SOURCE, load_config, save_absent, save_statistics
from hmu_tasks.models.official import archive, networks
from hmu_tasks.models.official.clip import import_clip
from hmu_tasks.models.official.glove import FILES, read_glove
from hmu_tasks.models.official.networks import Official, Upstream
from hmu_tasks.models.text.encoders import load_text
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import read_object, write_json
from hmu_tasks.training.loop.history import History
from hmu_tasks.training.loop.job import Job

if TYPE_CHECKING:
    from hmu_tasks.config.params import Params

NO_RETRAINED = "no model retrained on the retain set is published, and train.pretrained.retrain is absent"


def importer(params: "Params", component: str, variant: str | None) -> Callable[[Job], History] | None:
    """Return the importer of a component; None if it is to be trained."""
    retrain = params.train.pretrained.retrain
    name, _, model = component.partition("-")
    if name not in IMPORTS or (model and model_named(model).official is None):
        return None
    if variant == "retrain" and retrain in ("train", "absent"):
        return None if retrain == "train" else absent
    return partial(IMPORTS[name], model=model) if model else IMPORTS[name]


def absent(job: Job) -> History:
    """Leave a component of D_r out; its config.json gives the reason."""
    save_absent(job.folder, NO_RETRAINED)
    return History()


def text(job: Job) -> History:
    """CLIP, and the length estimator that reads its sentence vectors."""
    read = [import_clip(job.params.train.text.clip_folder, job.folder)]
    if job.params.train.pretrained.length is not None:
        length = networks.read_length_estimator(_place(job, job.params.train.pretrained.length))
        width = load_text(job.folder, job.device).width
        if length.config["text_width"] != width:
            raise WeightsError(
                f"{length.files[0]} reads sentence vectors of width {length.config['text_width']}, "
                f"but train.text.clip_folder gives {width}"
            )
        save_length(length.state, length.config, job.folder)
        read += length.files
    _record(job, read)
    return History()


def tokenizer(job: Job) -> History:
    """The RVQ-VAE with the statistics of its own meta folder."""
    return _write(job, networks.read_tokenizer(_place(job, job.params.train.pretrained.tokenizer)))


def base(job: Job, model: str) -> History:
    """The network that belongs to `model` alone, read by what its descriptor names."""
    address = model_named(model).official
    assert address is not None
    read: Callable[[Path, Upstream], Official] = found_at(address)
    place = _place(job, getattr(job.params.train.pretrained.base, model))
    return _write(job, read(place, _upstream(job)))


def residual(job: Job) -> History:
    """The residual transformer, which MoMask and BAMM share."""
    place = _place(job, job.params.train.pretrained.residual)
    return _write(job, networks.read_residual_transformer(place, _upstream(job)))


def evaluator(job: Job) -> History:
    """The published evaluator with its statistics and its GloVe vocabulary."""
    described = _place(job, job.params.train.pretrained.evaluator_options)
    official = networks.read_evaluator(_place(job, job.params.train.pretrained.evaluator), described)
    folder = _place(job, job.params.train.pretrained.glove)
    words, vectors = read_glove(folder)
    if vectors.shape[1] != official.config["word_width"]:
        raise WeightsError(
            f"{folder} has word vectors of width {vectors.shape[1]}, "
            f"but {official.files[0]} reads {official.config['word_width']}"
        )
    GloveWords(words, vectors).save(job.folder)
    return _write(job, official, [folder / name for name in FILES])


IMPORTS: dict[str, Callable[..., History]] = {
    "text": text,
    "evaluator": evaluator,
    "tokenizer": tokenizer,
    "base": base,
    "residual": residual,
}


def _place(job: Job, part: Path) -> Path:
    source = job.params.train.pretrained.source
    if job.variant == "retrain":
        source = source / job.params.train.pretrained.retrain
    if not source.is_dir():
        raise WeightsError(
            f"{source} is not a folder; set train.pretrained.source to the folder of the official checkpoints"
        )
    return source / part


def _upstream(job: Job) -> Upstream:
    """Sizes and names of what the transformers read, from the components that were imported before."""
    place = paths.component("tokenizer", job.variant)
    sizes = load_config(place)
    return Upstream(
        codes=int(sizes["codes"]),
        code_width=int(sizes["code_width"]),
        quantizers=int(sizes["quantizers"]),
        names=tuple(read_object(place / SOURCE, "names")["names"]),
        text_width=load_text(paths.component("text"), job.device).width,
    )


def _write(job: Job, official: Official, more: Sequence[Path] = ()) -> History:
    weights.save(official.state, official.config, job.folder)
    if official.statistics is not None:
        save_statistics(*official.statistics, job.folder)
    _record(job, [*official.files, *more], official.names)
    return History()


def _record(job: Job, files: Sequence[Path], names: Sequence[str] = ()) -> None:
    """Write down which files were read, with the digests that sha256sum prints."""
    source = job.params.train.pretrained.source
    digests = {
        (path.relative_to(source) if path.is_relative_to(source) else Path(path.name)).as_posix(): (
            archive.sha256(path)
        )
        for path in files
    }
    write_json(job.folder / SOURCE, {"files": digests, "names": list(names)})
