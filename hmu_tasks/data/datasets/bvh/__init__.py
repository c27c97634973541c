"""Convert folders of BVH motion capture on any skeleton, with a captions table, into HumanML3D's layout."""

from hmu_tasks.data.datasets.bvh.writer import write_raw_folder

__all__ = ["write_raw_folder"]
