"""The three trained networks, TorchScript, and users' networks.

`mlp` has the embedding and the edge filter, `triplet_network` the GNN, `geometry` what they see, `storage` their files.
All take the contract's feature columns and return logits or coordinates in FP32.
"""

import warnings

# TorchScript is what the LibTorch backend loads: that later PyTorch versions deprecate it is no news to a user.
warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
