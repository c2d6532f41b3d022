"""Put the pictures of the examples on one, docs/images/gallery.png, once the pages are built.

python docs/draw_gallery.py
"""

from pathlib import Path

from gallery_order import STORY
from PIL import Image

HERE = Path(__file__).parent
COLUMNS, WIDTH, HEIGHT, EDGE = 4, 300, 210, 8


def main():
    """Make it."""
    rows = -(-len(STORY) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * WIDTH, rows * HEIGHT), "white")
    for place, name in enumerate(STORY):
        thumb = HERE / "auto_examples" / "images" / "thumb" / f"sphx_glr_{Path(name).stem}_thumb.png"
        picture = Image.open(thumb).convert("RGB")
        picture.thumbnail((WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE))
        left = place % COLUMNS * WIDTH + (WIDTH - picture.width) // 2
        sheet.paste(picture, (left, place // COLUMNS * HEIGHT + (HEIGHT - picture.height) // 2))
    sheet.save(HERE / "images" / "gallery.png", optimize=True)


if __name__ == "__main__":
    main()
