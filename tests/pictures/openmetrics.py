# SPDX-License-Identifier: GPL-2.0-only
"""Figures of different times in one file, which ``promtool`` makes a database of.

The service publishes figures of one time, in Prometheus' text format. OpenMetrics has
the time behind each sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["samples", "span", "value", "write"]

#: What Prometheus adds when it asks a target.
_TARGET = {"instance": "lab:9464", "job": "ubypass"}


def samples(text: str, when: float) -> Iterator[str]:
    """Lines of OpenMetrics for all figures in ``text``, of the time ``when``."""
    for family in text_string_to_metric_families(text):
        if not family.name.startswith("ubypass_"):
            continue
        for sample in family.samples:
            labels = _labels({**sample.labels, **_TARGET})
            yield f"{sample.name}{{{labels}}} {sample.value!r} {when:.3f}"


def _labels(labels: Mapping[str, str]) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items())


def value(text: str, name: str, **labels: str) -> float:
    """That of a figure with just these labels; raises LookupError without it."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    raise LookupError(f"no {name}")


def write(file: Path, lines: Iterable[str]) -> None:
    """Write lines of :func:`samples`, as promtool wants them."""
    file.write_text("".join(f"{line}\n" for line in lines) + "# EOF\n", "utf-8")


def span(file: Path) -> tuple[float, float]:
    """Times of the first and of the last figure in a file of :func:`write`."""
    lines = file.read_text("utf-8").splitlines()
    times = [float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"]
    return min(times), max(times)
