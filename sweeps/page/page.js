(async () => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  if (!figures.length) return;
  // The words are painted before the script is unpacked.
  await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
  const packed = document.getElementById("plotly").textContent;
  const bytes = await fetch(`data:application/gzip;base64,${packed}`);
  const stream = bytes.body.pipeThrough(new DecompressionStream("gzip"));
  const element = document.createElement("script");
  element.textContent = await new Response(stream).text();
  document.head.appendChild(element);

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const draw = (place, figure) => {
    const layout = structuredClone(figure.layout);
    layout.font = { ...layout.font, color: colour("--text") };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      layout[name] = { automargin: true, gridcolor: colour("--grid"), linecolor: colour("--line"),
        zerolinecolor: colour("--line"), ...layout[name] };
    }
    layout.hoverlabel = { ...layout.hoverlabel, bgcolor: colour("--box") };
    const options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
    Plotly.react(place, structuredClone(figure.data), layout, options);
  };
  const places = figures.map((_, number) => document.getElementById(`figure${number}`));
  const drawn = new Set();
  const show = (number) => { drawn.add(number); draw(places[number], figures[number]); };
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const number = places.indexOf(entry.target);
      if (entry.isIntersecting && !drawn.has(number)) show(number);
    }
  }, { rootMargin: "600px" });
  places.forEach((place) => watcher.observe(place));
  dark.addEventListener("change", () => drawn.forEach(show));
  addEventListener("beforeprint", () => places.forEach((_, number) => show(number)));
})();
