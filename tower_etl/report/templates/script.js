"use strict";
// All content is readable without this script: it only makes tables sortable, filters them, saves
// them as CSV, shows tooltips of charts, and copies the configuration.
(() => {
  const keyOf = (cell) => {
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text.toLowerCase();
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));

  const sortBy = (table, index) => {
    const heads = [...table.tHead.rows[0].cells];
    const head = heads[index];
    const numeric = head.classList.contains("num");
    const now = head.getAttribute("aria-sort");
    const down = now ? now === "ascending" : numeric;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [keyOf(row.cells[index]), row]);
    rows.sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
    body.append(...rows.map(([, row]) => row));
  };

  // As numbers, not as shown; a text that a spreadsheet would run as a formula is prefixed.
  const csvOf = (cell) => {
    if (cell.dataset.value !== undefined) return cell.dataset.value;
    const text = cell.textContent.trim().replace(/\s+/g, " ");
    const safe = /^[=+\-@]/.test(text) ? `'${text}` : text;
    return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const save = (table, name) => {
    const lines = [...table.rows].filter((row) => !row.hidden)
      .map((row) => [...row.cells].map(csvOf).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`\uFEFF${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
    link.download = `${name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "")}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const addTools = (table) => {
    const region = table.closest(".scroll");
    const name = region.getAttribute("aria-label");
    const tools = document.createElement("div");
    tools.className = "tools";
    if (table.tBodies[0].rows.length > 5) {
      const input = document.createElement("input");
      input.type = "search";
      input.placeholder = "Filter";
      input.setAttribute("aria-label", `Filter rows of ${name}`);
      input.addEventListener("input", () => {
        const wanted = input.value.trim().toLowerCase();
        [...table.tBodies[0].rows].forEach((row) => {
          row.hidden = !row.textContent.toLowerCase().includes(wanted);
        });
      });
      tools.append(input);
    }
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "CSV";
    button.setAttribute("aria-label", `Save ${name} as CSV`);
    button.addEventListener("click", () => save(table, name));
    tools.append(button);
    region.before(tools);
  };

  document.querySelectorAll("table[data-sortable]").forEach((table) => {
    addTools(table);
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sortBy(table, index));
      head.append(button);
    });
  });

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true"); // the tables below the charts have the same values
  document.body.append(tip);
  const place = (x, y) => {
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, x + 14), innerWidth - box.width - 8);
    const above = y - box.height - 14;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 8 ? above : y + 18}px`;
  };
  document.querySelectorAll(".column").forEach((column) => {
    const title = column.querySelector("title");
    const text = title.textContent;
    title.remove(); // otherwise the browser shows it as well
    const show = (event) => {
      tip.textContent = text;
      tip.hidden = false;
      place(event.clientX, event.clientY);
    };
    column.addEventListener("pointerenter", show);
    column.addEventListener("pointermove", show);
    column.addEventListener("pointerleave", () => { tip.hidden = true; });
  });

  document.querySelectorAll(".snippet").forEach((snippet) => {
    if (!navigator.clipboard) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(snippet.querySelector("code").textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select and copy";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    snippet.append(button);
  });
})();
