// The part of the script that the sign-in page has too.

// Light or dark mode follows the system until the reader chooses; a cookie stores the choice.
function switchTheme() {
  const dark = !document.body.classList.contains("body--dark");
  document.cookie = `searchsvc_theme=${dark ? "dark" : "light"}; path=/ui; max-age=31536000; samesite=lax`;
  setDark(dark);
}

// Signing out in a tab signs out all tabs, before their next request is refused.
const signIn = "/ui/sign-in";
const tabs = new BroadcastChannel("searchsvc sign-out");
if (location.pathname === signIn && new URLSearchParams(location.search).get("why") === "out") tabs.postMessage("out");
tabs.onmessage = () => {
  if (location.pathname !== signIn) location.href = `${signIn}?why=out`;
};
