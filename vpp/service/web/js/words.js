// English and Chinese: `t("key", {n: 1})` in the language of this page.

const STORED = "vpp.language";
export const LANGUAGES = { en: "English", zh: "中文" };

const dictionaries = { en: {}, zh: {} };
let chosen = choose();

function choose() {
  const asked = new URLSearchParams(location.search).get("lang");
  if (asked in LANGUAGES) return asked;
  const stored = localStorage.getItem(STORED);
  if (stored in LANGUAGES) return stored;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** "en" or "zh". */
export function language() {
  return chosen;
}

/** Choose the language for this page and the next ones. */
export function setLanguage(name) {
  chosen = name;
  localStorage.setItem(STORED, name);
}

/** Add a dictionary `{en: {key: text}, zh: {…}}`; the keys of a view begin with its name. */
export function addWords(words) {
  for (const name of Object.keys(LANGUAGES)) Object.assign(dictionaries[name], words[name]);
}

/** The text of a key, with `{name}` replaced by `values.name`. */
export function t(key, values) {
  const text = dictionaries[chosen][key];
  if (text === undefined) {
    console.error(`no words for ${key}`);
    return key;
  }
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : text;
}

/** The text of `prefix.word`; the word itself (spaces for underscores) where nobody translated it. */
export function term(prefix, word) {
  return dictionaries[chosen][`${prefix}.${word}`] ?? String(word).replaceAll("_", " ");
}
