// What scripts add to pages that work without them: parts of pages come in place (htmx), and the query's
// text area becomes an editor with highlighting and completion (CodeMirror).

import htmx from "htmx.org";
import { editor } from "./editor.js";

function enhance(root) {
  for (const area of root.querySelectorAll("textarea[data-names]")) editor(area);
}

// Another grant opens other tables: the page is asked for anew, with the text kept.
function follow() {
  const grant = document.querySelector("#query #grant");
  if (!grant) return;
  grant.addEventListener("change", () => {
    const to = new URL("/console/ask", location.href);
    to.searchParams.set("grant", grant.value);
    const sql = document.querySelector("#sql").value;
    if (sql.length < 4000) to.searchParams.set("sql", sql);
    location.assign(to);
  });
}

document.addEventListener("DOMContentLoaded", () => {
  enhance(document);
  follow();
});
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
