"use strict";

const state = document.querySelector("#state");
let socket;

function show(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  document.querySelectorAll("#choices li").forEach((item, number) => {
    item.querySelector("output").textContent = counts[number];
    item.querySelector("meter").value = total ? counts[number] / total : 0;
  });
  state.textContent = total === 1 ? "1 vote" : `${total} votes`;
}

function connect() {
  socket = new WebSocket(location.href.replace(/^http/, "ws"));
  socket.onmessage = (event) => show(JSON.parse(event.data));
  socket.onclose = () => {
    state.textContent = "Connecting…";
    setTimeout(connect, 1000 + 1000 * Math.random());
  };
}

document.querySelector("#choices").onclick = (event) => {
  const button = event.target.closest("button");
  if (button && socket.readyState === WebSocket.OPEN) {
    socket.send(button.value);
  }
};
connect();
