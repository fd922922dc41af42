"""Workflow of a batch on Dask distributed: one task a file, on workers of this machine or of a cluster."""

from __future__ import annotations

import logging
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from exatrkx.errors import ExatrkxError, OutputError
from exatrkx.progress import bar
from exatrkx_batch.tasks import Figures, Task, run
from exatrkx_client.errors import ClientError, RequestRejectedError, ServerUnavailableError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from distributed import Client, Future

CLUSTERS: Final = {"slurm": "SLURMCluster", "htcondor": "HTCondorCluster"}
"""Batch systems, and the classes of `dask_jobqueue` that put workers on them."""

SETTINGS: Final = {
    "distributed": {
        "admin": {"tick": {"interval": "1s"}, "system-monitor": {"interval": "10s"}},
        "worker": {"memory": {"monitor-interval": "1s"}, "profile": {"enabled": False}},
    }
}
"""Dask's where its user has none of his own. Its defaults watch each process a hundred times a second, for a dashboard
that is not there, and take a tenth of two cores for two workers."""

NO_WORKERS: Final = {"distributed": {"scheduler": {"no-workers-timeout": "120s"}}}
"""The same, of workers on this machine: after so long without any, none comes. Jobs may wait for hours."""


class FilesFailedError(ExatrkxError):
    """Files of a batch could not be done; the others are."""

    is_list = True


class NoWorkersError(ExatrkxError):
    """No worker is left for the files that are not done, and none has come in the time that it may take."""


@dataclass(slots=True)
class Outcome:
    """What became of the files, by name.

    Attributes:
        done: their figures.
        failed: why the others have none.
        found: how many were there before, and had not to be done.
        answered_by: who answered how many events of the others.
    """

    done: dict[str, Figures] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    found: int = 0
    answered_by: Counter[str] = field(default_factory=Counter)


@contextmanager
def dask_client(options: argparse.Namespace) -> Iterator[Client]:
    """A connection to the workers that the options ask for, which end with it unless they were there before.

    Workers take orders, and Python objects, from whoever reaches them: those that are started here talk TLS with
    a certificate of their own, so that no other user of the machine or its network can.

    Raises:
        ServerUnavailableError: there is no scheduler at `--scheduler`.
        ExatrkxError: the batch system does not take jobs.
    """
    import distributed  # noqa: PLC0415 - `--help` needs no Dask

    if options.scheduler:
        where = {"address" if "://" in options.scheduler else "scheduler_file": options.scheduler}
        try:
            client = distributed.Client(**where, timeout=options.wait)
        except (OSError, ValueError) as error:
            raise ServerUnavailableError(f"{options.scheduler}: no Dask scheduler answers: {error}") from error
        with client:
            yield client
        return
    with _cluster(options) as cluster, distributed.Client(cluster) as client:
        yield client


def _cluster(options: argparse.Namespace) -> Any:
    """Workers of this machine, or jobs of a batch system."""
    import dask  # noqa: PLC0415
    import distributed  # noqa: PLC0415

    dask.config.update_defaults(SETTINGS)
    security = distributed.Security.temporary()
    if options.cluster == "local":
        dask.config.update_defaults(NO_WORKERS)
        # Without an address the scheduler listens on port 8787 of every interface, though there is no dashboard.
        one_each = {"n_workers": options.workers, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
        try:
            return distributed.LocalCluster(**one_each, security=security, silence_logs=logging.CRITICAL)
        except RuntimeError as error:
            raise NoWorkersError(f"the workers do not start: {error}") from error
    kind = getattr(import_module("dask_jobqueue"), CLUSTERS[options.cluster])
    try:
        cluster = kind(security=security, shared_temp_directory=str(options.output))
        cluster.scale(jobs=options.workers)
    except (OSError, ValueError, RuntimeError) as error:
        raise ExatrkxError(f"{options.cluster}: {error}") from error
    return cluster


def do_all(client: Client, tasks: Sequence[Task], wait_s: float) -> Outcome:
    """Do every task, and show how far it is.

    A file at fault costs the others nothing. What would fail for all of them ends the batch: what is done stays.

    Args:
        client: of the workers.
        tasks: one a file.
        wait_s: how long a scheduler of somebody else's may be without any worker at the beginning.

    Raises:
        ClientError: the service fails, or the scheduler is gone, or has no workers.
        NoWorkersError: the workers that were started here are gone.
        OutputError: an artefact cannot be written.
    """
    from distributed import as_completed  # noqa: PLC0415

    outcome, began = Outcome(), time.monotonic()
    submitted = {client.submit(run, task, pure=False): task.file.name for task in tasks}
    if client.cluster is None:
        try:
            client.wait_for_workers(1, wait_s)  # now, for it may start them when there are tasks
        except TimeoutError as error:
            raise _no_workers(client, wait_s) from error
    with bar(total=len(tasks), unit="file") as progress:
        for future in as_completed(submitted):
            name = submitted[future]
            try:
                figures, answered_by = _result(future)
            except (ClientError, NoWorkersError, OutputError) as error:
                if not isinstance(error, RequestRejectedError):
                    error.add_note(f"{len(outcome.done)} of {len(tasks)} files are done: the same command goes on")
                    raise
                outcome.failed[name] = str(error)
            except Exception as error:  # of this file alone
                outcome.failed[name] = (
                    str(error) if isinstance(error, ExatrkxError) else f"{type(error).__name__}: {error}"
                )
            else:
                outcome.done[name] = figures
                outcome.found += answered_by is None
                outcome.answered_by.update(answered_by)
            rate = outcome.answered_by.total() / (time.monotonic() - began)
            progress.set_postfix_str(f"{rate:.1f} events/s, {len(outcome.failed)} failed")
            progress.update()
    return outcome


def _result(future: Future[tuple[Figures, Counter[str] | None]]) -> tuple[Figures, Counter[str] | None]:
    """A task's result; with a scheduler that has gone away all of them are cancelled."""
    from distributed.scheduler import NoWorkerError  # noqa: PLC0415

    if future.cancelled():
        raise ServerUnavailableError("the Dask scheduler has gone away")
    try:
        figures, answered_by = future.result()
    except NoWorkerError as error:
        raise _no_workers(future.client, error.timeout) from error
    return figures, answered_by


def _no_workers(client: Client, seconds: float) -> ExatrkxError:
    """What is wrong with workers that are not there: this command's own, or those of a scheduler that was asked."""
    kind = ServerUnavailableError if client.cluster is None else NoWorkersError
    return kind(f"there has been no Dask worker for {seconds:g} s")
