"""How far a running job is, in its own words."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from django_jobs.core.serializer import clean_text, from_plain, to_plain
from django_jobs.exceptions import InvalidProgress

MAX_MESSAGE_CHARS: Final = 500
MAX_META_BYTES: Final = 16_384
MAX_STATE_CHARS: Final = 50
MAX_LOG_LINES: Final = 200
MAX_LOG_LINE_CHARS: Final = 500


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a job has said last."""

    done: float | None = None
    """In the job's own unit; None where it only told its state."""
    total: float | None = None
    """In the same unit; None where it does not know how much there is."""
    message: str = ""
    state: str = ""
    """A state of the job's own, as `PROGRESS`; empty for none."""
    meta: Any = None
    """Whatever it said beside that, made of plain values."""
    log: tuple[str, ...] = ()
    """The newest lines that it has logged, where it keeps them."""
    at_us: int = 0
    """When it said so, by its worker's clock."""

    @property
    def fraction(self) -> float | None:
        """`done` of `total`, from 0 to 1; None where one of them is not known."""
        return None if self.done is None or not self.total else self.done / self.total


_decoder = msgspec.json.Decoder(Progress)
_encoder = msgspec.json.Encoder()


def check_progress(done: Any, total: Any, message: Any) -> dict[str, Any]:
    """Return the changed fields of a Progress.

    Raises:
        InvalidProgress: `done` is beyond `total`, or one of them is no number of 0 or more.
    """
    for name, value in (("done", done), ("total", total)):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and 0 <= value < math.inf) and not (name == "total" and value is None):
            raise InvalidProgress(f"update_progress({name}={value!r:.80}): it is a number, 0 or more.")
    if total is not None and done > total:
        raise InvalidProgress(
            f"update_progress(done={done}, total={total}): more is done than there is. Nothing was recorded."
        )
    return {"done": done, "total": total, "message": clean_text(str(message)[:MAX_MESSAGE_CHARS])}


def check_state(state: Any, meta: Any) -> dict[str, Any]:
    """Return the changed fields of a Progress; None leaves one as it is.

    Raises:
        InvalidProgress: the name of the state is no short text, or `meta` is too large.
        SerializationError: JSON cannot carry `meta`.
    """
    changed: dict[str, Any] = {}
    if state is not None:
        if not isinstance(state, str) or not state.isprintable() or len(state) > MAX_STATE_CHARS:
            raise InvalidProgress(f"update_state(state={state!r:.80}): it is a text of at most {MAX_STATE_CHARS}.")
        changed["state"] = state
    if meta is not None:
        plain = to_plain(meta, "meta")
        size = len(_encoder.encode(plain))
        if size > MAX_META_BYTES:
            raise InvalidProgress(
                f"update_state: meta is {size:,} bytes of JSON; {MAX_META_BYTES:,} are the most. Store the data "
                "elsewhere and name it."
            )
        changed["meta"] = plain
    return changed


def log_line(text: str) -> str:
    """Return a line as it is kept: of bounded length, without what a store may refuse."""
    return clean_text(text if len(text) <= MAX_LOG_LINE_CHARS else f"{text[:MAX_LOG_LINE_CHARS]}...")


def encode_progress(progress: Progress) -> str:
    """Return it as JSON text; its `meta` is plain already."""
    return _encoder.encode(progress).decode()


def decode_progress(text: str) -> Progress:
    """Read what `encode_progress` wrote."""
    progress = _decoder.decode(text)
    return msgspec.structs.replace(progress, meta=from_plain(progress.meta))
