"""How each component is trained: data in, one network out; `hmu_tasks/train.py` names and stores the results."""
