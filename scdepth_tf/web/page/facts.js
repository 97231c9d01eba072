// The table of what is known about a model or a prediction.
"use strict";

self.scdepth ??= {};

// body: a table's; facts: { title: text }.
scdepth.showFacts = (body, facts) => {
  body.replaceChildren(
    ...Object.entries(facts).map(([title, fact]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = title;
      const cell = document.createElement("td");
      cell.textContent = fact;
      row.append(head, cell);
      return row;
    }),
  );
};
