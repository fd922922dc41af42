"""Exceptions of this package: as few as a caller needs to tell apart."""


class ExatrkxError(Exception):
    """Base of every error that this package raises on purpose."""


class ContractError(ExatrkxError, ValueError):
    """A tensor, a network or a configuration does not keep the contract of `exatrkx.contract`."""


class EventFormatError(ExatrkxError, ValueError):
    """A file of events cannot be read; the text names the file, the column and what is wrong."""


class GraphTooLargeError(ExatrkxError):
    """A graph would have more edges than the working point's `max_edges`: refused before memory is spent on it."""


class SimulationError(ExatrkxError):
    """The event generator or the detector simulation failed."""
