"""Errors that were published for this method, to put beside measured ones.

References
----------
M. Moran, V. V. Gusev, M. W. Gaultois, D. Antypov, M. J. Rosseinsky, "Establishing Deep InfoMax as an effective
self-supervised learning methodology in materials informatics", Digital Discovery (2025), doi:10.1039/D4DD00202D,
arXiv:2407.00671.

Examples
--------
>>> TRANSFER["formation energy"][50]["default"]
0.47
"""

CITATION = (
    "M. Moran, V. V. Gusev, M. W. Gaultois, D. Antypov, M. J. Rosseinsky, Digital Discovery (2025), "
    "doi:10.1039/D4DD00202D"
)

STARTS = {"default untrained": "untrained", "default": "Deep InfoMax", "other property": "the other property"}
"""Where a fine-tuning starts: by the name in the records, the name in the tables."""

TRANSFER = {
    "formation energy": {
        50: {"default untrained": 0.513, "default": 0.470, "other property": 0.600},
        100: {"default untrained": 0.431, "default": 0.379, "other property": 0.505},
        250: {"default untrained": 0.316, "default": 0.312, "other property": 0.377},
        1000: {"default untrained": 0.192, "default": 0.208, "other property": 0.239},
    },
    "band gap": {
        50: {"default untrained": 0.909, "default": 0.905, "other property": 0.849},
        100: {"default untrained": 0.852, "default": 0.839, "other property": 0.782},
        250: {"default untrained": 0.790, "default": 0.782, "other property": 0.718},
        1000: {"default untrained": 0.675, "default": 0.682, "other property": 0.602},
    },
}
"""Mean absolute errors (eV/atom, eV) of networks fine-tuned on matbench, by task, number of labels and start.

Means of about twelve runs, with 132,000 formation energies and 106,000 gaps to draw from.
"""
