"""Readers of checkpoints that others wrote; each becomes a run.

A reader is one file with a `Reader` in it, and one line in `grokode.nets.readers.registry.READERS`
(from outside the package, that line alone)::

    def recognise(path: Path) -> bool:          # cheap, by names or by keys; never raises
        return path.is_dir() and (path / "config.json").exists()

    def read(path: Path, *, activation: str = "relu") -> Imported:
        held = read_tensors(path / "weights.safetensors")     # safe, from `files`
        theta = matrix(path, "W", held.pop("W"), (torch.float32,))
        ...                                     # name and refuse whatever is left in `held`
        return Imported(config, {step: {"theta": theta, "xi": xi}}, metrics, train, test, attrs)

    READERS["mine"] = Reader("a directory with config.json", recognise, read)

Keyword arguments of `read` are what a user may say, in Python and as flags of ``grokode import``.
What is shared is done for every reader: stored losses are held against the weights (`record`), and
the run is written (`writing`), or nothing is. A layout that has an export names it in
`grokode.nets.runs.EXPORTS`, by its ending.
"""

from grokode.nets.readers.record import Imported, Reader
from grokode.nets.readers.registry import READERS, import_checkpoint, import_published

__all__ = ["READERS", "Imported", "Reader", "import_checkpoint", "import_published"]
