"""What of a run is complete: ``run.json``, replaced in one rename, and the journal it vouches for.

``run.json`` holds what does not change (configuration, seeds, parameters, data with digests) and
the length and digest of ``journal.jsonl``, to which each publication appends one line: checkpoints
and the digest of each of their chunks, logged steps, ends of seeds, the state to resume from. Each
line carries a digest of itself and all lines before.
"""

import hashlib
import json
import math
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from grokode.nets.runs.layout import DATA, Layout, Plan, chunk_count, expected, plan_data, plans
from grokode.nets.runs.record import Record, parse_record
from grokode.nets.training.config import TrainingConfig

__all__ = [
    "FORMAT",
    "JOURNAL",
    "MOST_SEEDS",
    "START",
    "Header",
    "Manifest",
    "chained",
    "digest_of",
    "versions",
]

FORMAT = 3
JOURNAL = "journal.jsonl"
START = hashlib.sha256(b"").hexdigest()
"""Digest of a journal without lines."""

_LARGEST = 2**26
"""Bytes of ``run.json`` and of a line of the journal at most."""
MOST_SEEDS = 2**16
"""Of one run."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DTYPES = ("int64", "float32", "float64", "uint8")


@dataclass(frozen=True)
class Header:
    """What ``run.json`` says, checked.

    Parameters
    ----------
    id : str
        Drawn when the run was made, and its own.
    config : TrainingConfig
    seeds : tuple of int
    metrics : name -> long name
    attrs : name -> plain value
    data : name -> (plan, digests of its chunks), or None before the data are written
    journal : (bytes, digest)
    """

    id: str
    config: TrainingConfig
    seeds: tuple[int, ...]
    metrics: dict[str, str]
    attrs: dict[str, Any]
    data: dict[str, tuple[Plan, tuple[str, ...]]] | None = None
    journal: tuple[int, str] = (0, START)

    @property
    def plans(self) -> dict[str, Plan]:
        """The arrays that grow."""
        return plans(self.config, len(self.seeds), self.metrics)

    def text(self) -> bytes:
        """The content of ``run.json``."""
        parameters, dtype, _ = expected(self.config)
        values = {
            "format": FORMAT,
            "id": self.id,
            "config": self.config.to_dict(),
            "seeds": list(self.seeds),
            "dtype": dtype,
            "parameters": _plain_layouts(parameters),
            "metrics": self.metrics,
            "attrs": self.attrs,
            "data": None
            if self.data is None
            else {
                name: {"shape": list(plan.shape), "dtype": plan.dtype, "sha256": list(digests)}
                for name, (plan, digests) in self.data.items()
            },
            "journal": {"bytes": self.journal[0], "sha256": self.journal[1]},
        }
        return json.dumps(values | {"sha256": digest_of(values)}, indent=1).encode()

    @classmethod
    def parse(cls, content: bytes) -> "Header":
        """Back from `text`; ValueError says what is wrong."""
        values = _load(content)
        if not isinstance(values, dict):
            raise ValueError("it is no JSON object")
        if values.get("format") != FORMAT:
            raise ValueError(f"format {values.get('format')!r:.40} is unknown, not 2 or {FORMAT}")
        if values.pop("sha256", None) != digest_of(values):
            raise ValueError("it was altered: its checksum does not fit")
        names = "format id config seeds dtype parameters metrics attrs data journal"
        if values.keys() != set(names.split()):
            raise ValueError(f"it must have {names.replace(' ', ', ')}, sha256 and nothing else")
        return cls._checked(values)

    @classmethod
    def _checked(cls, values: dict[str, Any]) -> "Header":
        config, seeds = check_config(values["config"]), check_seeds(values["seeds"])
        layouts, dtype, _ = expected(config)
        if values["dtype"] != dtype or values["parameters"] != _plain_layouts(layouts):
            raise ValueError("parameters are not those of the configuration")
        metrics = values["metrics"]
        _need(isinstance(metrics, dict) and metrics, "metrics must be names with their meaning")
        _need(
            all(_NAME.fullmatch(name) and type(text) is str for name, text in metrics.items()),
            "metrics must be names with their meaning",
        )
        _need(_is_digest(values["id"]), "id must be a digest")
        journal = values["journal"]
        _need(
            isinstance(journal, dict)
            and journal.keys() == {"bytes", "sha256"}
            and type(journal["bytes"]) is int
            and 0 <= journal["bytes"] < 2**40
            and _is_digest(journal["sha256"]),
            "journal must be a length and a digest",
        )
        return cls(
            values["id"],
            config,
            seeds,
            metrics,
            check_attrs(values["attrs"]),
            _check_data(values["data"], len(seeds)),
            (journal["bytes"], journal["sha256"]),
        )


@dataclass
class Manifest:
    """Header and journal of a run, as far as they are whole.

    Parameters
    ----------
    header : Header
    steps : list of int
        Checkpoints.
    logged : list of int
        Logged steps.
    chunks : path of an array -> digests of its chunks
        In the order of `Plan.keys`.
    records : list of Record
        Every publication, its checkpoints and logged steps as counts up to it.
    damage : str
        What is damaged of a last publication that is not used.
    """

    header: Header
    plans: dict[str, Plan]
    steps: list[int] = field(default_factory=list)
    logged: list[int] = field(default_factory=list)
    chunks: dict[str, list[str]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    damage: str = ""

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read and check; where a writer is at work, what it published last.

        Raises
        ------
        ValueError
            If run.json or the journal is no such file or not as it was written, naming it.
        """
        while True:
            content = header_bytes(path)
            try:
                return cls._of(path, Header.parse(content))
            except (ValueError, RecursionError) as error:
                # Of a writer's publication meanwhile, or really damaged.
                if header_bytes(path) == content:
                    named = str(path) in str(error)
                    text = f"{error}" if named else f"{path / 'run.json'} is damaged ({error})"
                    raise ValueError(f"{text}; restore it from a copy") from None

    @property
    def digest(self) -> str:
        """Of all that the header and the publications in use say, so of all that can be read."""
        constant = replace(self.header, journal=(0, START)).text()
        return chained(self.last.chain if self.records else START, constant)

    @classmethod
    def _of(cls, path: Path, header: Header) -> "Manifest":
        manifest = cls(header, header.plans)
        manifest.chunks = {name: [] for name in manifest.plans}
        file, (left, head) = path / JOURNAL, header.journal
        if not left:
            _need(head == START, "the journal is empty, its digest is not")
            return manifest
        if not file.is_file() or file.stat().st_size < left:
            raise ValueError(f"{file} is missing or cut short")
        offset, chain = 0, START
        with file.open("rb") as lines:
            while left:
                line = lines.readline(min(left, _LARGEST))
                left -= len(line)
                stated, _, body = line.rstrip(b"\n").partition(b" ")
                chain = chained(chain, body)
                if stated.decode("ascii", "replace") != chain or not line.endswith(b"\n"):
                    manifest._stop_at(f"{file} was altered in line {len(manifest.records) + 1}")
                    _need(not left and manifest.records, manifest.damage)
                    return manifest
                offset += len(line)
                try:
                    manifest._add(parse_record(_load(body)), offset, chain)
                except ValueError as error:
                    where = f"line {len(manifest.records) + 1}"
                    raise ValueError(f"{file} is damaged in {where} ({error})") from None
        if chain != head:
            raise ValueError(f"{file} is not the one that run.json names")
        return manifest

    def _stop_at(self, why: str) -> None:
        self.damage = why

    def _add(self, record: Record, offset: int, chain: str) -> None:
        before = self.records[-1] if self.records else None
        weights = [name for name in self.plans if name.startswith("weights/")]
        for step, chunks in record.checkpoints:
            _need(not self.steps or step > self.steps[-1], "steps must grow")
            self.steps.append(step)
            _need(chunks.keys() == {*weights}, "a checkpoint must have every parameter")
            for name in weights:
                _need(len(chunks[name]) == self.plans[name].seed_chunks, "a chunk is not named")
                self.chunks[name] += chunks[name]
        for step in record.logged:
            _need(not self.logged or step > self.logged[-1], "logged steps must grow")
            self.logged.append(step)
        _need(record.full.keys() <= self.plans.keys() - {*weights}, "an array is unknown")
        for name in self.plans.keys() - {*weights}:
            self.chunks[name] += record.full.get(name, [])
            full = len(self.logged) // self.plans[name].rows
            _need(len(self.chunks[name]) == full, "a chunk is not named")
        _need(bool(self.steps), "there is no checkpoint before it")
        _need(bool(record.tail) == bool(tail_bytes(self.plans, len(self.logged))), "tail")
        seeds = {*self.header.seeds}
        _need({*record.seeds} <= seeds and {*map(int, record.ended or {})} <= seeds, "seeds")
        record.settle(before, self.steps[-1], len(self.steps), len(self.logged), offset, chain)
        self.records.append(record)

    @property
    def last(self) -> Record:
        """The last publication."""
        return self.records[-1]

    @property
    def ended(self) -> dict[int, dict[str, Any]]:
        """Seeds that ended, with step and reason."""
        return {int(seed): end for seed, end in (self.last.ended or {}).items()}

    def drop_last(self, why: str) -> None:
        """Go back by one publication, because of what is damaged."""
        self.damage = self.damage or why
        self.records.pop()
        steps, logged = (self.last.steps, self.last.rows) if self.records else (0, 0)
        del self.steps[steps:], self.logged[logged:]
        for name, plan in self.plans.items():
            blocks = steps if name.startswith("weights/") else logged // plan.rows
            del self.chunks[name][blocks * plan.seed_chunks :]


def header_bytes(path: Path, name: str = "run.json") -> bytes:
    """The content of ``run.json``; ValueError if the directory is no run."""
    if not path.is_dir():
        raise ValueError(f"{path} is no directory; give a run made by train or import")
    file = path / name
    try:
        if not file.is_file():
            raise FileNotFoundError
        if file.stat().st_size > _LARGEST:
            raise ValueError(f"{file} is damaged (too large); restore it from a copy")
        return file.read_bytes()
    except FileNotFoundError:
        raise ValueError(
            f"{path} is no run (it has no {name}); give a directory made by train or import"
        ) from None


def tail_bytes(arrays: Mapping[str, Plan], rows: int) -> int:
    """Size of the file of logged steps that do not fill a chunk yet."""
    return sum(
        rows % plan.rows * plan.row_bytes
        for name, plan in arrays.items()
        if not name.startswith("weights/")
    )


def chained(before: str, body: bytes) -> str:
    """Digest of a line of the journal and all before it."""
    return hashlib.sha256(before.encode() + body).hexdigest()


def digest_of(values: Mapping[str, Any]) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Of Python, grokode and what computes."""
    names = ("grokode", "torch", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def check_config(values: Any) -> TrainingConfig:
    """The configuration that a manifest holds."""
    _need(isinstance(values, dict), "config must be an object")
    try:
        return TrainingConfig.from_dict(values)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"config: {error}") from None


def check_seeds(values: Any) -> tuple[int, ...]:
    """Different integers."""
    fine = isinstance(values, list) and 0 < len(values) <= MOST_SEEDS
    fine = fine and all(type(seed) is int and 0 <= seed < 2**32 for seed in values)
    _need(fine and len({*values}) == len(values), "seeds must be different integers")
    return tuple(values)


def check_attrs(values: Any) -> dict[str, Any]:
    """Names with plain values."""
    _need(isinstance(values, dict), "attrs must be an object")
    for value in values.values():
        plain = value is None or type(value) in (str, int, bool)
        _need(plain or (type(value) is float and math.isfinite(value)), "attrs must be plain")
    return values


def _check_data(values: Any, seeds: int) -> dict[str, tuple[Plan, tuple[str, ...]]] | None:
    if values is None:
        return None
    _need(isinstance(values, dict) and values.keys() <= {*DATA}, f"data must be of {DATA}")
    _need({"inputs", "answers"} <= values.keys(), "data must have inputs and answers")
    result = {}
    for name, of in values.items():
        fine = isinstance(of, dict) and of.keys() == {"shape", "dtype", "sha256"}
        _need(fine and of["dtype"] in _DTYPES, f"data must say shape, dtype, sha256 of {name}")
        shape, digests = of["shape"], of["sha256"]
        fine = isinstance(shape, list) and 1 <= len(shape) <= 8 and isinstance(digests, list)
        fine = fine and all(type(size) is int and 0 <= size < 2**31 for size in shape)
        _need(fine and math.prod(shape) < 2**40, f"data must have a shape for {name}")
        if name != "inputs":
            _need(len(shape) == 2 and shape[0] == seeds, f"data must have every seed for {name}")
        plan = plan_data(name, shape, of["dtype"])
        count = chunk_count(shape[0], plan.rows) if math.prod(shape) else 0
        _need(len(digests) == count and all(map(_is_digest, digests)), f"data digests of {name}")
        result[name] = (plan, tuple(digests))
    _need(
        result["answers"][0].shape[1] == result["inputs"][0].shape[0],
        "data must have an answer to every input",
    )
    return result


def _plain_layouts(layouts: Mapping[str, Layout]) -> dict[str, Any]:
    return {
        name: {"dims": list(layout.dims), "shape": list(layout.shape)}
        for name, layout in layouts.items()
    }


def _is_digest(value: Any) -> bool:
    return type(value) is str and _DIGEST.fullmatch(value) is not None


def _load(content: bytes) -> Any:
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _need(fine: Any, what: str) -> None:
    if not fine:
        raise ValueError(what)
