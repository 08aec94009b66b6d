// The sign-in page is static: without NiceGUI, it sets light and dark mode itself.
function setDark(dark) {
  document.body.classList.toggle("body--dark", dark);
}
if (!document.body.dataset.theme) setDark(matchMedia("(prefers-color-scheme: dark)").matches);
document.getElementById("theme").addEventListener("click", switchTheme);
