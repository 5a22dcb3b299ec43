"""Templates, filled in.  Every value is escaped; a name that is not there is an error, not an empty text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sandbox.console import menu
from sandbox.console.terms import Terms
from sandbox.console.visit import HOME, address
from sandbox.policy.roles import Action, may

if TYPE_CHECKING:
    from sandbox.console.visit import Visit

BUNDLE = Path(__file__).parent / "static" / "built" / "console.js"


class Painter:
    """Fills in templates.  ``version`` names the state of the static files."""

    def __init__(self, version: str) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(
            home=HOME, href=address, version=version, scripted=BUNDLE.exists(), menu=menu.items
        )

    def paint(self, template: str, visit: Visit, facts: Mapping[str, object]) -> str:
        """The template's text."""
        say = visit.locale

        def allowed(action: str) -> bool:
            return may(visit.person, Action(action))

        told = {
            "say": say,
            "t": say.t,
            "terms": Terms(say),
            "visit": visit,
            "person": visit.person,
            "allows": allowed,
        }
        return self._environment.get_template(template).render({**told, **facts})
