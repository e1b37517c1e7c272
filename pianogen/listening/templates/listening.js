"use strict";
// A listening test: pair after pair is heard and voted on. Votes are kept in the browser where it keeps anything, and end as
// a file. The page knows numbers of pairs and sides, nothing else.
(() => {
  const HEARD_TICKS = 20; // half a second of sound: a side that was not heard can't be judged
  const main = document.querySelector("main");
  const pairs = document.querySelectorAll("script.pair");
  const sections = ["welcome", "voting", "end"].map((id) => document.getElementById(id));
  const [start, back, review, save, where, done, hint, stage] = ["start", "back", "review", "save", "where", "done", "hint", "stage"].map((id) => document.getElementById(id));
  const votes = document.querySelectorAll("button.vote");
  const kept = `pianogen-listening-${main.dataset.test}`;
  const state = restore() ?? { listener: newListener(), votes: {} };
  let player = null;
  let at = 0; // number of the pair on the stage, from 0
  let heard = [0, 0]; // ticks of each side

  function newListener() {
    return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // A page from a disk may have no storage, and says so by an error; then its votes last as long as it is open.
  function restore() {
    try {
      return JSON.parse(localStorage.getItem(kept));
    } catch {
      return null;
    }
  }

  function keep() {
    try {
      localStorage.setItem(kept, JSON.stringify(state));
    } catch {
      // See above.
    }
  }

  const numVoted = () => Object.keys(state.votes).length;
  const nextOpen = () => Array.from(pairs.keys()).find((i) => !(i + 1 in state.votes)) ?? pairs.length;

  function show(id) {
    for (const section of sections) section.hidden = section.id !== id;
  }

  function open(number) {
    player?.close();
    player = null;
    if (number >= pairs.length) {
      show("end");
      save.focus();
      return;
    }
    at = number;
    heard = state.votes[at + 1] ? [HEARD_TICKS, HEARD_TICKS] : [0, 0];
    show("voting");
    Words.say(where, "Pair {number} of {all}", { number: at + 1, all: pairs.length });
    done.value = numVoted();
    back.disabled = at === 0;
    const data = JSON.parse(pairs[at].textContent);
    const element = make("div", { class: "player" });
    element.dataset.seconds = String(Math.max(...data.map((one) => one.duration_sec)));
    element.dataset.title = `A | B`;
    stage.replaceChildren(element);
    player = new Player(element, { data, isEven: true, isBlind: true });
    element.addEventListener("sound", listen);
    player.setSeen(true);
    player.roll.focus();
    showVotes();
  }

  function listen() {
    heard[player.voice]++;
    if (heard[player.voice] === HEARD_TICKS) showVotes();
  }

  const isHeard = () => heard.every((ticks) => ticks >= HEARD_TICKS);

  function showVotes() {
    for (const button of votes) {
      button.disabled = !isHeard();
      button.setAttribute("aria-pressed", String(state.votes[at + 1] === button.dataset.vote));
    }
    const missing = ["A", "B"].filter((_, side) => heard[side] < HEARD_TICKS);
    if (missing.length === 2) Words.say(hint, "Listen to A and to B, then vote.");
    else if (missing.length === 1) Words.say(hint, "Now listen to {side}.", { side: missing[0] });
    else Words.say(hint, "Vote when you are ready.");
  }

  function vote(choice) {
    if (!player || !isHeard()) return;
    state.votes[at + 1] = choice;
    keep();
    open(nextOpen() > at ? nextOpen() : at + 1);
    if (!player) download();
  }

  function download() {
    const listed = Object.entries(state.votes).map(([pair, choice]) => ({ pair: Number(pair), vote: choice }));
    const file = { format: "pianogen listening votes", version: 1, test: main.dataset.test, listener: state.listener, votes: listed };
    Wav.save(new Blob([JSON.stringify(file, null, 1)], { type: "application/json" }), `votes-${state.listener.slice(0, 8)}.json`);
  }

  for (const button of votes) button.addEventListener("click", () => vote(button.dataset.vote));
  start.addEventListener("click", () => open(nextOpen()));
  back.addEventListener("click", () => open(at - 1));
  review.addEventListener("click", () => open(pairs.length - 1));
  save.addEventListener("click", download);
  document.addEventListener("keydown", (event) => {
    if (!player || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const choices = { a: "A", b: "B", n: "none" };
    if (event.key in choices) vote(choices[event.key]);
    else if (event.key === "x") player.hearNext();
    else if (event.key === " " && !event.target.closest("button, input")) player.toggle();
    else return;
    event.preventDefault();
  });

  show("welcome");
  Words.say(start, numVoted() ? "Go on" : "Begin");
  window.pianogen = { level: Sequencer.level };
})();
