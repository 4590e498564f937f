"""See what a transformer's source code does.

The letters of every shape comment in this package:

    b  batch                n  tokens (query side m, key side n where they differ)
    d  width (embed_dim)    h  heads
    e  width of one head    l  layers (blocks)
    gy, gx  patch grid      p, q  height and width of one patch
    c  channels             H, W  pixels
    w  windows              k  classes
"""
