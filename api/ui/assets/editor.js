// The editor follows the page's choice of light or dark, and has a name for screen readers.
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

// Tab leads on, as everywhere on the page, and does not indent: the keyboard must not be caught in the editor.
document.addEventListener(
  "keydown",
  (event) => {
    if (event.key === "Tab" && event.target.closest(".cm-editor")) event.stopPropagation();
  },
  true
);
