"""What to cite, as BibTeX."""

METHOD = (
    "@article{moran2025deepinfomax, "
    "author = {Moran, Michael and Gusev, Vladimir V. and Gaultois, Michael W. and Antypov, Dmytro "
    "and Rosseinsky, Matthew J.}, "
    "title = {Establishing {Deep InfoMax} as an effective self-supervised learning methodology in materials "
    "informatics}, "
    "journal = {Digital Discovery}, year = {2025}, doi = {10.1039/D4DD00202D}, "
    "eprint = {2407.00671}, archivePrefix = {arXiv}}",
    "@article{moran2022sitenet, "
    "author = {Moran, Michael and Gaultois, Michael W. and Gusev, Vladimir V. and Rosseinsky, Matthew J.}, "
    "title = {Site-Net: Using global self-attention and real-space supercells to capture long-range interactions in "
    "crystal structures}, "
    "year = {2022}, eprint = {2209.08190}, archivePrefix = {arXiv}}",
    "@inproceedings{hjelm2019deepinfomax, "
    "author = {Hjelm, R. Devon and Fedorov, Alex and Lavoie-Marchildon, Samuel and Grewal, Karan and Bachman, Phil "
    "and Trischler, Adam and Bengio, Yoshua}, "
    "title = {Learning deep representations by mutual information estimation and maximization}, "
    "booktitle = {International Conference on Learning Representations}, year = {2019}, "
    "eprint = {1808.06670}, archivePrefix = {arXiv}}",
)
"""Deep InfoMax for crystals, the Site-Net encoder, and Deep InfoMax itself."""
