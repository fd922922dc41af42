"""Prometheus's text format, written out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exatrkx.reporting.prometheus import Family, exposition

if TYPE_CHECKING:
    from exatrkx.reporting.prometheus import Sample


def test_families_labels_and_numbers() -> None:
    samples: dict[str, list[Sample]] = {"_sum": [({"model": "a"}, 0.25)], "_count": [({"model": "a"}, 3)]}
    text = exposition([Family("ready", "gauge", "Well.", {"": [({}, 1)]}), Family("s", "summary", "Times.", samples)])
    assert text == (
        "# HELP ready Well.\n# TYPE ready gauge\nready 1\n"
        '# HELP s Times.\n# TYPE s summary\ns_sum{model="a"} 0.250000\ns_count{model="a"} 3\n'
    )


def test_nothing_measured_yet() -> None:
    assert str(Family("f", "counter", "Failures.", {"": []})) == "# HELP f Failures.\n# TYPE f counter\n"


def test_what_is_escaped() -> None:
    family = Family("f", "counter", "F.", {"": [({"a": 'quote " back \\ line\n', "b": "µ"}, 2)]})
    assert str(family).splitlines()[-1] == 'f{a="quote \\" back \\\\ line\\n",b="µ"} 2'
