"""What the story world's oracle knows of its own documents."""

from components.filter.reading import Reading
from components.filter.signals.registry import signal


@signal("world_bad_act_v1")
def world_bad_act(reading: Reading) -> float:
    """1 where somebody acts badly; 0 where someone acts well, nobody chooses, or no oracle knows the text."""
    synth = reading.document.synth
    return float(synth is not None and synth.valence == "bad")
