// Lets long names in tables break after "_", "/" and ".", and gives each cell the name of its
// column, which site.css shows where a phone has no room for a wide table.
document$.subscribe(() => {
  for (const table of document.querySelectorAll(".md-typeset table:not([class])")) {
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent);
    table.toggleAttribute("data-wide", names.length > 3);
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, place) => (cell.dataset.column = names[place]));
    }
    for (const code of table.querySelectorAll("code")) {
      if (code.childElementCount === 0) {
        code.innerHTML = code.innerHTML.replace(/[_/.](?=.)/g, "$&<wbr>");
      }
    }
  }
});
