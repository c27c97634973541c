"""Training data of generators: codes of a variant's clips with the embedded captions."""

from hmu_tasks.data.clips import packed
from hmu_tasks.models.networks import weights
from hmu_tasks.models.text.embeddings import embed_texts
from hmu_tasks.models.text.encoders import load_text
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.coded import tokenizer_with_codes
from hmu_tasks.training.loop.job import Job, split_of


def code_sets(job: Job) -> tuple[CodeSet, CodeSet, dict[str, int]]:
    """Encode a variant's clips with its tokenizer: training codes, validation codes, and the sizes of both inputs.

    sizes: quantizers Q, codes K and code_width C of the codebooks, text_width W of an embedded text's rows, and the
    most words that it has beside its sentence vector.
    """
    clips = packed.load(paths.CLIPS)
    encoder = load_text(paths.component("text"), job.device)
    tokenizer, codes = tokenizer_with_codes(job, clips, job.variant)
    sets = [split_of(clips, split, job.variant) for split in ("train", "val")]
    texts = [c.text for s in sets for row in s.captions for c in row]
    rows = embed_texts(encoder, texts, cache=paths.CACHE, digest=weights.digest(paths.component("text")))
    train, val = (
        CodeSet([codes[i] for i in s.ids], [[c.text for c in row] for row in s.captions], rows) for s in sets
    )
    quantizers, count, width = tokenizer.codebooks.shape
    read = {"text_width": encoder.width, "words": encoder.words}
    return train, val, {"quantizers": quantizers, "codes": count, "code_width": width, **read}
