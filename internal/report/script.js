// The table of blocks can be sorted by its heads and searched. The page is complete
// without this.
(() => {
	const table = document.querySelector("table.blocks");
	if (!table) return;
	const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
	const value = (row, k) => {
		const cell = row.cells[k];
		if (!cell) return -1;
		return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
	};
	heads.forEach((head, k) => {
		const button = document.createElement("button");
		button.type = "button";
		button.textContent = head.textContent;
		head.replaceChildren(button);
		button.addEventListener("click", () => {
			const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : k > 1;
			heads.forEach((other) => other.removeAttribute("aria-sort"));
			head.setAttribute("aria-sort", down ? "descending" : "ascending");
			const sign = down ? -1 : 1;
			rows.sort((a, b) => {
				const x = value(a, k), y = value(b, k);
				return sign * (x < y ? -1 : x > y ? 1 : 0);
			});
			body.append(...rows);
		});
	});
	const search = document.querySelector(".search"), input = search.querySelector("input"), told = search.querySelector("span");
	search.hidden = rows.length < 9;
	input.addEventListener("input", () => {
		const words = input.value.toLowerCase().split(/\s+/);
		let shown = 0;
		for (const row of rows) {
			const text = row.textContent.toLowerCase();
			row.hidden = !words.every((word) => text.includes(word));
			shown += !row.hidden;
		}
		told.textContent = input.value ? `${shown} of ${rows.length}` : "";
	});
})();
