(() => {
  "use strict";

  // Sort rows by one column; undefined values stay last in either direction, ties keep their order.
  const sortRows = (body, column, kind, sign) => {
    const key = (row) => {
      const cell = row.cells[column];
      if (kind !== "number") return cell.textContent;
      return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    };
    const names = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
    const order = (a, b) => {
      if (a === null || b === null) return (a === null) - (b === null);
      if (kind === "number") return a === b ? 0 : sign * (a < b ? -1 : 1);
      return sign * names.compare(a, b);
    };
    const rows = Array.from(body.rows, (row) => [key(row), row]);
    rows.sort((a, b) => order(a[0], b[0]));
    body.append(...rows.map((pair) => pair[1]));
  };

  const addSorting = (table) => {
    const headings = Array.from(table.tHead.rows[0].cells);
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const up = heading.getAttribute("aria-sort") !== "ascending";
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        sortRows(table.tBodies[0], column, heading.dataset.sort, up ? 1 : -1);
      });
    });
  };

  // Show the rows that hold the text in one of their text cells and the chosen value in each chosen column.
  const addFilters = (block, table) => {
    const form = block.querySelector(".filters");
    const search = form.querySelector("input[type=search]");
    const menus = Array.from(form.querySelectorAll("select"));
    const count = form.querySelector("output");
    const apply = () => {
      const wanted = search.value.trim().toLowerCase();
      const rows = Array.from(table.tBodies[0].rows);
      let shown = 0;
      for (const row of rows) {
        const texts = Array.from(row.cells).filter((cell) => !cell.classList.contains("n"));
        const found = !wanted || texts.some((cell) => cell.textContent.toLowerCase().includes(wanted));
        const chosen = menus.every((menu) => !menu.value || row.cells[menu.dataset.column].textContent === menu.value);
        row.hidden = !(found && chosen);
        shown += row.hidden ? 0 : 1;
      }
      const noun = rows.length === 1 ? "row" : "rows";
      count.textContent = shown === rows.length ? `${shown} ${noun}` : `${shown} of ${rows.length} ${noun}`;
    };
    search.addEventListener("input", apply);
    menus.forEach((menu) => menu.addEventListener("change", apply));
    const every = form.querySelector("[data-extra]");
    if (every) {
      const toggle = () => table.classList.toggle("fewer", !every.checked);
      every.addEventListener("change", toggle);
      toggle();
    }
    form.hidden = false;
    apply();
  };

  for (const block of document.querySelectorAll("[data-table]")) {
    const table = block.querySelector("table");
    addSorting(table);
    addFilters(block, table);
  }

  // A table that is wider than its place fades at the edge behind which it goes on.
  const tables = Array.from(document.querySelectorAll(".scroll"));
  const fade = (box) => box.toggleAttribute("data-more", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
  const watch = new ResizeObserver((entries) => entries.forEach((entry) => fade(entry.target.closest(".scroll"))));
  for (const box of tables) {
    box.addEventListener("scroll", () => fade(box), { passive: true });
    watch.observe(box);
    watch.observe(box.querySelector("table"));
  }

  // What is folded away on the screen is open on paper.
  const folded = () => Array.from(document.querySelectorAll("details:not([open])"));
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = folded();
    opened.forEach((fold) => { fold.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((fold) => { fold.open = false; }));
  document.documentElement.dataset.ready = "yes";
})();
