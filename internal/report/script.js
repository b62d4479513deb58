// The table of blocks can be sorted by its heads, searched and unfolded; the chart says more of the
// block that is pointed at, or that the arrows of the keyboard are at. The page is complete without this.
(() => {
	const chart = document.querySelector(".chart");
	if (chart) {
		const hits = [...chart.querySelectorAll("svg a")], told = chart.querySelector(".told"), plot = chart.querySelector("svg");
		let at = -1;
		const show = (k) => {
			hits[at]?.classList.remove("now");
			at = k;
			hits[at].classList.add("now");
			told.textContent = hits[at].querySelector("title").textContent;
		};
		hits.forEach((hit, k) => hit.addEventListener("pointerenter", () => show(k)));
		plot.setAttribute("tabindex", "0");
		plot.addEventListener("keydown", (e) => {
			const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: hits.length - 1 }[e.key];
			if (to !== undefined) show(Math.min(Math.max(to, 0), hits.length - 1));
			else if (e.key === "Enter" && at >= 0) location.hash = hits[at].getAttribute("href");
			else return;
			e.preventDefault();
		});
	}
	const table = document.querySelector("table.blocks");
	if (!table) return;
	const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells], few = 30;
	const search = document.querySelector(".search"), input = search.querySelector("input"), told = search.querySelector("span");
	let folded = rows.length > few + 10;
	const more = document.createElement("button");
	more.type = "button";
	more.textContent = `all ${rows.length}`;
	more.addEventListener("click", () => unfold());
	const foot = document.createElement("p");
	foot.append(more);
	table.after(foot);
	const fits = () => {
		const words = input.value.toLowerCase().split(/\s+/);
		let found = 0;
		[...body.rows].forEach((row) => {
			const text = row.textContent.toLowerCase(), fit = words.every((word) => text.includes(word));
			row.hidden = !fit || folded && !input.value && found >= few && !row.classList.contains("bad");
			found += fit;
		});
		told.textContent = input.value ? `${found} of ${rows.length}` : "";
		foot.hidden = !folded || input.value !== "";
	};
	const unfold = () => {
		folded = false;
		fits();
	};
	const arrive = () => {
		const row = document.getElementById(location.hash.slice(1));
		if (row?.hidden) {
			input.value = "";
			unfold();
			row.scrollIntoView();
		}
	};
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
			fits();
		});
	});
	search.hidden = rows.length < 9;
	input.addEventListener("input", fits);
	addEventListener("hashchange", arrive);
	addEventListener("beforeprint", unfold);
	fits();
	arrive();
})();
