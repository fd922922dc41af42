"""Charged-particle track finding with the Exa.TrkX graph-network pipeline, and its service on NVIDIA Triton.

Read in the order in which an event travels: `events` (spacepoints, features, files), `networks`, `stages` (what is
between the networks), `pipeline`; then `fitting`, which makes helices of the tracks, and `performance`, which says how
good they are. `contract` names every tensor that crosses a model's border. `serving` is what a Triton server needs;
`simulation`, `training`, `validation` and `ckf` are commands. Units are mm and GeV everywhere. Importing `exatrkx`
imports no torch.

What is served, and where it is: Python below this folder, C++ and CUDA below `backends/exatrkx`.

| served model | function or class | Python | C++ | CUDA |
|---|---|---|---|---|
| `embed` | `Embedding` | `networks/mlp.py` | `Network`, `engine/network.cpp` | `networks/cuda/embedding.cu` |
| `frnn` | `fixed_radius_edges` | `stages/edges.py` | `stages/neighbours.hpp` | `stages/cuda/neighbours.cu` |
| `filter` | `EdgeFilter` | `networks/mlp.py` | `Network`, `engine/network.cpp` | `networks/cuda/filter.cu` |
| `applyfilter` | `select_edges` | `stages/edges.py` | `stages/edges.hpp` | `stages/cuda/selection.cu` |
| `gnn` | `TripletNetwork` | `networks/triplet_network.py` | `Network`, `engine/network.cpp` | `networks/cuda/gnn.cu` |
| `wcc` | `label_tracks` | `stages/track_building.py` | `engine/graph.cpp` | in two forms: |
| `wcc` | `label_components` | `stages/track_building.py` | `stages/components.hpp` | `stages/cuda/components.cu` |
| `wcc` | `label_clusters` | `stages/track_building.py` | `stages/contraction.hpp` | `stages/cuda/contraction.cu` |
| `wcc` | `complete_tracks` | `stages/track_building.py` | `stages/completion.hpp` | `engine/gpu/completion.cu` |
| `exatrkx_ensemble` | `Pipeline` | `pipeline.py` | Triton's ensemble | as its steps |
| `exatrkx_custom` | `Pipeline` | `pipeline.py` | `Engine`, `engine/engine.cpp` | as its steps |
"""

__version__ = "0.1.0"
