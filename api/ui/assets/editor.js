// Give the editor the page's light or dark mode and a name for screen readers.
function setUpEditor(id, name) {
  const dress = () => {
    const dark = document.body.classList.contains("body--dark");
    getElement(id)?.setTheme(dark ? "githubDark" : "githubLight");
  };
  getElement(id).editorPromise.then((editor) => {
    getElement(id).editor.contentDOM.setAttribute("aria-label", name);
    dress();
    new MutationObserver(dress).observe(document.body, { attributeFilter: ["class"] });
  });
}

// Tab moves to the next control and does not indent, so that the keyboard is not trapped in the editor.
document.addEventListener(
  "keydown",
  (event) => {
    if (event.key === "Tab" && event.target.closest(".cm-editor")) event.stopPropagation();
  },
  true
);
