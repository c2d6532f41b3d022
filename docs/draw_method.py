"""Draw docs/images/method.svg: a crystal on its way to a prediction.

Crystal, point set, vector and predictions are real.

python docs/draw_method.py [FILE]
"""

import itertools
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from pymatgen.core import Lattice, Structure
from sklearn.linear_model import Ridge

from skdim import CrystalPointSetTransformer, load_pretrained
from skdim.datasets import load_elastic_moduli

COLORS = {"Ca": "#56B4E9", "Ti": "#0072B2", "O": "#D55E00"}  # Okabe and Ito: told apart by the colour-blind
SIZES = {"Ca": 210, "Ti": 130, "O": 65}
INK, PALE = "#222222", "#8a8f98"
STEPS = (
    ("crystal", "CIF, POSCAR, JSON, tables,\npymatgen, ASE"),
    ("point set", "element properties of sites,\ndistances of neighbours"),
    ("Site-Net encoder", "pretrained on structures\nwithout labels"),
    ("vector", "one row of numbers\nfor each crystal"),
    ("any regressor", "ridge, forest, kernel:\n50 to 1000 labels"),
)
WIDTH = 3.0  # of a step, in the units of the drawing
HEIGHT = 1.9  # of a frame: low, so that much of a page stands below


def perovskite():
    """Return CaTiO3 as an ideal cubic perovskite."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(3.84), ["Ca", "Ti", "O", "O", "O"], sites)


def project(points):
    """Give positions (n, 3) in the plane of the drawing, and their depth."""
    turn, tilt = np.deg2rad(28), np.deg2rad(18)
    x, y, z = np.asarray(points, float).T
    side, front = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return np.stack([side, z * np.cos(tilt) + front * np.sin(tilt)], 1), front


def images(structure):
    """List element and position of each atom in or on the border of the cell."""
    shifts = np.stack(np.meshgrid(*[[0, 1]] * 3), -1).reshape(-1, 3)
    found = []
    for site in structure:
        for image in site.frac_coords + shifts:
            if (image <= 1 + 1e-6).all():
                found.append((site.specie.symbol, structure.lattice.get_cartesian_coords(image) - 1.92))
    return found


def draw_crystal(axes, x, scale):
    """Draw the cell, its atoms and the bonds of titanium."""
    atoms = images(perovskite())
    flat, depth = project([p for _, p in atoms])
    corners = 3.84 * (np.stack(np.meshgrid(*[[0, 1]] * 3), -1).reshape(-1, 3) - 0.5)
    edges, _ = project(corners)
    for i in range(8):
        for j in range(i):
            if np.isclose(np.abs(corners[i] - corners[j]).sum(), 3.84):
                axes.plot(x + scale * edges[[i, j], 0], scale * edges[[i, j], 1], color=PALE, lw=0.8, zorder=1)
    middle = next(i for i, (element, _) in enumerate(atoms) if element == "Ti")
    for i, (element, position) in enumerate(atoms):
        if element == "O" and np.linalg.norm(position - atoms[middle][1]) < 2:
            axes.plot(x + scale * flat[[i, middle], 0], scale * flat[[i, middle], 1], color=INK, lw=1.6, zorder=2)
    for i in np.argsort(-depth):
        element = atoms[i][0]
        place = (x + scale * flat[i, 0], scale * flat[i, 1])
        axes.scatter(*place, s=SIZES[element], color=COLORS[element], edgecolor="white", lw=1, zorder=3)


def draw_points(axes, x, points):
    """Draw the site types of a point set, and for each its neighbours by distance."""
    for row, (element, y) in enumerate(zip(COLORS, (0.55, 0.05, -0.45), strict=True)):
        axes.scatter(x - 1.1, y, s=SIZES[element] * 0.8, color=COLORS[element], edgecolor="white", zorder=3)
        first, last = points.pair_offsets[row], points.pair_offsets[row + 1]
        axes.plot([x - 0.85, x + 1.2], [y - 0.1, y - 0.1], color=PALE, lw=0.8)
        for distance, number in zip(points.distance[first:last], points.count[first:last], strict=True):
            place = x - 0.85 + 2.05 * (distance - 1.5) / 5.0
            if place < x + 1.2:
                axes.plot([place, place], [y - 0.1, y - 0.1 + 0.018 * number], color=INK, lw=1.6)
    axes.text(x + 1.2, -0.62, "distance", ha="right", va="top", fontsize=7, color=PALE)


def draw_encoder(axes, x):
    """Draw sites that attend to their neighbours."""
    for column, shade in zip((-0.9, 0.0, 0.9), ("#d9dde3", "#aab4c3", "#7a89a0"), strict=True):
        for y in (-0.5, 0.0, 0.5):
            axes.scatter(x + column, y, s=110, color=shade, edgecolor="white", zorder=3)
            for other in (-0.5, 0.0, 0.5):
                if column < 0.9:
                    axes.plot([x + column, x + column + 0.9], [y, other], color="#c3c8d0", lw=1.4, zorder=1)


def draw_vector(axes, x, vector):
    """Draw the first columns of the vector as a strip of colours."""
    shown = vector[:: max(1, len(vector) // 60)][:60].reshape(3, 20)
    extent = (x - 1.15, x + 1.15, -0.35, 0.45)
    axes.imshow(shown, cmap="PuOr", vmin=-2.5, vmax=2.5, extent=extent, aspect="auto", zorder=3)
    axes.text(x, -0.5, f"{len(vector)} columns", ha="center", va="top", fontsize=7, color=PALE)


def predictions(embedder):
    """Return logarithms of bulk moduli of test crystals, computed and predicted from 100 labels by a ridge."""
    train, test = load_elastic_moduli(subset="train"), load_elastic_moduli(subset="test")
    rows = np.random.default_rng(0).permutation(len(train.data))[:100]
    ridge = Ridge(alpha=100).fit(embedder.transform(train.data[rows]), train.target[rows])
    return test.target[::6], ridge.predict(embedder.transform(test.data[::6]))


def draw_regressor(axes, x, known, predicted):
    """Draw a small parity plot."""
    middle, scale = np.mean(known), 0.68 / np.abs(known - np.mean(known)).max()
    axes.plot([x - 0.7, x + 0.7], [-0.62, 0.78], color=PALE, lw=0.9)
    axes.scatter(
        x + scale * (known - middle), 0.08 + scale * (predicted - middle), s=9, color="#009E73", lw=0, zorder=3
    )
    axes.plot([x - 0.72, x - 0.72, x + 0.72], [0.8, -0.64, -0.64], color=INK, lw=0.9)
    axes.text(x, -0.67, "known", ha="center", va="top", fontsize=7, color=PALE)
    axes.text(x - 0.77, 0.08, "predicted", ha="right", va="center", rotation=90, fontsize=7, color=PALE)


def main(path):
    """Draw everything."""
    structure = perovskite()
    points = CrystalPointSetTransformer().fit_transform([structure])
    embedder = load_pretrained()
    vector = embedder.transform([structure])[0]
    plt.rcParams.update({"font.family": "DejaVu Sans", "svg.hashsalt": "skdim", "svg.fonttype": "path"})
    figure, axes = plt.subplots(figsize=(12.5, 2.3))
    places = [WIDTH * k for k in range(len(STEPS))]
    for place, (title, about) in zip(places, STEPS, strict=True):
        box = FancyBboxPatch(
            (place - 1.32, -HEIGHT / 2), 2.64, HEIGHT, boxstyle="round,pad=0.06", fc="white", ec="#d4d8de", lw=1
        )
        axes.add_patch(box)
        axes.text(place, 1.27, title, ha="center", va="center", fontsize=11.5, weight="bold", color=INK)
        axes.text(place, -1.12, about, ha="center", va="top", fontsize=7.5, color=INK, linespacing=1.35)
    for left, right in itertools.pairwise(places):
        arrow = FancyArrowPatch(
            (left + 1.4, 0), (right - 1.4, 0), arrowstyle="-|>", mutation_scale=13, color=INK, lw=1.2
        )
        axes.add_patch(arrow)
    draw_crystal(axes, places[0], 0.26)
    draw_points(axes, places[1], points)
    draw_encoder(axes, places[2])
    draw_vector(axes, places[3], vector)
    draw_regressor(axes, places[4], *predictions(embedder))
    axes.set(xlim=(-1.6, places[-1] + 1.6), ylim=(-1.6, 1.45))
    axes.set_aspect("equal")
    axes.axis("off")
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None} if str(path).endswith(".svg") else None, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images" / "method.svg")
