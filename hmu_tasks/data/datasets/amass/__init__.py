"""HumanML3D made from AMASS as downloaded, HumanAct12 and the index, texts and lists of its repository."""
