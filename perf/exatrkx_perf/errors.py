"""Errors of a measurement."""

from exatrkx.errors import ExatrkxError, ExitCode


class PerfError(ExatrkxError):
    """Base of every error of this package; its text is for the person at the command line."""

    exit_code = ExitCode.USAGE


class ToolMissingError(PerfError):
    """perf_analyzer is not on this machine, or cannot run here; the text says what to install."""


class MeasurementError(PerfError):
    """One point could not be measured; the text carries what the tool said."""


class ResultsError(PerfError):
    """A file of results cannot be used: not one, of another machine, or without what is asked of it."""
