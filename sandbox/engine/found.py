"""Which layers this machine gives, found by building boxes with them."""

from __future__ import annotations

import functools
import os
from typing import Final

from sandbox.engine import box, landlock, seccomp
from sandbox.engine.box import Box
from sandbox.engine.frames import Frame
from sandbox.engine.layers import Layer
from sandbox.engine.process import Child, ChildGone

_PATIENCE_S: Final = 20.0


@functools.cache
def available() -> frozenset[Layer]:
    """All layers that hold together here.  Starts a few short-lived processes, once."""
    there = {
        Layer.FILTER: seccomp.loadable(),
        Layer.LANDLOCK: landlock.version() > 0,
        Layer.NAMESPACES: box.tool() is not None,
        Layer.USER: box.tool() is not None and os.geteuid() == 0,
    }
    found = frozenset({Layer.LIMITS})
    wanted = found.union(layer for layer, is_there in there.items() if is_there)
    if works(wanted):
        return wanted
    for layer in there:  # the user last: it reads a private home's files only where they are mounted for it
        reachable = layer is not Layer.USER or Layer.NAMESPACES in found
        if layer in wanted and reachable and works(found | {layer}):
            found |= {layer}
    return found


def works(layers: frozenset[Layer]) -> bool:
    """Whether a child comes up in a box of these layers."""
    try:
        child = Child("sandbox.engine.greeting", Box(layers))
    except ChildGone:
        return False
    try:
        child.call(Frame({}), _PATIENCE_S, 1024)
    except ChildGone:
        return False
    finally:
        child.close()
    return True
