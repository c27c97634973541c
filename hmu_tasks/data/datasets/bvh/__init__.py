"""Folders of BVH motion capture: any skeleton onto the 22 joints, captions from a table, HumanML3D's layout out."""

from hmu_tasks.data.datasets.bvh.writer import write_raw_folder

__all__ = ["write_raw_folder"]
