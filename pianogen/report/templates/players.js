"use strict";
// Makes players of what stands in the page. A roll is drawn when it comes near to being seen.
(() => {
  const players = new Map(Array.from(document.querySelectorAll(".player"), (element) => [element, new Player(element)]));
  const watcher = new IntersectionObserver(
    (entries) => entries.forEach((entry) => players.get(entry.target).setSeen(entry.isIntersecting)),
    { rootMargin: "400px" },
  );
  for (const element of players.keys()) watcher.observe(element);
  if (players.size > 1) Compare.among(players.values());

  // Loudness of what is heard now, and the synth without a loudspeaker.
  window.pianogen = { level: Sequencer.level, renderOffline: Synth.renderOffline };
  performance.mark("players ready");
})();
