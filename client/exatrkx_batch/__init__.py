"""Batch track finding: many files of events, by Dask's workers on this machine or as jobs of a batch system.

The stages of a file and what each of them leaves in the output folder, whole or not at all:

| stage | module | artefact |
|---|---|---|
| inputs and service, frozen | `manifest` | `manifest.json` |
| events to tracks | `tasks` | `tracks/NAME.parquet` |
| tracks to figures | `tasks` | `figures/NAME.json` |
| figures to one report | `report` | `report.md` |

One task does a file and shares nothing with the others (`workflow` has Dask), so that neither their order nor the
number of workers shows in the artefacts. `python -m exatrkx_batch --help` is the command. Needs Dask distributed.
"""
