"use strict";
// Two performances of the page beneath each other: each has a button, and with the second that is chosen they are shown
// and heard from the same place. Exposes `Compare`.
const Compare = (() => {
  let first = null; // the player that was chosen

  // What says which one was chosen, and how to think better of it.
  const said = make("span");
  const cancel = Words.say(make("button", { type: "button", class: "chip" }), "Cancel");
  const bar = make("p", { class: "chosen", role: "status", hidden: "" }, said, " ", cancel);
  cancel.addEventListener("click", () => choose(null));
  document.body.append(bar);

  function choose(player) {
    first?.compare.setAttribute("aria-pressed", "false");
    first = player;
    first?.compare.setAttribute("aria-pressed", "true");
    bar.hidden = !first;
    if (first) Words.say(said, "Chosen: {title}. Press “Compare” at another one.", { title: first.title });
  }

  function press(player) {
    if (!first) return choose(player);
    const other = first;
    choose(null);
    if (other !== player) open(other, player);
  }

  function open(a, b) {
    const data = [a, b].map((player) => ({ ...player.data()[0], title: player.title }));
    const element = make("div", { class: "player" });
    element.dataset.seconds = String(Math.max(a.seconds, b.seconds));
    element.dataset.title = `${a.title} | ${b.title}`;
    const title = Words.say(make("h2", { id: "compared" }), "Compare");
    const close = Words.say(make("button", { type: "button", class: "chip close" }), "Close");
    const keys = Words.say(make("p", { class: "note" }), "With the roll in focus, X changes from one to the other at the same place.");
    const dialog = make("dialog", { class: "compare", "aria-labelledby": "compared" }, make("div", { class: "head" }, title, close), element, keys);
    document.body.append(dialog);
    const player = new Player(element, { data });
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      player.close();
      dialog.remove();
      b.compare.focus();
    });
    dialog.showModal();
    player.setSeen(true);
    player.seek(Math.max(a.now(), b.now()) % player.seconds);
    player.roll.focus();
  }

  // Gives each player its button.
  function among(players) {
    for (const player of players) {
      player.compare = Words.say(make("button", { type: "button", class: "chip compare-this", "aria-pressed": "false" }), "Compare");
      Words.say(player.compare, "Compare {title}", { title: player.title }, "aria-label");
      player.compare.addEventListener("click", () => press(player));
      player.controls.actions.prepend(player.compare);
    }
  }

  return { among };
})();
